package reconcile

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"slices"
	"time"

	"github.com/supervisor-haproxy/supervisor-haproxy/cluster"
	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
)

const (
	firstBackoff = 100 * time.Millisecond // at most, after the first miss; doubled from then on
	lastBackoff  = 2 * time.Second
	refusedRetry = 2 * time.Second // a refusal stands until somebody changes the configuration
)

// backoff is how long to leave alone what has missed so many times before: half
// of it at least, so that many who wait do not come at once.
func backoff(misses int) time.Duration {
	most := min(firstBackoff<<min(misses, 10), lastBackoff)
	return most/2 + rand.N(most/2)
}

// A member is one HAProxy and the loop that keeps up with it. The Reconciler's
// mutex guards all but wake.
type member struct {
	cluster.Member
	r    *Reconciler
	wake chan struct{} // holds one when there may be something to do

	entries []*entry
	index   map[haproxysock.ServerName]*entry
	process haproxysock.Process

	ask    bool      // look at all servers before telling any
	next   time.Time // when to look at it again
	hold   time.Time // not to be asked before
	err    error     // why the last exchange came to nothing
	misses int       // how many came to nothing since the last that did not
	away   bool      // nobody waits for it

	restarts int       // how often in quick succession it was seen restarted
	calm     time.Time // when the succession would be over but for the next one

	notes []note // for the log
}

// A note is a line for the log, written when the mutex is free again: a log that
// blocks, or many lines at once, must not hold up an answer.
type note struct {
	level slog.Level
	text  string
	pairs []any
}

func (m *member) note(level slog.Level, text string, pairs ...any) {
	m.notes = append(m.notes, note{level, text, append(pairs, "member", m.String())})
}

// tell writes the notes down.
func (m *member) tell() {
	m.r.mu.Lock()
	notes := m.notes
	m.notes = nil
	m.r.mu.Unlock()
	for _, n := range notes {
		m.r.log().Log(context.Background(), n.level, n.text, n.pairs...)
	}
}

func newMember(r *Reconciler, m cluster.Member) *member {
	return &member{Member: m, r: r, wake: make(chan struct{}, 1), index: map[haproxysock.ServerName]*entry{}, ask: true}
}

func (m *member) notify() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

func (m *member) entry(name haproxysock.ServerName) *entry {
	e := m.index[name]
	if e == nil {
		e = &entry{member: m, server: name}
		m.index[name] = e
		m.entries = append(m.entries, e)
		m.next = time.Time{}
	}
	return e
}

// run keeps up with the member until ctx ends.
func (m *member) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		targets, pause := m.plan(time.Now())
		if pause > 0 {
			timer.Reset(pause)
			select {
			case <-ctx.Done():
				return
			case <-m.wake:
			case <-timer.C:
			}
			continue
		}
		exchange, cancel := context.WithTimeout(ctx, m.r.timeout())
		report, err := m.Apply(exchange, targets)
		cancel()
		if err == nil {
			err = fits(report, targets)
		}
		if err != nil && ctx.Err() != nil {
			return // nobody's fault
		}
		m.r.mu.Lock()
		if err != nil {
			m.failed(err, targets)
		} else {
			m.learn(report, targets)
		}
		m.r.mu.Unlock()
		runtime.Gosched() // an answer goes out before the log is written
		m.tell()
		if ctx.Err() != nil {
			return
		}
	}
}

// fits refuses a report that is about other servers than were asked for.
func fits(report cluster.Applied, targets []cluster.Target) error {
	same := slices.EqualFunc(report.Servers, targets, func(o cluster.Observed, t cluster.Target) bool { return o.Server == t.Server })
	if !same {
		return fmt.Errorf("the answer tells of %d servers, want the %d that were asked for", len(report.Servers), len(targets))
	}
	return nil
}

// plan says what to ask of the member now, or how long there is nothing to ask.
func (m *member) plan(now time.Time) ([]cluster.Target, time.Duration) {
	m.r.mu.Lock()
	defer m.r.mu.Unlock()
	if wait := m.hold.Sub(now); wait > 0 {
		return nil, wait
	}
	if m.ask {
		return m.look(now), 0
	}
	next := m.next
	var targets []cluster.Target
	for _, e := range m.entries {
		switch {
		case !e.open():
		case now.Before(e.retry):
			if e.retry.Before(next) {
				next = e.retry
			}
		default:
			e.planned = e.wish
			targets = append(targets, e.target())
		}
	}
	if len(targets) > 0 {
		slices.SortStableFunc(targets, outFirst)
		return targets, 0
	}
	if wait := next.Sub(now); wait > 0 {
		return nil, wait
	}
	return m.look(now), 0
}

// look reads all servers and changes none.
func (m *member) look(now time.Time) []cluster.Target {
	m.next = now.Add(m.r.poll())
	var targets []cluster.Target
	for _, e := range m.entries {
		if now.Before(e.retry) && !m.ask {
			continue
		}
		e.planned = e.wish
		// Where a row does not tell, what was said late would stay hidden.
		certain := !e.known || e.open() || e.late.any(now)
		targets = append(targets, cluster.Target{Server: e.server, Certain: certain})
	}
	return targets
}

// outFirst puts what leaves the rotation before what comes back.
func outFirst(a, b cluster.Target) int {
	rank := func(t cluster.Target) int {
		if t.State == haproxysock.Ready {
			return 1
		}
		return 0
	}
	return rank(a) - rank(b)
}

// failed is about an exchange that came to nothing. What the member has heard of
// it is not known, so it is asked before it is told anything more; and nobody
// waits for it, because the events behind this one have to reach the others.
func (m *member) failed(err error, targets []cluster.Target) {
	m.err = err
	m.hold = time.Now().Add(backoff(m.misses))
	m.misses++
	m.ask = true
	for _, t := range targets {
		if t.State != "" {
			m.index[t.Server].late.add(t.State)
		}
	}
	m.leave(err)
}

// leave says that nobody waits for the member any more.
func (m *member) leave(cause error) {
	if m.away {
		return
	}
	m.away = true
	if m.err != nil {
		cause = m.err
	}
	m.note(slog.LevelWarn, "member is away: nobody waits for it until it answers again", "err", cause)
	for _, e := range m.entries {
		e.release(cause)
	}
}

// learn takes in what the member said.
func (m *member) learn(report cluster.Applied, targets []cluster.Target) {
	now := time.Now()
	if m.misses > 0 || m.away {
		m.note(slog.LevelInfo, "member answers again", "attempt", m.misses+1)
		for _, e := range m.entries {
			e.late.answered(now)
		}
	}
	m.err, m.misses, m.away, m.ask = nil, 0, false, false
	if m.process.Pid != 0 && !m.process.Same(report.Process) {
		m.restarted(report.Process, now)
		return
	}
	m.process = report.Process
	for i, o := range report.Servers {
		m.index[o.Server].saw(o, targets[i])
	}
}

// restarted says that HAProxy has forgotten all it was told. It is asked first,
// so that all that leaves the rotation is told in one exchange with what comes
// back, and before it. Where two HAProxys take turns at one address, we do not
// run after them as fast as we can.
func (m *member) restarted(process haproxysock.Process, now time.Time) {
	m.process, m.ask = process, true
	if now.Sub(m.calm) > m.r.poll()/2 {
		m.restarts = 0
	} else {
		m.restarts++
		m.hold = now.Add(backoff(m.restarts))
	}
	m.calm = later(now, m.hold)
	m.note(slog.LevelWarn, "haproxy was restarted: all wishes are sent again", "pid", process.Pid)
	for _, e := range m.entries {
		e.known, e.refusal = false, ""
		e.reopen(now)
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
