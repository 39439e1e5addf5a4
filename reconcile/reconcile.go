package reconcile

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/supervisor-haproxy/supervisor-haproxy/cluster"
	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
)

// A Reconciler carries wishes out on all members and keeps them carried out.
// [New] makes one; nothing happens before [Reconciler.Run].
type Reconciler struct {
	Timeout time.Duration // of one exchange with a member; 0 means 2 s
	Poll    time.Duration // between two looks at a member; 0 means 1 s
	Log     *slog.Logger  // nil discards

	mu      sync.Mutex
	wishes  map[haproxysock.ServerName]*Wish
	members []*member
}

const (
	defaultTimeout = 2 * time.Second
	defaultPoll    = time.Second
)

// New makes a Reconciler of members.
func New(members ...cluster.Member) *Reconciler {
	r := &Reconciler{wishes: map[haproxysock.ServerName]*Wish{}}
	for _, m := range members {
		r.members = append(r.members, newMember(r, m))
	}
	return r
}

func (r *Reconciler) timeout() time.Duration { return cmp.Or(r.Timeout, defaultTimeout) }
func (r *Reconciler) poll() time.Duration    { return cmp.Or(r.Poll, defaultPoll) }

func (r *Reconciler) log() *slog.Logger {
	if r.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return r.Log
}

// Run keeps up with all members until ctx ends, and returns nil then. Wishes
// that were not fulfilled until then are told in the log.
func (r *Reconciler) Run(ctx context.Context) error {
	var loops sync.WaitGroup
	for _, m := range r.members {
		loops.Go(func() { m.run(ctx) })
	}
	loops.Wait()
	for _, p := range r.Pending() {
		r.log().Warn("left undone", "server", p.Wish.Server, "state", p.Wish.State, "member", p.Member, "err", p.Err)
	}
	return nil
}

// Watch has servers looked at from now on, before anything is wished of them, so
// that what is wrong with them is known early and the first wish is quick.
func (r *Reconciler) Watch(servers ...haproxysock.ServerName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.members {
		for _, name := range servers {
			m.entry(name)
		}
		m.notify()
	}
}

// Wish records what servers should be, in place of what was wished of them
// before, and has all members told at once. Taking out only tightens: a drain of
// a server that is wished to be in maint leaves it there. Of two wishes for one
// server the later counts, and tickets of the earlier wait for it too.
func (r *Reconciler) Wish(wishes ...Wish) *Ticket {
	t := &Ticket{r: r, open: map[*entry]bool{}, done: make(chan struct{})}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range wishes {
		if old := r.wishes[w.Server]; old != nil && old.State == haproxysock.Maint && w.State == haproxysock.Drain {
			w.State = haproxysock.Maint
		}
		if w.At.IsZero() {
			w.At = time.Now()
		}
		r.wishes[w.Server] = &w
		for _, m := range r.members {
			e := m.entry(w.Server)
			e.renew(&w)
			if m.away {
				t.missing = append(t.missing, e.pending(m.err))
			} else {
				t.open[e] = true
				e.waiting = append(e.waiting, t)
			}
		}
	}
	if len(t.open) == 0 {
		close(t.done)
	}
	for _, m := range r.members {
		m.notify()
	}
	return t
}

// abandon gives up waiting for t's members. One that answers, but whose server
// will not be as wished, is not away; only this server is not waited for.
func (r *Reconciler) abandon(t *Ticket, cause error) {
	r.mu.Lock()
	now := time.Now()
	for e := range t.open {
		if now.Before(e.retry) {
			e.waiting = slices.DeleteFunc(e.waiting, func(other *Ticket) bool { return other == t })
			t.forget(e, cause)
		} else {
			e.member.leave(cause)
		}
	}
	r.mu.Unlock()
	for _, m := range r.members {
		m.tell()
	}
}

// Pending lists all wishes that are not seen to be fulfilled.
func (r *Reconciler) Pending() []PendingError {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []PendingError
	for _, m := range r.members {
		for _, e := range m.entries {
			if !e.open() {
				continue
			}
			err := m.err
			if err == nil {
				err = e.seen.Err
			}
			all = append(all, *e.pending(err))
		}
	}
	return all
}
