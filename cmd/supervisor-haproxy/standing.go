package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/supervisor-haproxy/supervisor-haproxy/cluster"
	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
)

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
