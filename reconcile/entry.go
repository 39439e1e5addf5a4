package reconcile

import (
	"log/slog"
	"time"

	"github.com/supervisor-haproxy/supervisor-haproxy/cluster"
	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
)

// An entry is one server on one member. The Reconciler's mutex guards it.
type entry struct {
	member *member
	server haproxysock.ServerName

	wish     *Wish // nil: nothing is wished, only looked at
	settled  bool  // the wish was seen fulfilled in this life of HAProxy
	foreign  bool  // somebody else has changed it since, and the last word counts
	gated    bool  // it is ready, and HAProxy's check has yet to raise it
	attempts int   // how often HAProxy said yes and it was not so
	waiting  []*Ticket

	seen    cluster.Observed // the member's last word
	known   bool             // seen is of this life of HAProxy
	refusal string           // the last refusal, told once
	retry   time.Time        // not to be asked before
}

// open reports whether there is something to be done.
func (e *entry) open() bool { return e.wish != nil && !e.settled && !e.foreign }

// renew gives the entry a new wish.
func (e *entry) renew(w *Wish) {
	e.wish, e.settled, e.foreign, e.gated, e.attempts, e.retry = w, false, false, false, 0, time.Time{}
}

// restarted says that HAProxy has forgotten all it was told.
func (e *entry) restarted() {
	e.known, e.settled, e.foreign, e.gated, e.attempts, e.retry = false, false, false, false, 0, time.Time{}
}

// target is what to ask of the member for an open entry. Taking out only
// tightens: HAProxy's "state drain" on a server in maint would start its checks
// and let persistent clients in.
func (e *entry) target() cluster.Target {
	look := cluster.Target{Server: e.server, Certain: true}
	// That a gate was started need not be proven before it is acknowledged.
	set := cluster.Target{Server: e.server, State: e.wish.State, Certain: e.wish.State != haproxysock.Ready}
	switch {
	case e.wish.State == haproxysock.Maint:
		return set // whatever it is in now
	case !e.known, e.gated, e.seen.Asked == "":
		return look // first see what there is
	case e.wish.State == haproxysock.Drain && e.seen.Asked == haproxysock.Maint:
		set.State = haproxysock.Maint
		return set
	case e.wish.State == haproxysock.Ready && e.seen.Asked == haproxysock.Ready && !e.seen.Stuck:
		return look // put through the check again, it would go down
	}
	return set
}

// saw takes in what the member said of the server when asked for target. The
// wish may have changed since, so only what fulfils it counts.
func (e *entry) saw(o cluster.Observed, target cluster.Target) {
	was := e.seen
	e.seen = o
	if o.Err != nil {
		e.refused()
		return
	}
	e.known, e.refusal, e.retry = true, "", time.Time{}
	if e.gated && o.Status.Up() {
		e.gated = false
		e.note(slog.LevelInfo, "server is up", "status", o.Status)
	}
	switch {
	case e.wish == nil:
	case !e.open():
		e.compare(was)
	case e.fulfilled():
		e.settle()
	case o.Gated && e.wish.State == haproxysock.Ready:
		e.gated = true
		e.note(slog.LevelInfo, "server waits for haproxy's check", "state", e.wish.State, "program", e.wish.Program, "took", time.Since(e.wish.At))
		e.release()
	case target.State == e.wish.State:
		e.attempts++
		e.retry = time.Now().Add(min(firstBackoff<<min(e.attempts-1, 10), lastBackoff))
		e.note(slog.LevelWarn, "server is not as wished", "state", e.wish.State, "status", o.Status, "asked", o.Asked, "attempt", e.attempts)
	default:
		e.gated = false // looked at, and not so yet
	}
}

// fulfilled reports whether the server was seen in the wished state, or in a
// tighter one where the wish takes it out.
func (e *entry) fulfilled() bool {
	switch asked := e.seen.Asked; {
	case asked == "" || e.seen.Stuck:
		return false
	case e.wish.State == haproxysock.Ready:
		return asked == haproxysock.Ready
	default:
		return asked == e.wish.State || asked.Tighter(e.wish.State)
	}
}

func (e *entry) settle() {
	e.settled = true
	e.note(slog.LevelInfo, "server set", "state", e.wish.State, "status", e.seen.Status,
		"program", e.wish.Program, "event", e.wish.Source, "took", time.Since(e.wish.At))
	e.release()
}

// refused is about what HAProxy will not do however often it is asked. Nobody
// waits for it, and it is tried again in case somebody mends the configuration.
func (e *entry) refused() {
	e.retry = time.Now().Add(refusedRetry)
	e.release()
	if text := e.seen.Err.Error(); text != e.refusal {
		e.refusal = text
		if e.wish == nil {
			e.note(slog.LevelWarn, "server cannot be found", "err", text)
		} else {
			e.note(slog.LevelError, "server refused", "state", e.wish.State, "program", e.wish.Program, "event", e.wish.Source, "err", text)
		}
	}
}

// compare holds a later look against a wish that was fulfilled. A difference is
// somebody else's word, unless something that we said and gave up may have been
// heard late.
func (e *entry) compare(was cluster.Observed) {
	switch {
	case e.seen.Asked == "":
		return // the row does not tell
	case e.fulfilled():
		e.settled, e.foreign = true, false
	case time.Now().Before(e.member.stray):
		e.settled = false
		e.note(slog.LevelWarn, "server was changed by a late command: set again", "state", e.wish.State, "status", e.seen.Status)
	case !e.foreign:
		e.foreign = true
		e.note(slog.LevelWarn, "server was changed by someone else: left so until the next event",
			"state", e.wish.State, "from", was.Status, "status", e.seen.Status)
	}
}

// release lets go of everybody who waits for the entry.
func (e *entry) release() {
	for _, t := range e.waiting {
		delete(t.open, e)
		if len(t.open) == 0 {
			close(t.done)
		}
	}
	e.waiting = nil
}

func (e *entry) note(level slog.Level, text string, pairs ...any) {
	e.member.note(level, text, append([]any{"server", e.server}, pairs...)...)
}
