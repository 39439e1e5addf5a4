package cluster

import (
	"context"
	"errors"
	"fmt"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
)

// A place is what has to be known of a server before it can be told anything in
// one line.
type place struct {
	id      int  // its number, which the row is asked for by
	checked bool // HAProxy's own check will raise it
	agent   bool // an agent has a say in its state
	tracked bool // it follows another server's check
	stuck   bool // ready and down, and no check will raise it: "health down" was said of it
}

// take takes in what the state table says. An agent has its own say in the admin
// state, so a server with one is not sent through the check.
func (p *place) take(st *haproxysock.ServerState) {
	p.id = st.ID
	p.agent = st.Agent.Enabled()
	p.checked = st.Check.Enabled() && !p.agent
	p.stuck = st.Op == haproxysock.OpStopped && st.Admin.InRotation() && !st.Check.Enabled() && !p.agent && !p.tracked
}

// careful reports whether the way to ready depends on what the server is in now.
func (p *place) careful() bool { return p != nil && (p.checked || p.stuck) }

// first is the way to state as far as it can be gone before the server is seen.
func (p *place) first(state haproxysock.AdminState) haproxysock.Transition {
	if state == haproxysock.Ready && p.careful() {
		return haproxysock.Look
	}
	return p.way(state)
}

// way is the way to state; to ready, of a server that is not ready yet.
func (p *place) way(state haproxysock.AdminState) haproxysock.Transition {
	switch {
	case state == haproxysock.Maint:
		return haproxysock.ToMaint
	case state == haproxysock.Drain:
		return haproxysock.ToDrain
	case state == haproxysock.Ready && p.checked:
		return haproxysock.ToReadyWhenChecked
	case state == haproxysock.Ready && p.stuck:
		return haproxysock.ToReadyAndUp
	case state == haproxysock.Ready:
		return haproxysock.ToReady
	}
	return haproxysock.Look
}

// learn looks up the servers that have no place yet.
func (s *Socket) learn(ctx context.Context, steps []step) error {
	if s.places == nil {
		s.places = map[haproxysock.ServerName]*place{}
	}
	unknown := pick(steps, func(st step) bool { return s.places[st.Server] == nil })
	noBackend, err := s.scan(ctx, unknown, func(st step, state *haproxysock.ServerState) {
		s.places[st.Server] = &place{}
		s.places[st.Server].take(state)
	})
	for _, st := range unknown {
		if s.places[st.Server] != nil {
			continue
		}
		why := haproxysock.ErrNoServer
		if noBackend[st.Server.Backend] {
			why = haproxysock.ErrNoBackend
		}
		*st.seen = Observed{Server: st.Server, Err: fmt.Errorf("%s: %s: %w", s, st.Server, why)}
	}
	return err
}

// relearn goes after servers that were not where we thought: deleted and added
// again at run time, they have new numbers, or were learned from a process that
// ended just then.
func (s *Socket) relearn(ctx context.Context, steps []step) error {
	lost := pick(steps, func(st step) bool { return s.places[st.Server] != nil && !st.found() })
	if len(lost) == 0 {
		return nil
	}
	for _, st := range lost {
		delete(s.places, st.Server)
	}
	if err := s.learn(ctx, lost); err != nil {
		return err
	}
	if err := s.round(ctx, lost, (*place).first); err != nil {
		return err
	}
	for _, st := range lost {
		if s.places[st.Server] != nil && !st.found() {
			delete(s.places, st.Server)
			if st.seen.Err == nil { // the state table has them, and statistics do not
				st.seen.Err = fmt.Errorf("%s: %s: %w", s, st.Server, haproxysock.ErrDisabled)
			}
		}
	}
	return nil
}

// makeCertain reads the state tables of backends with a server whose row did not
// tell what was asked of it.
func (s *Socket) makeCertain(ctx context.Context, steps []step) error {
	open := pick(steps, func(st step) bool { return st.found() && st.seen.Asked == "" })
	if len(open) == 0 {
		return nil
	}
	_, err := s.scan(ctx, open, func(st step, state *haproxysock.ServerState) {
		at := s.places[st.Server]
		at.take(state)
		st.seen.Asked, st.seen.Stuck = state.Admin.Asked(), at.stuck
	})
	if err != nil {
		return err
	}
	_, err = s.say(ctx, nil) // a table does not say whose it is
	return err
}

// scan reads the state tables of the steps' backends, and tells which of these
// there are none of.
func (s *Socket) scan(ctx context.Context, steps []step, each func(step, *haproxysock.ServerState)) (noBackend map[string]bool, err error) {
	backends := map[string]map[haproxysock.ServerName][]step{}
	for _, st := range steps {
		name := st.Server
		if backends[name.Backend] == nil {
			backends[name.Backend] = map[haproxysock.ServerName][]step{}
		}
		backends[name.Backend][name] = append(backends[name.Backend][name], st)
	}
	noBackend = map[string]bool{}
	for backend, wanted := range backends {
		err := s.Client.ScanServerStates(ctx, backend, func(state *haproxysock.ServerState) error {
			for _, st := range wanted[state.Name] {
				each(st, state)
			}
			return nil
		})
		if errors.Is(err, haproxysock.ErrNoBackend) {
			noBackend[backend] = true
		} else if err != nil {
			return noBackend, err
		}
	}
	return noBackend, nil
}
