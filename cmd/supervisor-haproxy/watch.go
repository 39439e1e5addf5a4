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

type watchCmd struct {
	asking
	Timeout  time.Duration `default:"5s" help:"How long a member may take to answer."`
	Interval time.Duration `default:"1s" help:"How often to ask."`
	Count    int           `placeholder:"N" help:"End after so many lines; without it, at ^C."`
	Output   string        `short:"o" enum:"text,json" default:"text" help:"How a line looks: ${enum}."`
}

// Help is shown by watch --help.
func (w *watchCmd) Help() string {
	return `Asks again and again, and prints a line with the time and the value each time. What cannot be asked is told in the line, and on stderr when it changes.

Example:

  supervisor-haproxy watch 'sum(members, .web.rate)' unix:///run/haproxy/admin.sock tcp://10.0.0.2:8800`
}

// Validate reads the arguments, before anybody is asked.
func (w *watchCmd) Validate() error {
	switch {
	case w.Interval <= 0:
		return fmt.Errorf("--interval is %v, want more than 0", w.Interval)
	case w.Count < 0:
		return fmt.Errorf("--count is %d, want 1 or more", w.Count)
	}
	return w.prepare(cluster.OverMembers, w.Timeout)
}

// A watchLine is what watch --output json prints each time.
type watchLine struct {
	Time time.Time `json:"time"`
	queryAnswer
}

// Run asks until ctx ends. A mistake in the expression ends it at once, and a
// member that is away does not.
func (w *watchCmd) Run(ctx context.Context) error {
	ticks := time.NewTicker(w.Interval)
	defer ticks.Stop()
	told := map[string]string{}
	for n := 1; ; n++ {
		answer, err := w.cluster.Ask(ctx, w.expression)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		if err := w.print(answer); err != nil {
			return err
		}
		tellOfSilence(answer.Snapshot, told)
		if n == w.Count {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticks.C:
		}
	}
}

func (w *watchCmd) print(answer *cluster.Answer) error {
	result := answer.Results[0]
	plain, err := plainValue(result.Value)
	if err != nil {
		return err
	}
	at := answer.Snapshot.Taken
	if w.Output == "json" {
		return writeJSON(os.Stdout, watchLine{at, queryAnswer{w.Expr, plain, errorText(result.Err), memberStates(answer.Snapshot)}})
	}
	line := at.Format(time.RFC3339) + " " + printable(valueText(plain))
	if wrong := wrongWith(answer); wrong != nil {
		line += " (" + printable(oneLine(hidePasswords(wrong.Error()))) + ")"
	}
	_, err = fmt.Fprintln(os.Stdout, line)
	return err
}

// wrongWith is who could not be asked, or else what could not be computed.
func wrongWith(answer *cluster.Answer) error {
	if away := silent(answer.Snapshot); len(away) > 0 {
		return errors.Join(away...)
	}
	return answer.Results[0].Err
}

// tellOfSilence says on stderr who cannot be asked and who can again, each once.
func tellOfSilence(s *cluster.Snapshot, told map[string]string) {
	for _, r := range s.Reports {
		now := ""
		if r.Err != nil {
			now = memberError(r.Source, r.Err).Error()
		}
		switch {
		case now != "" && told[r.Source] == "":
			complain([]error{errors.New(now)})
		case now == "" && told[r.Source] != "":
			complain([]error{fmt.Errorf("%s: it answers again", r.Source)})
		}
		told[r.Source] = strings.TrimSpace(now)
	}
}
