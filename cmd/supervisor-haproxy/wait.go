package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/supervisor-haproxy/supervisor-haproxy/cluster"
)

type waitCmd struct {
	asking
	Timeout  time.Duration `default:"5m" help:"Give up after so long."`
	Interval time.Duration `default:"2s" help:"How often to ask."`
	Times    int           `default:"3" help:"How many times in a row the condition has to hold, on every member."`
}

// Help is shown by wait --help.
func (w *waitCmd) Help() string {
	return `Waits until a condition holds on every member, so many times in a row. Each change of what is missing is told on stderr. Ends with 0 when it has held, with 2 when it does not hold in time or at ^C, and with 1 when a member could not be asked to the last.

Example, in the loop of a deploy script:

  supervisor-haproxy wait --timeout 5m 'web.rolling_restartable()' unix:///run/haproxy/admin.sock tcp://10.0.0.2:8800`
}

// Validate reads the arguments, before anybody is asked.
func (w *waitCmd) Validate() error {
	switch {
	case w.Timeout <= 0:
		return fmt.Errorf("--timeout is %v, want more than 0", w.Timeout)
	case w.Interval <= 0:
		return fmt.Errorf("--interval is %v, want more than 0", w.Interval)
	case w.Times < 1:
		return fmt.Errorf("--times is %d, want 1 or more", w.Times)
	}
	return w.prepare(cluster.PerMember, answerTimeout)
}

// Run waits.
func (w *waitCmd) Run(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, w.Timeout, fmt.Errorf("gave up after %v", w.Timeout))
	defer cancel()
	p := &progress{asking: &w.asking, times: w.Times, screen: screenOf(os.Stderr), began: time.Now(), told: "nothing yet"}
	answer, err := w.cluster.Wait(ctx, w.expression, w.Interval, w.Times, p.see)
	p.clear()
	if mistake := (*cluster.ExpressionError)(nil); errors.As(err, &mistake) && ctx.Err() == nil {
		return err
	}
	switch {
	case err == nil:
		p.say("holds %s on %s, after %v", countTimes(w.Times), countMembers(len(answer.Results)), time.Since(p.began).Round(time.Millisecond))
		return nil
	case ctx.Err() == nil:
		return err
	}
	return w.giveUp(ctx, p, answer)
}

// giveUp tells the last state, all of it, whatever was told before.
func (w *waitCmd) giveUp(ctx context.Context, p *progress, answer *cluster.Answer) error {
	why := context.Cause(ctx)
	if errors.Is(why, context.Canceled) {
		why = errors.New("interrupted")
	}
	if answer == nil {
		return &exitStatus{exitFailed, fmt.Errorf("%w before any member had answered", why)}
	}
	missing, away := p.missing(answer)
	if len(missing) == 0 {
		return &exitStatus{exitNotHeld, fmt.Errorf("%w: it held %s in a row on %s, want %d", why, countTimes(p.held), countMembers(len(answer.Results)), w.Times)}
	}
	code := exitNotHeld
	if away {
		code = exitFailed
	}
	return &exitStatus{code, fmt.Errorf("%w: %s", why, strings.Join(missing, "; "))}
}

// A progress tells people how waiting goes: a line at each change, and on a
// terminal a last line that is written over.
type progress struct {
	asking *asking
	times  int
	screen screen
	began  time.Time

	held  int    // so many times in a row now
	told  string // what was missing when it was last told
	shown bool   // the last line is there
}

// see is called with every answer.
func (p *progress) see(answer *cluster.Answer) {
	missing, _ := p.missing(answer)
	if p.held++; len(missing) > 0 {
		p.held = 0
	}
	p.clear()
	if now := strings.Join(missing, "\n"); now != p.told {
		for _, line := range missing {
			p.say("%s", line)
		}
		if len(missing) == 0 {
			p.say("holds now on %s", countMembers(len(answer.Results)))
		}
		p.told = now
	}
	if p.screen.rewrite {
		state := fmt.Sprintf("%v: waiting for %s", time.Since(p.began).Round(time.Second), p.asking.Expr)
		if p.held > 0 {
			state = fmt.Sprintf("%v: held %s of %d", time.Since(p.began).Round(time.Second), countTimes(p.held), p.times)
		}
		if p.screen.width > 1 {
			state = cut(state, p.screen.width-1)
		}
		fmt.Fprint(os.Stderr, p.screen.paint(bold, printable(state)))
		p.shown = true
	}
}

// clear takes the last line away.
func (p *progress) clear() {
	if p.shown {
		fmt.Fprint(os.Stderr, "\r\x1b[K")
		p.shown = false
	}
}

// say writes a line with the time.
func (p *progress) say(format string, args ...any) {
	text := printable(hidePasswords(oneLine(fmt.Sprintf(format, args...))))
	fmt.Fprintf(os.Stderr, "%s %s\n", time.Now().Format(time.TimeOnly), text)
}

// missing says of each member on which the condition does not hold why that is
// so, and whether one of them could not be asked.
func (p *progress) missing(answer *cluster.Answer) (missing []string, away bool) {
	for i, result := range answer.Results {
		report := &answer.Snapshot.Reports[i]
		holds, err := result.Holds()
		switch {
		case err != nil:
			missing = append(missing, memberError(result.Member, err).Error())
			away = away || report.Err != nil
		case !holds:
			line := fmt.Sprintf("%s: %s does not hold", result.Member, p.asking.Expr)
			for _, why := range []string{notUp(report), allDownAdvice(result)} {
				if why != "" {
					line += " (" + why + ")"
				}
			}
			missing = append(missing, line)
		}
	}
	return missing, away
}

func countTimes(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func countMembers(n int) string {
	if n == 1 {
		return "1 member"
	}
	return fmt.Sprintf("%d members", n)
}
