package haproxysock

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
)

// A CommandError is HAProxy's refusal of a command, in its own words.
type CommandError struct {
	Addr    string // whom we asked
	Command string // the command that was refused
	Reply   string // what HAProxy said, without a severity prefix
}

func (e *CommandError) Error() string {
	return fmt.Sprintf("%s: %q refused: %s", e.Addr, e.Command, firstLine(e.Reply))
}

// ErrRestarted says that HAProxy was reloaded or restarted between two parts of
// an exchange, so that what was said in the first part is forgotten.
var ErrRestarted = errors.New("haproxy restarted meanwhile")

// ErrNoServer, ErrNoBackend, ErrDenied and ErrDisabled are refusals that callers
// tell apart, for errors.Is on a *CommandError.
var (
	ErrNoServer  = errors.New("no such server")
	ErrNoBackend = errors.New("no such backend")
	ErrDenied    = errors.New("permission denied: the socket's level is not admin")
	// ErrDisabled comes from a backend that is "disabled", and from an old
	// worker after a reload.
	ErrDisabled = errors.New("proxy is disabled")
)

// Is matches the refusals named above by HAProxy's texts, the same since 1.8.
func (e *CommandError) Is(target error) bool {
	switch firstLine(e.Reply) {
	case "No such server.":
		return target == ErrNoServer
	case "No such backend.", "No such proxy.", "Can't find backend.":
		return target == ErrNoBackend
	case "Permission denied":
		return target == ErrDenied
	case "Proxy is disabled.":
		return target == ErrDisabled
	}
	return false
}

// A ProtocolError means that what came back is not an answer of HAProxy's, or
// not all of it. Whether the command was carried out is not known.
type ProtocolError struct {
	Addr    string
	Command string
	Got     string // the beginning of what came, or of the line in question
	Want    string // what was wanted in its place
}

func (e *ProtocolError) Error() string {
	got := fmt.Sprintf("%.80q", e.Got)
	if e.Got == "" {
		got = "nothing"
	}
	return fmt.Sprintf("%s: %q answered with %s, want %s", e.Addr, e.Command, got, e.Want)
}

// unanswered tells that c was not reached or fell silent over command.
func (c *Client) unanswered(ctx context.Context, command string, err error) error {
	op := (*net.OpError)(nil)
	switch cause := ended(ctx, err); {
	case cause != nil && errors.Is(err, errFull):
		err = fmt.Errorf("%w: %w", cause, errFull)
	case cause != nil:
		err = cause
	case errors.As(err, &op) && op.Err != nil:
		err = op.Err // the rest of an OpError says the address once more
	}
	return fmt.Errorf("%s: %q unanswered: %w", c.Addr, command, err)
}

// ended tells why ctx ended, and nil if err has another reason. The network
// keeps ctx's deadline with a clock of its own, which may be ahead.
func ended(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	if cause == nil && (errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)) {
		cause = context.DeadlineExceeded
	}
	return cause
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
