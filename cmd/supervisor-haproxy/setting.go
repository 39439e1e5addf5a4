package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/supervisor-haproxy/supervisor-haproxy/cluster"
	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
)

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
