// Package reconcile keeps what every server should be (the wishes), learns what
// every member says it is, and closes the difference. Nothing that stays writes to
// a member but this; a person's drain, ready and maint do, once.
//
// A wish is never dropped because a member could not be told: each member has a
// loop of its own that goes on trying, and a slow one never delays the others.
// After an error it is not known what a member has heard, so a member that
// failed is first asked and then told.
package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
)

// A Wish is the admin state that a server should have, on every member.
type Wish struct {
	Server  haproxysock.ServerName
	State   haproxysock.AdminState
	Program string    // whose process it is about, group:name
	Source  string    // what made it, such as PROCESS_STATE_STOPPING
	Pid     int       // the process that a take-out is about; 0 if not known
	At      time.Time // when it was made
}

// A Ticket is for waiting until the wishes of one call of [Reconciler.Wish] are
// seen to be fulfilled.
type Ticket struct {
	r       *Reconciler
	open    map[*entry]bool // guarded by r.mu
	missing []error         // what was given up; guarded by r.mu until done
	done    chan struct{}   // closed when open is empty
}

// Wait returns nil when every member has been seen in the wished state, or checks
// a server that is to become ready. It waits for no member that is away, and for
// no longer than ctx: members that are still missing then are away from then on,
// until they have answered again. The error joins a [*PendingError] for each
// wish and member that is not done; it stays wished and goes on being tried.
func (t *Ticket) Wait(ctx context.Context) error {
	select {
	case <-t.done:
	case <-ctx.Done():
		t.r.abandon(t, context.Cause(ctx))
	}
	return errors.Join(t.missing...)
}

// forget takes e out of what is waited for; err says why, if it is not done.
func (t *Ticket) forget(e *entry, err error) {
	if !t.open[e] {
		return
	}
	if err != nil {
		t.missing = append(t.missing, e.pending(err))
	}
	delete(t.open, e)
	if len(t.open) == 0 {
		close(t.done)
	}
}

// A PendingError tells a wish that a member does not fulfil yet.
type PendingError struct {
	Wish   Wish
	Member string
	Err    error // why, if more is known than that it takes long
}

func (e *PendingError) Error() string {
	text := fmt.Sprintf("%s: %s is not seen in %s", e.Member, e.Wish.Server, e.Wish.State)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

func (e *PendingError) Unwrap() error { return e.Err }
