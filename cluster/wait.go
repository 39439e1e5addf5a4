package cluster

import (
	"context"
	"fmt"
	"strings"
	"time"
)

const defaultInterval = 2 * time.Second

// Wait asks x every interval (0 means 2 s) until it has held so many times in a
// row on every member, and returns the last answer. each, which may be nil, sees
// every answer. A mistake in x, and a value that is no condition, end it at once.
//
// If ctx ends first, the error says what is missing, and by whom, and wraps the
// cause of ctx; the answer is the last one whose members were not cut short, or
// else the first, in which those that had not answered are errors. It is nil only
// where a mistake in x shows first.
func (c *Cluster) Wait(ctx context.Context, x *Expression, interval time.Duration, times int, each func(*Answer)) (*Answer, error) {
	if interval <= 0 {
		interval = defaultInterval
	}
	var last *Answer
	missing := x.text + " was never asked"
	for held := 0; ; {
		again := time.After(interval)
		a, err := c.Ask(ctx, x)
		if ctx.Err() != nil {
			if last == nil && err == nil {
				last = a
				missing, _ = a.missing(x)
			}
			return last, fmt.Errorf("%s: %w", missing, context.Cause(ctx))
		}
		if err != nil {
			return last, err
		}
		last = a
		if each != nil {
			each(a)
		}
		var wrong error
		if missing, wrong = a.missing(x); wrong != nil {
			return a, wrong
		}
		held++
		if missing != "" {
			held = 0
		} else if held >= times {
			return a, nil
		} else {
			missing = fmt.Sprintf("%s held %d of %d times in a row", x.text, held, times)
		}
		select {
		case <-ctx.Done():
			return last, fmt.Errorf("%s: %w", missing, context.Cause(ctx))
		case <-again:
		}
	}
}

// missing says on which members x does not hold, or cannot be told; "" if it
// holds everywhere. A value that is no condition is an error.
func (a *Answer) missing(x *Expression) (string, error) {
	var missing []string
	for _, r := range a.Results {
		holds, err := r.Holds()
		switch {
		case err != nil && r.Err == nil:
			return "", fmt.Errorf("%s: %w", x.text, err)
		case err != nil:
			text, _, _ := strings.Cut(err.Error(), "\n")
			missing = append(missing, text)
		case !holds && r.Member == "":
			missing = append(missing, x.text+" does not hold")
		case !holds:
			missing = append(missing, fmt.Sprintf("%s: %s does not hold", r.Member, x.text))
		}
	}
	if len(a.Results) == 0 {
		missing = append(missing, "there are no members")
	}
	return strings.Join(missing, "; "), nil
}
