package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// An eventStream is stdin, read so that the end of a context ends the reading.
type eventStream struct {
	*os.File
	wasBlocking bool
}

// restore leaves stdin as it was found: a terminal is shared with the shell.
func (s eventStream) restore() {
	if s.wasBlocking {
		unix.SetNonblock(unix.Stdin, false)
	}
}

// claimStdio takes stdin and stdout for the event protocol. Fd 1 is moved away
// and its number points to stderr from then on: one stray byte on the real
// stdout, from a library's print or a panic, and supervisord never sends an
// event again, while it goes on showing the listener as RUNNING.
func claimStdio(ctx context.Context) (eventStream, *os.File, error) {
	out, err := unix.FcntlInt(uintptr(unix.Stdout), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return eventStream{}, nil, fmt.Errorf("stdout: %w", err)
	}
	if err := unix.Dup2(unix.Stderr, unix.Stdout); err != nil {
		return eventStream{}, nil, fmt.Errorf("stdout: %w", err)
	}
	flags, err := unix.FcntlInt(uintptr(unix.Stdin), unix.F_GETFL, 0)
	if err != nil {
		return eventStream{}, nil, fmt.Errorf("stdin: %w", err)
	}
	events := eventStream{wasBlocking: flags&unix.O_NONBLOCK == 0}
	if err := unix.SetNonblock(unix.Stdin, true); err != nil {
		return eventStream{}, nil, fmt.Errorf("stdin: %w", err)
	}
	events.File = os.NewFile(uintptr(unix.Stdin), "stdin")
	context.AfterFunc(ctx, func() { events.SetReadDeadline(time.Unix(1, 0)) })
	return events, os.NewFile(uintptr(out), "stdout"), nil
}
