package haproxysock

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
)

const (
	bufferSize   = 32 << 10
	maxReplyLine = 1 << 20 // one row; the longest real ones are a few kB
	maxText      = 1 << 20 // one message; the longest real one is a usage text of 9 kB
	maxGot       = 256     // what a ProtocolError keeps
)

// An answer is what one line of commands brings back: a reply for each of them,
// and each reply is lines and then an empty line. The empty line is the only
// proof that a reply is whole: HAProxy ends a connection cleanly in the middle
// of a reply when the reader is slow, or when it is killed.
//
// Management Guide, 9.3: "a command's output ends with an empty line".
type answer struct {
	addr     string
	commands []string
	at       int // which command's reply is being read
	r        *bufio.Reader
	long     []byte // a line that is longer than r's buffer
}

// errReplyEnd is what line returns at the empty line.
var errReplyEnd = errors.New("end of the reply")

// A readError is the network's, not what came over it.
type readError struct{ err error }

func (e *readError) Error() string { return e.err.Error() }

var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, bufferSize) }}

func newAnswer(r io.Reader, addr string, commands []string) *answer {
	a := &answer{addr: addr, commands: commands, r: readers.Get().(*bufio.Reader)}
	a.r.Reset(r)
	return a
}

func (a *answer) release() {
	a.r.Reset(nil)
	readers.Put(a.r)
	a.r = nil
}

// command is the one whose reply is being read.
func (a *answer) command() string { return a.commands[min(a.at, len(a.commands)-1)] }

func (a *answer) garbled(got, want string) error {
	if len(got) > maxGot {
		got = strings.Clone(got[:maxGot])
	}
	return &ProtocolError{Addr: a.addr, Command: a.command(), Got: got, Want: want}
}

// refused is about a reply that has been read already.
func (a *answer) refused(reply string) error {
	reply = strings.Trim(cutSeverity(reply), "\n")
	return &CommandError{Addr: a.addr, Command: a.commands[a.at-1], Reply: reply}
}

// notHTTP finds an error in a message that no HAProxy gives on its socket, but
// an HTTP port does. The message has been read already.
func (a *answer) notHTTP(message string) error {
	if !strings.HasPrefix(message, "HTTP/") {
		return nil
	}
	return &ProtocolError{Addr: a.addr, Command: a.commands[a.at-1], Got: firstLine(message), Want: "HAProxy's Runtime API"}
}

// line gives the next line of the reply without its line break ("\n", and "\r\n"
// where something on the way makes it that), valid until the next call, and
// errReplyEnd when the reply is over; the next call then begins the next reply.
func (a *answer) line() ([]byte, error) {
	line, err := a.r.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		line, err = a.longLine(line)
	}
	switch {
	case err == io.EOF:
		return nil, a.garbled(string(line), "a reply that ends in an empty line; this one was cut off")
	case errors.Is(err, bufio.ErrTooLong):
		return nil, a.garbled(string(line), "lines of at most 1 MiB")
	case err != nil:
		return nil, &readError{err}
	}
	end := len(line) - 1
	if end > 0 && line[end-1] == '\r' {
		end--
	}
	if end == 0 {
		a.at++
		return nil, errReplyEnd
	}
	return line[:end], nil
}

func (a *answer) longLine(begun []byte) ([]byte, error) {
	a.long = append(a.long[:0], begun...)
	for {
		more, err := a.r.ReadSlice('\n')
		a.long = append(a.long, more...)
		if err == bufio.ErrBufferFull && len(a.long) > maxReplyLine {
			err = bufio.ErrTooLong
		}
		if err != bufio.ErrBufferFull {
			return a.long, err
		}
	}
}

// text reads one reply as a message.
func (a *answer) text() (string, error) {
	text, err := a.rest(nil)
	return strings.TrimRight(cutSeverity(text), "\n"), err
}

// rest reads what is left of a reply behind the line that was read already.
func (a *answer) rest(first []byte) (string, error) {
	var b strings.Builder
	for line := first; ; {
		if line != nil {
			b.Write(line)
			b.WriteByte('\n')
		}
		if b.Len() > maxText {
			return "", a.garbled(b.String(), "a message of at most 1 MiB")
		}
		var err error
		if line, err = a.line(); err == errReplyEnd {
			return b.String(), a.notHTTP(b.String())
		} else if err != nil {
			if cut := (*ProtocolError)(nil); errors.As(err, &cut) {
				err = a.garbled(b.String()+cut.Got, cut.Want)
			}
			return "", err
		}
	}
}

// lastText reads all that is left as one message whose empty line may be
// missing: before 3.0, "add server" and "del server" leave it out.
func (a *answer) lastText() (string, error) {
	all, err := io.ReadAll(io.LimitReader(a.r, maxText+1))
	switch {
	case err != nil:
		return "", &readError{err}
	case len(all) > maxText:
		return "", a.garbled(string(all), "a message of at most 1 MiB")
	case !bytes.HasSuffix(all, []byte("\n")):
		return "", a.garbled(string(all), "a reply that ends in a line break; this one was cut off")
	}
	a.at = len(a.commands)
	return strings.TrimRight(string(all), "\n"), a.notHTTP(string(all))
}

// yes reads a reply that is empty for a yes.
func (a *answer) yes() error {
	reply, err := a.text()
	if err == nil && reply != "" {
		err = a.refused(reply)
	}
	return err
}

// head reads the first line of a table. Any line that does not begin as the
// table must is HAProxy's refusal.
func (a *answer) head(begins string) ([]byte, error) {
	command := a.command()
	line, err := a.line()
	switch {
	case err == errReplyEnd:
		return nil, &ProtocolError{Addr: a.addr, Command: command, Want: fmt.Sprintf("a line that begins with %q", begins)}
	case err != nil || bytes.HasPrefix(line, []byte(begins)):
		return line, err
	}
	reply, err := a.rest(line)
	if err != nil {
		return nil, err
	}
	return nil, a.refused(reply)
}

// end makes sure that nothing comes behind the last reply: it would mean that
// the replies were matched to the wrong commands.
func (a *answer) end() error {
	switch _, err := a.r.Peek(1); {
	case err == io.EOF:
		return nil
	case err != nil:
		return &readError{err}
	}
	extra, _ := a.r.Peek(a.r.Buffered())
	return a.garbled(string(extra), "no more than the replies asked for")
}

// cutSeverity takes off what "set severity-output" puts in front of a message,
// "[3]: " or "[err]: ". It is no verdict: successes carry it as well.
//
// Configuration Manual, "severity-output".
func cutSeverity(s string) string {
	level, message, ok := strings.Cut(s, "]: ")
	if !ok || !strings.HasPrefix(level, "[") {
		return s
	}
	switch level[1:] {
	case "0", "1", "2", "3", "4", "5", "6", "7",
		"emerg", "alert", "crit", "err", "warning", "notice", "info", "debug":
		return message
	}
	return s
}
