package reconcile

import (
	"time"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
)

// lateTime is how long after a member answers again a difference is put down to
// what we said before and gave up: what HAProxy had not read then, it reads now.
// A restart does not end it, for the next process inherits the listening socket
// with the connections that wait in it.
const lateTime = 10 * time.Second

// A lateSet has the states that were asked of a server without an answer, and
// until when each may still take effect; the zero time where the member has not
// answered since.
type lateSet map[haproxysock.AdminState]time.Time

func (l *lateSet) add(state haproxysock.AdminState) {
	if *l == nil {
		*l = lateSet{}
	}
	(*l)[state] = time.Time{}
}

// answered starts the clock of those that wait for it.
func (l lateSet) answered(now time.Time) {
	for state, until := range l {
		if until.IsZero() {
			l[state] = now.Add(lateTime)
		}
	}
}

// any reports whether there are any left.
func (l lateSet) any(now time.Time) bool {
	for state, until := range l {
		if !until.IsZero() && !now.Before(until) {
			delete(l, state)
		}
	}
	return len(l) > 0
}

// explains reports whether one of them may be why the server is in state.
func (l lateSet) explains(state haproxysock.AdminState, now time.Time) bool {
	until, ok := l[state]
	return ok && (until.IsZero() || now.Before(until))
}
