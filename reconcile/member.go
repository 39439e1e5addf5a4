package reconcile

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/supervisor-haproxy/supervisor-haproxy/cluster"
	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
)

const (
	firstBackoff = 50 * time.Millisecond // after an error, doubled from then on
	lastBackoff  = 2 * time.Second
	refusedRetry = 2 * time.Second // a refusal stands until somebody changes the configuration

	// strayTime is how long after an unanswered exchange a difference is put
	// down to it: what HAProxy had not read when we gave up, it reads later.
	strayTime = 10 * time.Second
)

// A member is one HAProxy and the loop that keeps up with it. The Reconciler's
// mutex guards all but wake.
type member struct {
	cluster.Member
	r    *Reconciler
	wake chan struct{} // holds one when there may be something to do

	entries []*entry
	index   map[haproxysock.ServerName]*entry
	process haproxysock.Process

	next   time.Time // when to look at it again
	err    error     // why the last exchange came to nothing
	misses int       // how many came to nothing since the last that did not
	since  time.Time // when the first of them did
	stray  time.Time // until when one of them may still take effect
	away   bool      // nobody waits for it
	notes  []note    // for the log
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
		m.r.Log.Log(context.Background(), n.level, n.text, n.pairs...)
	}
}

func newMember(r *Reconciler, m cluster.Member) *member {
	return &member{Member: m, r: r, wake: make(chan struct{}, 1), index: map[haproxysock.ServerName]*entry{}}
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
				continue
			case <-timer.C:
				continue
			}
		}
		exchange, cancel := context.WithTimeout(ctx, m.r.Timeout)
		report, err := m.Apply(exchange, targets)
		cancel()
		if ctx.Err() != nil {
			return
		}
		m.r.mu.Lock()
		if err != nil {
			m.failed(err, targets)
		} else {
			m.learn(report, targets)
		}
		m.r.mu.Unlock()
		m.tell()
	}
}

// plan says what to ask of the member now, or how long there is nothing to ask.
func (m *member) plan(now time.Time) ([]cluster.Target, time.Duration) {
	m.r.mu.Lock()
	defer m.r.mu.Unlock()
	if m.misses > 0 {
		if wait := m.next.Sub(now); wait > 0 {
			return nil, wait
		}
		return m.look(now), 0 // first ask, then tell
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
	m.next = now.Add(m.r.Poll)
	var targets []cluster.Target
	for _, e := range m.entries {
		if now.Before(e.retry) {
			continue
		}
		targets = append(targets, cluster.Target{Server: e.server, Certain: !e.known})
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

// failed is about an exchange that came to nothing.
func (m *member) failed(err error, targets []cluster.Target) {
	now := time.Now()
	if m.misses == 0 {
		m.since = now
		m.note(slog.LevelWarn, "member not reached", "err", err)
	}
	m.err = err
	backoff := min(firstBackoff<<min(m.misses, 10), lastBackoff)
	m.misses++
	m.next = now.Add(backoff/2 + rand.N(backoff/2))
	if slices.ContainsFunc(targets, func(t cluster.Target) bool { return t.State != "" }) {
		m.stray = now.Add(strayTime)
	}
	if now.Sub(m.since) >= m.r.Timeout {
		m.leave(err)
	}
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
	m.note(slog.LevelError, "member is away: nothing waits for it until it answers again", "err", cause)
	for _, e := range m.entries {
		e.release()
	}
}

// learn takes in what the member said.
func (m *member) learn(report cluster.Report, targets []cluster.Target) {
	if m.misses > 0 {
		m.note(slog.LevelInfo, "member answers again", "attempt", m.misses+1)
		if !m.stray.IsZero() {
			m.stray = time.Now().Add(strayTime) // it may read only now what we gave up
		}
	}
	m.err, m.misses, m.away = nil, 0, false
	if m.process.Pid != 0 && !m.process.Same(report.Process) {
		m.note(slog.LevelWarn, "haproxy was restarted: all wishes are sent again", "pid", report.Process.Pid)
		for _, e := range m.entries {
			e.restarted()
		}
		m.stray = time.Time{} // what the old process had not read is gone with it
	}
	m.process = report.Process
	for i, o := range report.Servers {
		m.index[o.Server].saw(o, targets[i])
	}
}
