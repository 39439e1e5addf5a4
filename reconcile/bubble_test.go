package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/supervisor-haproxy/supervisor-haproxy/cluster"
	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
	"github.com/supervisor-haproxy/supervisor-haproxy/reconcile"
)

// A rig is a running Reconciler with its members and its log, in a bubble.
type rig struct {
	*reconcile.Reconciler
	t     *testing.T
	fakes []*fake
	log   *logbook
	stop  func() // ends Run and waits for it
}

// bubble runs test with fakes that have been looked at.
func bubble(t *testing.T, members int, servers []string, test func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, members, servers)
		for _, s := range servers {
			r.Watch(web(s))
		}
		r.run()
		r.pass(0)
		test(t, r)
	})
}

func newRig(t *testing.T, members int, servers []string) *rig {
	r := &rig{t: t, log: &logbook{}}
	var all []cluster.Member
	for i := range members {
		f := newFake(fmt.Sprintf("lb%d", i+1), servers...)
		r.fakes, all = append(r.fakes, f), append(all, f)
	}
	r.Reconciler = reconcile.New(all...)
	r.Log = slog.New(r.log)
	return r
}

func (r *rig) run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	var once sync.Once
	r.stop = func() {
		once.Do(func() {
			cancel()
			require.NoError(r.t, <-done)
			for _, f := range r.fakes { // what waits to be heard late ends
				f.fault(func() { f.hung, f.deaf = false, false })
				f.late.Wait()
			}
		})
	}
	r.t.Cleanup(r.stop)
}

// pass lets the bubble's time pass, and all that is due happen.
func (r *rig) pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// wish makes one wish.
func (r *rig) wish(server string, state haproxysock.AdminState) *reconcile.Ticket {
	return r.Wish(reconcile.Wish{Server: web(server), State: state, Program: "web:" + server, Source: "TEST", At: time.Now()})
}

// patience is shorter than the time an exchange may take, so that it is clear
// which of the two ends first.
const patience = 1900 * time.Millisecond

// wait waits for a ticket, as long as patience lasts.
func (r *rig) wait(ticket *reconcile.Ticket) error {
	ctx, cancel := context.WithTimeoutCause(r.t.Context(), patience, errTooLate)
	defer cancel()
	return ticket.Wait(ctx)
}

var errTooLate = errors.New("not in time")

// done makes a wish and requires it to be carried out.
func (r *rig) done(server string, state haproxysock.AdminState) {
	r.t.Helper()
	require.NoError(r.t, r.wait(r.wish(server, state)))
	for _, f := range r.fakes {
		r.requireState(f, server, state)
	}
}

func (r *rig) requireState(f *fake, server string, state haproxysock.AdminState) {
	r.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	require.Equal(r.t, state, f.servers[server].asked, "%s on %s", server, f)
}

// calls gives the exchanges that a fake has begun since the last time.
func (f *fake) calls() []*exchange {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := f.exchanges
	f.exchanges = nil
	return all
}

// sets tells what a call asked for, without the looks.
func (x *exchange) sets() []string {
	var all []string
	for _, t := range x.targets {
		if t.State != "" {
			all = append(all, t.Server.Server+" "+string(t.State))
		}
	}
	return all
}

// A logbook keeps what is logged.
type logbook struct {
	mu    sync.Mutex
	lines []line
}

type line struct {
	at     time.Time
	level  slog.Level
	text   string
	member string
}

func (l *logbook) Enabled(context.Context, slog.Level) bool { return true }
func (l *logbook) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *logbook) WithGroup(string) slog.Handler            { return l }

func (l *logbook) Handle(_ context.Context, rec slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	kept := line{at: rec.Time, level: rec.Level, text: rec.Message}
	rec.Attrs(func(a slog.Attr) bool {
		if a.Key == "member" {
			kept.member = a.Value.String()
		}
		return true
	})
	l.lines = append(l.lines, kept)
	return nil
}

// count tells how often text was logged.
func (l *logbook) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, kept := range l.lines {
		if kept.text == text {
			n++
		}
	}
	return n
}

const (
	tellsAway     = "member is away: nobody waits for it until it answers again"
	tellsNotSo    = "server is not as wished: tried again"
	tellsRefused  = "server refused"
	tellsForeign  = "server was changed by someone else: left so until the next event"
	tellsLate     = "server was changed by a late command: set again"
	tellsRestart  = "haproxy was restarted: all wishes are sent again"
	tellsAnswers  = "member answers again"
	tellsUndone   = "left undone"
	tellsUp       = "server is up"
	tellsNoServer = "server cannot be found"
)
