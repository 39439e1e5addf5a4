// Package listener is a supervisord event listener: it reads what becomes of
// programs, wishes the admin states that follow for their HAProxy servers, and
// answers.
//
// What the protocol cannot do: supervisord signals a program without waiting for
// our answer to STOPPING, and who comes first is a coin toss. So a drain that has
// to be over before the signal is not possible here. And RUNNING says only that
// a process has been alive for "startsecs".
package listener

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/supervisor-haproxy/supervisor-haproxy/reconcile"
)

// A Listener answers supervisord's events, one after the other.
type Listener struct {
	Conn       *Conn
	Specs      []Spec
	Reconciler *reconcile.Reconciler // has to be running
	AckTimeout time.Duration         // how long an answer may wait for members; 0 means 2 s
	// Verify holds back the answer, when all members have been seen as wished,
	// until it returns or AckTimeout is over; nil does not.
	Verify func(context.Context) error
	Log    *slog.Logger // nil discards
}

const defaultAckTimeout = 2 * time.Second

// Run answers events until supervisord closes the stream or it makes no sense,
// which is the error. After ctx has ended it finishes the event in hand and
// returns nil as soon as the stream's reader lets go; that is the caller's to
// arrange, by a deadline on the stream.
//
// Each event becomes a wish at once. It is answered OK when all members have
// been seen as wished. A member that is away, refuses or takes longer than
// AckTimeout does not change that: its wish stays, and FAIL would bring the event
// back for ever.
func (l *Listener) Run(ctx context.Context) error {
	if l.Log == nil {
		l.Log = slog.New(slog.DiscardHandler)
	}
	if l.AckTimeout == 0 {
		l.AckTimeout = defaultAckTimeout
	}
	programs := newPrograms(l.Specs)
	l.Reconciler.Watch(programs.fixed()...)
	last := int64(-1) // the newest poolserial
	skips := false    // Go's supervisord, which names no group, leaves numbers out
	for ctx.Err() == nil {
		event, err := l.Conn.Next()
		if ctx.Err() != nil && err != nil {
			break
		}
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return errors.New("event stream: supervisord has closed it")
		}
		if err != nil {
			return err
		}
		l.Log.Debug("event", "event", event.Name, "serial", event.Serial, "poolserial", event.PoolSerial, "body", event.Body)
		p, ok := event.ProcessState()
		skips = skips || ok && p.Group == ""
		if last >= 0 && event.PoolSerial > last+1 && !skips {
			l.Log.Warn("events were lost: supervisord's buffer for this listener overflowed, want a larger buffer_size", "lost", event.PoolSerial-last-1)
		}
		last = max(last, event.PoolSerial)
		if ok {
			l.handle(ctx, programs, event, p)
		}
		if err := l.Conn.Reply(OK); err != nil {
			return err
		}
	}
	return nil
}

// handle makes wishes of a PROCESS_STATE event and waits for them.
func (l *Listener) handle(ctx context.Context, programs *programs, event *Event, p ProcessState) {
	state, ok := event.wished()
	if !ok {
		return
	}
	log := func(level slog.Level, text string, pairs ...any) {
		l.Log.Log(ctx, level, text, append([]any{"program", p.Program(), "event", event.Name, "serial", event.Serial}, pairs...)...)
	}
	servers, errs := programs.servers(p)
	for _, err := range errs {
		log(slog.LevelError, "event not carried out", "err", err)
	}
	if len(servers) == 0 {
		return
	}
	if programs.stale(event, p) {
		log(slog.LevelInfo, "event is older than what was done: ignored")
		return
	}
	now := time.Now()
	wishes := make([]reconcile.Wish, len(servers))
	for i, server := range servers {
		wishes[i] = reconcile.Wish{
			Server:  server,
			State:   programs.wish(server, p.Program(), state),
			Program: p.Program(),
			Source:  event.Name,
			Pid:     p.Pid,
			At:      now,
		}
	}
	ticket := l.Reconciler.Wish(wishes...)
	wait, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), l.AckTimeout, fmt.Errorf("not within %v", l.AckTimeout))
	defer cancel()
	if err := ticket.Wait(wait); err != nil {
		log(slog.LevelWarn, "event answered, and not done everywhere: it goes on being tried", "err", err)
		return
	}
	if l.Verify != nil {
		if err := l.Verify(wait); err != nil {
			log(slog.LevelWarn, "event answered, and what was to be verified does not hold", "err", err)
		}
	}
}
