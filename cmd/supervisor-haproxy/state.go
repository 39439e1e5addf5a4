package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
)

// stateFlags are those of drain, ready and maint.
//
// These commands tell members themselves and not through package reconcile. What
// that adds is for one who stays: it keeps a wish against reloads and outages, and
// stands back when somebody else's word differs. Here a person has the last word,
// says it once, and wants to know at once where it was not heard; with --wait, the
// two things that are left are below: a member that was away is told when it
// answers, and one that was restarted is told again.
type stateFlags struct {
	memberFlags
	Wait    bool          `help:"Wait until it has come true on every member."`
	Timeout time.Duration `default:"5m" help:"How long to wait, with --wait."`
	Output  string        `short:"o" enum:"text,json" default:"text" help:"How the lines look: ${enum}."`
	Server  []string      `arg:"" name:"backend/server" help:"The servers."`

	members []member
	servers []haproxysock.ServerName
}

// waitInterval is the pause between two looks at all members.
const waitInterval = 500 * time.Millisecond

// Validate reads the arguments, before anybody is told anything.
func (f *stateFlags) Validate() error {
	for _, text := range f.Server {
		name, err := haproxysock.ParseServerName(text)
		if err != nil {
			return err
		}
		if slices.Contains(f.servers, name) {
			return fmt.Errorf("server name %q is there twice", text)
		}
		f.servers = append(f.servers, name)
	}
	if f.Timeout <= 0 {
		return fmt.Errorf("--timeout is %v, want more than 0", f.Timeout)
	}
	var err error
	f.members, err = parseMembers(f.Member, memberOptions{memberFlags: f.memberFlags, Timeout: answerTimeout})
	if err != nil {
		return err
	}
	for _, m := range f.members {
		if m.told == nil {
			return fmt.Errorf("address %q: a saved file cannot be told anything, want an admin socket or a statistics page with \"stats admin\"", m)
		}
	}
	return nil
}

const stateHelp = `Tells every member at the same time, reads back what it shows, and prints a line for each member and server. Ends with 0 when all is done, with 1 if a member was not reached or refused, and with 2 if what --wait waits for did not come true in time.

` + membersHelp

type drainCmd struct{ stateFlags }

// Help is shown by drain --help.
func (drainCmd) Help() string {
	return `A server that drains gets no new requests, but those that persistence sends it. --wait waits until no session and no queued request is left on any member.

` + stateHelp + `

Example:

  supervisor-haproxy drain -m unix:///run/haproxy1.sock -m http://user:password@lb2/stats --wait --timeout 1m web/web01`
}

// Run drains.
func (c *drainCmd) Run(ctx context.Context) error { return c.run(ctx, haproxysock.Drain) }

type readyCmd struct{ stateFlags }

// Help is shown by ready --help.
func (readyCmd) Help() string {
	return `A server that HAProxy checks gets requests after its next good checks, and any other at once. --wait waits until every member shows it UP, or unchecked, with a weight above 0.

` + stateHelp + `

Example:

  supervisor-haproxy ready -m unix:///run/haproxy1.sock -m tcp://10.0.0.2:8800 --wait web/web01 web/web02`
}

// Run puts back.
func (c *readyCmd) Run(ctx context.Context) error { return c.run(ctx, haproxysock.Ready) }

type maintCmd struct{ stateFlags }

// Help is shown by maint --help.
func (maintCmd) Help() string {
	return `A server in maintenance gets no requests at all and is not checked. Those that it has in hand go on. --wait waits until every member shows it.

` + stateHelp + `

Example:

  supervisor-haproxy maint -m unix:///run/haproxy1.sock -m tcp://10.0.0.2:8800 web/web01`
}

// Run takes out.
func (c *maintCmd) Run(ctx context.Context) error { return c.run(ctx, haproxysock.Maint) }

// run tells all members, and with --wait looks at them until it has come true.
func (f *stateFlags) run(ctx context.Context, state haproxysock.AdminState) error {
	var all []*setting
	for _, m := range f.members {
		all = append(all, newSetting(m, state, f.servers))
	}
	if !f.Wait {
		f.round(ctx, all)
		return f.tell(all, (*standing).missing, context.Cause(ctx))
	}
	waiting, cancel := context.WithTimeoutCause(ctx, f.Timeout, fmt.Errorf("waited for %v", f.Timeout))
	defer cancel()
	last := lastLine{screen: screenOf(os.Stderr)}
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		f.round(waiting, all)
		open, hopeless := survey(all)
		if open == nil || hopeless || waiting.Err() != nil {
			break
		}
		last.show(open.line(open.pending()))
		pause.Reset(waitInterval)
		select {
		case <-waiting.Done():
		case <-pause.C:
		}
	}
	last.show("")
	return f.tell(all, (*standing).pending, context.Cause(waiting))
}

// round tells or looks at all members at the same time.
func (f *stateFlags) round(ctx context.Context, all []*setting) {
	var members sync.WaitGroup
	for _, s := range all {
		members.Go(func() { s.round(ctx) })
	}
	members.Wait()
}

// survey finds one that is waited for, and whether waiting for it is in vain.
func survey(all []*setting) (open *standing, hopeless bool) {
	for _, s := range all {
		for _, at := range s.servers {
			if at.pending() != nil {
				open = cmp.Or(open, at)
			}
			hopeless = hopeless || at.final
		}
	}
	return open, hopeless
}

// tell prints a line for each member and server, and sums up in an error what is
// left.
func (f *stateFlags) tell(all []*setting, why func(*standing) error, cause error) error {
	total, open, failed := 0, 0, false
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	for _, s := range all {
		for _, at := range s.servers {
			reason := why(at)
			total++
			if reason != nil {
				open++
				failed = failed || at.err != nil || !f.Wait
			}
			var err error
			if f.Output == "json" {
				err = encoder.Encode(at.json(reason))
			} else {
				_, err = fmt.Println(at.line(reason))
			}
			if err != nil {
				return err
			}
		}
	}
	if open == 0 {
		return nil
	}
	err := fmt.Errorf("%d of %d not done", open, total)
	if errors.Is(cause, context.Canceled) {
		cause = errors.New("interrupted")
	}
	if cause != nil {
		err = fmt.Errorf("%w, %d of %d not done", cause, open, total)
	}
	if failed {
		return &exitStatus{exitFailed, err}
	}
	return &exitStatus{exitNotHeld, err}
}

// A lastLine is a line on a terminal that is written over; elsewhere, nothing.
type lastLine struct {
	screen screen
	shown  bool
}

func (l *lastLine) show(text string) {
	if !l.screen.rewrite {
		return
	}
	if l.screen.width > 1 {
		text = cut(text, l.screen.width-1)
	}
	if l.shown {
		text = "\r\x1b[K" + text
	}
	fmt.Fprint(os.Stderr, text)
	l.shown = true
}
