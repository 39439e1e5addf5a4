package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
)

// A Socket is a [Member] behind its admin socket. Its calls are made one at a
// time.
type Socket struct {
	Client haproxysock.Client

	mu      sync.Mutex
	process haproxysock.Process // whose numbers the places are
	places  map[haproxysock.ServerName]place
}

// A place is what has to be known of a server before it can be told anything in
// one line.
type place struct {
	id      int  // 0: not known, or the member has no such server
	checked bool // HAProxy's own check will raise it
	tracked bool // it follows another server's check
	stuck   bool // down, and no check will raise it: "health down" was said of it
}

// String is the socket's address.
func (s *Socket) String() string { return s.Client.Addr.String() }

// Apply is [Member.Apply]. It takes one round trip, and a second one where a row
// does not tell; after a restart of HAProxy its servers' numbers are read anew.
func (s *Socket) Apply(ctx context.Context, targets []Target) (Report, error) {
	s.mu.Lock()
	defer s.mu.Unlock()

	report, err := s.exchange(ctx, targets)
	if errors.Is(err, errMoved) || errors.Is(err, haproxysock.ErrRestarted) {
		s.places = nil
		report, err = s.exchange(ctx, targets)
	}
	if err != nil {
		return Report{}, err
	}
	if report.Process.Nbproc > 1 {
		return Report{}, fmt.Errorf("%s: nbproc is %d, and each process has a state of its own: want nbproc 1", s, report.Process.Nbproc)
	}
	if report.Process.Stopping {
		return Report{}, fmt.Errorf("%s: process %d is an old one that only finishes its sessions", s, report.Process.Pid)
	}
	return report, s.makeCertain(ctx, targets, &report)
}

// errMoved says that numbers learned before are another process's.
var errMoved = errors.New("haproxy was restarted and numbers its servers anew")

// exchange learns what it has to and sends all targets.
func (s *Socket) exchange(ctx context.Context, targets []Target) (Report, error) {
	if err := s.learn(ctx, targets); err != nil {
		return Report{}, err
	}
	report := Report{Servers: make([]Observed, len(targets))}
	var changes []haproxysock.Change
	var sent []int // which target each change is
	for i, t := range targets {
		at := s.places[t.Server]
		report.Servers[i] = Observed{Server: t.Server}
		if at.id == 0 {
			report.Servers[i].Err = s.missing(t.Server)
			continue
		}
		changes = append(changes, haproxysock.Change{Server: t.Server, ID: at.id, To: at.transition(t.State)})
		sent = append(sent, i)
	}
	sights, process, err := s.Client.Apply(ctx, changes)
	if err != nil {
		return Report{}, err
	}
	if s.process.Pid != 0 && !s.process.Same(process) {
		s.process = process
		return Report{}, errMoved
	}
	s.process, report.Process = process, process
	for n, sight := range sights {
		o := &report.Servers[sent[n]]
		o.Err = sight.Err
		at := s.places[o.Server]
		if !sight.Found {
			delete(s.places, o.Server)
			if o.Err == nil {
				o.Err = s.missing(o.Server)
			}
			continue
		}
		at.tracked = sight.Stat.Tracked != ""
		s.places[o.Server] = at
		o.Status = sight.Stat.Status
		o.Asked, _ = askedBy(sight.Stat)
		o.Gated = changes[n].To == haproxysock.ToReadyWhenChecked && o.Err == nil
	}
	return report, nil
}

func (s *Socket) missing(name haproxysock.ServerName) error {
	return fmt.Errorf("%s: %s: %w", s, name, haproxysock.ErrNoServer)
}

// transition chooses the way into a state.
func (p place) transition(state haproxysock.AdminState) haproxysock.Transition {
	switch {
	case state == haproxysock.Maint:
		return haproxysock.ToMaint
	case state == haproxysock.Drain:
		return haproxysock.ToDrain
	case state == haproxysock.Ready && p.checked:
		return haproxysock.ToReadyWhenChecked
	case state == haproxysock.Ready && p.stuck && !p.tracked:
		return haproxysock.ToReadyAndUp
	case state == haproxysock.Ready:
		return haproxysock.ToReady
	}
	return haproxysock.Look
}

// learn looks up the targets that have no place yet.
func (s *Socket) learn(ctx context.Context, targets []Target) error {
	if s.places == nil {
		s.places = map[haproxysock.ServerName]place{}
	}
	unknown := map[haproxysock.ServerName]bool{}
	backends := map[string]bool{}
	for _, t := range targets {
		if s.places[t.Server].id == 0 {
			unknown[t.Server] = true
			backends[t.Server.Backend] = true
		}
	}
	for backend := range backends {
		err := s.Client.ScanServerStates(ctx, backend, func(st *haproxysock.ServerState) error {
			if unknown[st.Name] {
				s.places[st.Name] = s.places[st.Name].with(st)
			}
			return nil
		})
		if err != nil && !errors.Is(err, haproxysock.ErrNoBackend) {
			return err
		}
	}
	return nil
}

// with takes in what the state table says. An agent has its own say in the admin
// state, so a server with one is not sent through the check.
func (p place) with(st *haproxysock.ServerState) place {
	p.id = st.ID
	p.checked = st.Check.Enabled() && !st.Agent.Enabled()
	p.stuck = st.Op == haproxysock.OpStopped && st.Admin.InRotation() && !st.Check.Enabled() && !st.Agent.Enabled()
	return p
}

// makeCertain reads the state tables of backends with a server whose row did not
// tell what was asked of it, where that has to be certain.
func (s *Socket) makeCertain(ctx context.Context, targets []Target, report *Report) error {
	open := map[haproxysock.ServerName]*Observed{}
	backends := map[string]bool{}
	for i, t := range targets {
		if o := &report.Servers[i]; t.Certain && o.Asked == "" && o.Status != "" {
			open[t.Server] = o
			backends[t.Server.Backend] = true
		}
	}
	for backend := range backends {
		err := s.Client.ScanServerStates(ctx, backend, func(st *haproxysock.ServerState) error {
			if o := open[st.Name]; o != nil {
				at := s.places[st.Name].with(st)
				s.places[st.Name] = at
				o.Asked = st.Admin.Asked()
				o.Stuck = at.stuck && !at.tracked
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
