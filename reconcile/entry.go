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

	wish     *Wish     // nil: nothing is wished, only looked at
	since    time.Time // when it had to be carried out: when made, or when undone
	planned  *Wish     // the wish when the last exchange was planned
	settled  bool      // the wish was seen fulfilled in this life of HAProxy
	foreign  bool      // somebody else has changed it since, and the last word counts
	gated    bool      // it is ready, and HAProxy's check has yet to raise it
	attempts int       // how often HAProxy said yes and it was not so
	waiting  []*Ticket

	seen    cluster.Observed // the member's last word
	known   bool             // seen is of this life of HAProxy, and close enough a look
	refusal string           // the last refusal, told once
	retry   time.Time        // not to be asked before
	late    lateSet
}

// open reports whether there is something to be done.
func (e *entry) open() bool { return e.wish != nil && !e.settled && !e.foreign }

// renew gives the entry a new wish.
func (e *entry) renew(w *Wish) {
	e.wish, e.refusal = w, ""
	e.reopen(w.At)
}

// reopen has the wish carried out, again if it was already.
func (e *entry) reopen(since time.Time) {
	e.since, e.settled, e.foreign, e.gated, e.attempts, e.retry = since, false, false, false, 0, time.Time{}
}

// target is what to ask of the member for an open entry. Taking out only
// tightens: HAProxy's "state drain" on a server in maint would start its checks
// and let persistent clients in. HAProxy knows no "if", so somebody who puts the
// server in maint between our last look and our drain loses.
func (e *entry) target() cluster.Target {
	look := cluster.Target{Server: e.server, Certain: true}
	switch {
	case e.gated: // HAProxy said yes; now the proof
		return look
	case e.wish.State == haproxysock.Drain && (!e.known || e.seen.Asked == "" || e.seen.Asked.Tighter(haproxysock.Drain)):
		return look
	}
	return cluster.Target{Server: e.server, State: e.wish.State, Certain: true}
}

// saw takes in what the member said of the server when asked for target. What
// was planned for an older wish is news, but neither fulfils nor fails this one.
func (e *entry) saw(o cluster.Observed, target cluster.Target) {
	was := e.seen
	e.seen, e.known = o, o.Status != ""
	if o.Unchecked && !was.Unchecked {
		e.note(slog.LevelWarn, "haproxy does not check this server: it gets requests as soon as its program is RUNNING")
	}
	if e.gated && o.Status.Up() {
		e.gated = false
		e.note(slog.LevelInfo, "server is up", "status", o.Status)
	}
	switch {
	case e.planned != e.wish:
	case o.Err != nil:
		e.refused()
	case e.wish == nil:
		e.refusal, e.retry = "", time.Time{}
	case !e.open():
		e.compare(was)
	case e.fulfilled():
		e.settle()
	case o.Gated:
		e.gated = true
		e.attempts++
		e.note(slog.LevelInfo, "server waits for haproxy's check", "state", e.wish.State, "program", e.wish.Program, "took", time.Since(e.since))
		e.release(nil)
	default:
		e.missed(target)
	}
}

// missed is about an answer that is neither what was wished nor a refusal. Having
// looked, we go on and tell it at once; having told it, we give it time.
func (e *entry) missed(target cluster.Target) {
	e.gated = false
	if target.State != "" || e.target().State == "" {
		e.attempts++
		if e.attempts == 1 {
			e.note(slog.LevelWarn, "server is not as wished: tried again", "state", e.wish.State, "status", e.seen.Status, "asked", e.seen.Asked)
		}
	}
	if e.attempts > 0 {
		e.retry = time.Now().Add(backoff(e.attempts - 1))
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
	e.settled, e.refusal, e.retry = true, "", time.Time{}
	e.note(slog.LevelInfo, "server set", "state", e.wish.State, "status", e.seen.Status,
		"program", e.wish.Program, "event", e.wish.Source, "took", time.Since(e.since))
	e.release(nil)
}

// refused is about what HAProxy will not do however often it is asked. Nobody
// waits for it, and it is tried again in case somebody mends the configuration.
func (e *entry) refused() {
	if !e.known { // gone; should it come back, it will be as it is configured
		e.reopen(time.Now())
	}
	e.gated = false
	e.retry = time.Now().Add(refusedRetry)
	e.release(e.seen.Err)
	text := e.seen.Err.Error()
	if text == e.refusal {
		return
	}
	e.refusal = text
	if e.wish == nil {
		e.note(slog.LevelWarn, "server cannot be found", "err", text)
	} else {
		e.note(slog.LevelError, "server refused", "state", e.wish.State, "program", e.wish.Program, "event", e.wish.Source, "err", text)
	}
}

// compare holds a later look against a wish that was fulfilled. A difference is
// somebody else's word, unless something that we said and gave up may have been
// heard late.
func (e *entry) compare(was cluster.Observed) {
	switch {
	case e.seen.Asked == "": // the row does not tell; but maint would show
		e.known = e.foreign || e.wish.State != haproxysock.Maint || e.seen.Status.Word() == "MAINT"
	case e.fulfilled():
		e.settled, e.foreign = true, false
	case e.late.explains(e.seen.Asked, time.Now()):
		e.reopen(time.Now())
		e.note(slog.LevelWarn, "server was changed by a late command: set again", "state", e.wish.State, "status", e.seen.Status)
	case !e.foreign:
		e.foreign = true
		e.note(slog.LevelWarn, "server was changed by someone else: left so until the next event",
			"state", e.wish.State, "from", was.Status, "status", e.seen.Status)
	}
}

// release lets go of everybody who waits for the entry; err says why, if it is
// not done.
func (e *entry) release(err error) {
	for _, t := range e.waiting {
		t.forget(e, err)
	}
	e.waiting = nil
}

// pending says that the wish is not fulfilled, and why.
func (e *entry) pending(err error) *PendingError {
	return &PendingError{Wish: *e.wish, Member: e.member.String(), Err: err}
}

func (e *entry) note(level slog.Level, text string, pairs ...any) {
	e.member.note(level, text, append([]any{"server", e.server}, pairs...)...)
}
