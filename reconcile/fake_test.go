package reconcile_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/supervisor-haproxy/supervisor-haproxy/cluster"
	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
)

const (
	ready = haproxysock.Ready
	drain = haproxysock.Drain
	maint = haproxysock.Maint
)

// web names a server of the backend web.
func web(server string) haproxysock.ServerName {
	return haproxysock.ServerName{Backend: "web", Server: server}
}

type observed = cluster.Observed

// A fake is a HAProxy in memory. Its clock is the bubble's.
type fake struct {
	name string

	mu        sync.Mutex
	process   haproxysock.Process
	servers   map[string]*server // of the backend web; one that is missing is refused
	exchanges []*exchange
	changed   chan struct{} // closed when the faults below change

	// Faults.
	refuses  bool          // connections are refused
	hung     bool          // nothing is heard; what was said is heard when it ends, and lateBy later
	deaf     bool          // all is heard and nothing answered
	garbled  bool          // an answer about other servers
	lateBy   time.Duration // what was said while it hung is done so much later
	before   time.Duration // how long a line takes to be done
	after    time.Duration // and how long its answer is on the way
	newEach  bool          // each answer comes from another process
	lateTill time.Time     // when the last late command will have been done
	late     sync.WaitGroup
}

// A server is what a fake knows of one.
type server struct {
	asked   haproxysock.AdminState
	boots   haproxysock.AdminState // what the configuration has
	checked bool                   // becomes ready by way of its check
	hides   bool                   // its row does not tell what was asked
	opaque  bool                   // nor does anything else
	stays   haproxysock.AdminState // it says yes and goes there
	denied  error                  // it is refused
	checks  bool                   // its check passes
	down    bool
	stuck   bool
	unheard bool // its check is gone, and the gate closes behind it
}

// An exchange is one call.
type exchange struct {
	began, ended time.Time
	targets      []cluster.Target
	report       cluster.Applied
	err          error
}

func newFake(name string, servers ...string) *fake {
	f := &fake{name: name, servers: map[string]*server{}, changed: make(chan struct{})}
	f.process = haproxysock.Process{Pid: 100, Started: time.Now(), Exact: true, Nbproc: 1}
	for _, s := range servers {
		f.servers[s] = &server{asked: ready, boots: ready, checks: true}
	}
	return f
}

func (f *fake) String() string { return f.name }

// fault changes the fake in one go.
func (f *fake) fault(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
	close(f.changed)
	f.changed = make(chan struct{})
}

// restart has it forget what it was told.
func (f *fake) restart() {
	f.fault(f.boot)
}

func (f *fake) boot() {
	f.process.Pid++
	f.process.Started = time.Now()
	for _, s := range f.servers {
		s.asked, s.down, s.stuck = s.boots, false, false
	}
}

func (f *fake) Apply(ctx context.Context, targets []cluster.Target) (cluster.Applied, error) {
	f.mu.Lock()
	x := &exchange{began: time.Now(), targets: slices.Clone(targets)}
	f.exchanges = append(f.exchanges, x)
	f.mu.Unlock()
	report, err := f.apply(ctx, targets)
	f.mu.Lock()
	defer f.mu.Unlock()
	x.ended, x.report, x.err = time.Now(), report, err
	return report, err
}

func (f *fake) apply(ctx context.Context, targets []cluster.Target) (cluster.Applied, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.wait(ctx, f.before); err != nil {
		return cluster.Applied{}, err
	}
	for f.hung {
		if err := f.change(ctx); err != nil {
			f.hearLate(targets)
			return cluster.Applied{}, err
		}
	}
	if f.refuses {
		return cluster.Applied{}, errors.New("connection refused")
	}
	if f.newEach {
		f.process.Pid++
	}
	report := f.do(targets)
	for f.deaf {
		if err := f.change(ctx); err != nil {
			return cluster.Applied{}, err
		}
	}
	if f.garbled {
		report.Servers = append(report.Servers, cluster.Observed{Server: web("nobody")})
	}
	return report, f.wait(ctx, f.after)
}

// wait lets time pass without the mutex.
func (f *fake) wait(ctx context.Context, d time.Duration) error {
	f.mu.Unlock()
	defer f.mu.Lock()
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// change waits for another fault, without the mutex.
func (f *fake) change(ctx context.Context) error {
	changed := f.changed
	f.mu.Unlock()
	defer f.mu.Lock()
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// hearLate does targets some time after the fake hangs no more.
func (f *fake) hearLate(targets []cluster.Target) {
	changed, by := f.changed, f.lateBy
	f.late.Go(func() {
		<-changed
		f.mu.Lock()
		f.lateTill = later(f.lateTill, time.Now().Add(by))
		f.mu.Unlock()
		<-time.After(by)
		f.mu.Lock()
		defer f.mu.Unlock()
		f.do(targets)
	})
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// do carries out a line.
func (f *fake) do(targets []cluster.Target) cluster.Applied {
	report := cluster.Applied{Process: f.process}
	for _, t := range targets {
		report.Servers = append(report.Servers, f.servers[t.Server.Server].set(t))
	}
	return report
}

func (s *server) set(t cluster.Target) cluster.Observed {
	o := cluster.Observed{Server: t.Server}
	if s == nil {
		o.Err = haproxysock.ErrNoServer
		return o
	}
	if s.checks && !s.stuck {
		s.down = false
	}
	switch {
	case t.State == "":
	case s.denied != nil:
		o.Err = s.denied
	case t.State == ready && s.stuck:
		s.down, s.stuck = false, false
	case t.State == ready && s.checked && s.asked != ready:
		s.asked, s.down, s.stuck, o.Gated = ready, true, s.unheard, true
	default:
		s.asked = t.State
	}
	if t.State != "" && s.stays != "" {
		s.asked = s.stays
	}
	switch {
	case s.asked == maint:
		o.Status = "MAINT"
	case s.down || s.hides:
		o.Status = "DOWN"
	case s.asked == drain:
		o.Status = "DRAIN"
	default:
		o.Status = "UP"
	}
	if !s.opaque && (o.Status != "DOWN" || t.Certain && !o.Gated) {
		o.Asked = s.asked
		o.Stuck = s.stuck && s.asked == ready
	}
	return o
}
