package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/supervisor-haproxy/supervisor-haproxy/cluster"
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

// A standing is where a server stands on one member.
type standing struct {
	Member   string
	Server   haproxysock.ServerName
	State    haproxysock.AdminState // what was asked for
	Status   haproxysock.Status     // as last seen; empty if never
	Sessions int64
	Queued   int64
	Asked    haproxysock.AdminState // as last seen, "" if it was not to be seen
	Weight   int64

	set    bool  // seen in State once, in the member's present process
	looked bool  // Sessions, Queued and Weight are known
	err    error // why it is not known, or not done
	final  bool  // err stands whatever is tried: a refusal, or no such server
}

// missing is what keeps the state from having come true, or nil.
func (s *standing) missing() error {
	switch {
	case s.err != nil:
		return s.err
	case !s.set && s.Asked == "":
		return errors.New("not told yet")
	case s.set && s.State == haproxysock.Drain && s.Asked == haproxysock.Maint:
		return nil // nobody gets in there either
	case !s.set, s.Asked != "" && s.Asked != s.State:
		return fmt.Errorf("somebody else, or an agent, has changed it: %s, want %s", s.Status, s.State)
	}
	return nil
}

// pending is what --wait still waits for, or nil.
func (s *standing) pending() error {
	if err := s.missing(); err != nil {
		return err
	}
	if !s.looked {
		return errors.New("not looked at yet")
	}
	switch s.State {
	case haproxysock.Drain:
		if s.Sessions > 0 || s.Queued > 0 {
			return fmt.Errorf("%s, %s left", s.Status, s.load())
		}
	case haproxysock.Ready:
		if !s.Status.Up() {
			return fmt.Errorf("%s, want UP", s.Status)
		}
		if s.Weight == 0 {
			return fmt.Errorf("%s with weight 0, want more", s.Status)
		}
	}
	return nil
}

func (s *standing) load() string {
	text := fmt.Sprintf("%d sessions", s.Sessions)
	if s.Sessions == 1 {
		text = "1 session"
	}
	if s.Queued > 0 {
		text += fmt.Sprintf(" and %d queued", s.Queued)
	}
	return text
}

// place is whom and what a line is about.
func (s *standing) place() string { return s.Member + ": " + s.Server.String() }

// line is the standing as text; why says what is wrong with it, if anything.
func (s *standing) line(why error) string {
	text := fmt.Sprintf("%s: %s (%s), %s", s.place(), s.State, s.Status, s.load())
	if why != nil {
		text = s.place() + ": " + s.short(why)
		if s.err != nil && s.looked {
			text += fmt.Sprintf(" (last seen: %s, %s)", s.Status, s.load())
		}
	}
	return printable(text)
}

// short is an error without what its line says in front of it.
func (s *standing) short(err error) string {
	text := strings.TrimPrefix(err.Error(), s.Member+": ")
	text = hidePasswords(strings.TrimPrefix(text, s.Server.String()+": "))
	return strings.Join(strings.Fields(text), " ")
}

// A standingJSON is a line of --output json.
type standingJSON struct {
	Member   string                 `json:"member"`
	Server   haproxysock.ServerName `json:"server"`
	State    haproxysock.AdminState `json:"state"`
	Done     bool                   `json:"done"`
	Status   *haproxysock.Status    `json:"status"`
	Sessions *int64                 `json:"sessions"`
	Queued   *int64                 `json:"queued"`
	Error    *string                `json:"error"`
}

func (s *standing) json(why error) standingJSON {
	j := standingJSON{Member: s.Member, Server: s.Server, State: s.State, Done: why == nil}
	if s.Status != "" {
		j.Status = &s.Status
	}
	if s.looked {
		j.Sessions, j.Queued = &s.Sessions, &s.Queued
	}
	if why != nil {
		text := s.short(why)
		j.Error = &text
	}
	return j
}

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

// A setting is one member and the servers that are to be brought into a state
// there.
type setting struct {
	member
	servers []*standing
	process haproxysock.Process
}

func newSetting(m member, state haproxysock.AdminState, servers []haproxysock.ServerName) *setting {
	s := &setting{member: m}
	for _, name := range servers {
		s.servers = append(s.servers, &standing{Member: m.String(), Server: name, State: state})
	}
	return s
}

// maxTries is how often a member is told in one round: it may be restarted right
// behind the first time, and one sent through its check is proven by the second.
const maxTries = 3

// round brings servers into their state that are not known to be, and looks at
// the others.
func (s *setting) round(ctx context.Context) {
	answer, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	err := s.tell(answer)
	if err == nil {
		err = s.look(answer)
	}
	if err == nil { // rows do not say of which process they are
		targets, _ := s.targets()
		err = s.apply(answer, targets)
	}
	if err == nil {
		return
	}
	refusal := (*haproxysock.CommandError)(nil)
	for _, at := range s.servers {
		if at.final || gaveUp(ctx, err) && (at.looked || at.err != nil) {
			continue // what was seen last stands
		}
		at.err, at.final = err, errors.As(err, &refusal)
	}
}

// gaveUp reports whether err is the end of ctx. The network keeps its deadline
// with a clock of its own, which may be ahead.
func gaveUp(ctx context.Context, err error) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && errors.Is(err, context.DeadlineExceeded) && time.Until(deadline) < 50*time.Millisecond
}

// tell sets and sees.
func (s *setting) tell(ctx context.Context) error {
	for try := 0; ; try++ {
		targets, tell := s.targets()
		if try > 0 && (!tell || try == maxTries) {
			return nil
		}
		if err := s.apply(ctx, targets); err != nil {
			return err
		}
	}
}

// apply asks once. What is known of another process than the one that answers is
// forgotten, as what it was told is.
func (s *setting) apply(ctx context.Context, targets []cluster.Target) error {
	applied, err := s.told.Apply(ctx, targets)
	if err != nil {
		return err
	}
	if s.process.Pid != 0 && !s.process.Same(applied.Process) {
		for _, at := range s.servers {
			at.set, at.looked = false, false
		}
	}
	s.process = applied.Process
	for i, o := range applied.Servers {
		if at := s.servers[i]; !at.final {
			at.saw(o)
		}
	}
	return nil
}

// targets asks for the state where it was not seen yet.
func (s *setting) targets() (targets []cluster.Target, tell bool) {
	for _, at := range s.servers {
		target := cluster.Target{Server: at.Server, Certain: true}
		if !at.set && !at.final {
			target.State, tell = at.State, true
		}
		targets = append(targets, target)
	}
	return targets, tell
}

// saw takes in what Apply saw. A server that went through its check is ready, and
// not proven to be: the next look does that.
func (at *standing) saw(o cluster.Observed) {
	at.err, at.final = o.Err, o.Err != nil
	if o.Err != nil {
		return
	}
	at.Status, at.Asked = o.Status, o.Asked
	at.set = at.set || o.Asked == at.State && !o.Stuck
}

var lookColumns = []string{"pxname", "svname", "status", "scur", "qcur", "weight"}

// look reads the rows: who is left, and what HAProxy makes of the server.
func (s *setting) look(ctx context.Context) error {
	var filters []haproxysock.StatFilter
	wanted := map[haproxysock.ServerName]*standing{}
	for _, at := range s.servers {
		if at.final {
			continue
		}
		wanted[at.Server] = at
		filter := haproxysock.StatFilter{Proxy: at.Server.Backend, Kinds: haproxysock.Servers}
		if !slices.Contains(filters, filter) {
			filters = append(filters, filter)
		}
	}
	if len(filters) == 0 {
		return nil
	}
	err := s.ScanStats(ctx, filters, lookColumns, func(row *haproxysock.StatScanner) error {
		name := haproxysock.ServerName{Backend: row.Text(0), Server: row.Text(1)}
		at := wanted[name]
		if at == nil {
			return nil
		}
		var known [3]bool
		at.Status = haproxysock.Status(row.Text(2))
		at.Sessions, known[0] = row.Int(3)
		at.Queued, known[1] = row.Int(4)
		at.Weight, known[2] = row.Int(5)
		if known != [3]bool{true, true, true} {
			return fmt.Errorf("%s: %s: a row without numbers in scur, qcur and weight", s, name)
		}
		at.looked = true
		delete(wanted, name)
		return nil
	})
	if err != nil {
		return err
	}
	for _, at := range wanted {
		at.err, at.final = fmt.Errorf("%s: %s: %w", s, at.Server, haproxysock.ErrNoServer), true
	}
	return nil
}
