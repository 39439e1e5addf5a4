package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
)

// A Socket is a [Member] behind its admin socket. Its calls are made one at a
// time.
type Socket struct {
	Client haproxysock.Client

	mu      sync.Mutex
	process haproxysock.Process               // who answered last
	places  map[haproxysock.ServerName]*place // that process's servers
}

// A step is one target of a call and what is seen of it.
type step struct {
	Target
	seen *Observed
}

// found reports whether the server's row was there.
func (s step) found() bool { return s.seen.Status != "" }

// String is the socket's address.
func (s *Socket) String() string { return s.Client.Addr.String() }

// Apply is [Member.Apply]. It takes one round trip. Further ones follow where a
// row does not tell, where a server is to go through HAProxy's check (it must not
// be ready, so it is looked at first), and for servers that are new to us.
func (s *Socket) Apply(ctx context.Context, targets []Target) (Applied, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	report, err := s.apply(ctx, targets)
	if errors.Is(err, haproxysock.ErrRestarted) {
		looks := slices.Clone(targets)
		for i := range looks {
			looks[i].State = ""
		}
		report, err = s.apply(ctx, looks)
	}
	if err != nil {
		return Applied{}, err
	}
	return report, nil
}

func (s *Socket) apply(ctx context.Context, targets []Target) (Applied, error) {
	report := Applied{Servers: make([]Observed, len(targets))}
	var steps []step
	for i, t := range targets {
		o := &report.Servers[i]
		o.Server = t.Server
		if err := t.Server.Validate(); err != nil { // one bad name must not spoil the line for all
			o.Err = fmt.Errorf("%s: server name %q: %w", s, t.Server, err)
			continue
		}
		steps = append(steps, step{t, o})
	}
	if err := s.learn(ctx, steps); err != nil {
		return report, err
	}
	if err := s.round(ctx, steps, (*place).first); err != nil {
		return report, err
	}
	if err := s.relearn(ctx, steps); err != nil {
		return report, err
	}
	err := s.makeCertain(ctx, pick(steps, func(st step) bool {
		return st.Certain || st.State == haproxysock.Ready && s.places[st.Server].careful()
	}))
	if err != nil {
		return report, err
	}
	raise := pick(steps, func(st step) bool {
		return st.State == haproxysock.Ready && st.seen.Err == nil && s.places[st.Server].careful() &&
			(st.seen.Asked != haproxysock.Ready || st.seen.Stuck)
	})
	if len(raise) > 0 {
		if err := s.round(ctx, raise, (*place).way); err != nil {
			return report, err
		}
		err := s.makeCertain(ctx, pick(raise, func(st step) bool { return st.Certain && !st.seen.Gated }))
		if err != nil {
			return report, err
		}
	}
	report.Process = s.process
	return report, nil
}

func pick(steps []step, want func(step) bool) []step {
	var picked []step
	for _, st := range steps {
		if want(st) {
			picked = append(picked, st)
		}
	}
	return picked
}

// round tells each server once and reads it back, all in one round trip.
func (s *Socket) round(ctx context.Context, steps []step, way func(*place, haproxysock.AdminState) haproxysock.Transition) error {
	steps = pick(steps, func(st step) bool { return s.places[st.Server] != nil })
	changes := make([]haproxysock.Change, len(steps))
	for i, st := range steps {
		at := s.places[st.Server]
		changes[i] = haproxysock.Change{Server: st.Server, ID: at.id, To: way(at, st.State)}
	}
	sights, err := s.say(ctx, changes)
	if err != nil {
		return err
	}
	for i, sight := range sights {
		o := steps[i].seen
		*o = Observed{Server: o.Server, Err: sight.Err}
		if !sight.Found {
			continue
		}
		o.Status = sight.Stat.Status
		o.Asked = sight.Stat.Asked()
		o.Gated = changes[i].To == haproxysock.ToReadyWhenChecked && o.Err == nil
		at := s.places[o.Server]
		at.tracked = sight.Stat.Tracked != ""
		at.stuck = at.stuck && !at.tracked && !o.Status.Up()
		o.Unchecked = !at.checked && !at.agent && !at.tracked
	}
	return nil
}

// say sends changes to the process that we know the places of.
func (s *Socket) say(ctx context.Context, changes []haproxysock.Change) ([]haproxysock.Sight, error) {
	sights, process, err := s.Client.Apply(ctx, changes)
	if err == nil && s.process.Pid != 0 && !s.process.Same(process) {
		err = fmt.Errorf("%s: process %d answered, and process %d before: %w", s, process.Pid, s.process.Pid, haproxysock.ErrRestarted)
	}
	if errors.Is(err, haproxysock.ErrRestarted) {
		s.process, s.places = process, nil
	}
	if err != nil {
		return nil, err
	}
	s.process = process
	switch {
	case process.Nbproc > 1:
		return nil, fmt.Errorf("%s: nbproc is %d, and each process has a state of its own: want nbproc 1", s, process.Nbproc)
	case process.Stopping:
		return nil, fmt.Errorf("%s: process %d is an old one that only finishes its sessions", s, process.Pid)
	}
	return sights, nil
}
