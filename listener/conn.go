package listener

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

const (
	// MaxHeader and MaxBody bound what one event may announce. Headers have
	// about 100 bytes; a PROCESS_STATE body has about 100 too, and a body of
	// another kind at most what a program writes between two marks.
	MaxHeader = 4 << 10
	MaxBody   = 1 << 20

	// bufferSize holds all that a pipe holds, so that one read takes an event
	// which supervisord has written at once.
	bufferSize = 64 << 10
)

// A Result is a listener's answer to an event.
//
// Supervisor manual, "Event Listener Notification Protocol".
type Result string

const (
	// OK says that the event is dealt with.
	OK Result = "OK"
	// Fail brings the event back at once and in front of all others, without
	// end and without a pause; and other listeners get copies of it. So a
	// caller that wants a retry makes it itself.
	Fail Result = "FAIL"
)

// A ProtocolError means that our place in the stream is lost.
type ProtocolError struct {
	Got  string // what came
	Want string
	Err  error // io.ErrUnexpectedEOF where the stream ended too early
}

func (e *ProtocolError) Error() string {
	text := fmt.Sprintf("event stream: got %.120q, want %s", e.Got, e.Want)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

func (e *ProtocolError) Unwrap() error { return e.Err }

// A Conn is the listener's end of supervisord's event protocol. Next and Reply
// take turns; calling one out of turn is a bug and panics. One goroutine only.
//
// Supervisor manual, "Event Listener Notification Protocol".
type Conn struct {
	r    *bufio.Reader
	w    io.Writer
	busy bool  // an event is read and not answered
	err  error // the first failure: our place in the stream is lost for good

	// straddled says that the last body may go on behind what was buffered,
	// because its length was told in characters.
	straddled bool
}

// NewConn makes a Conn of the listener's stdin and stdout. Nothing else may ever
// be written to w: after one stray byte supervisord sends no event any more, and
// goes on showing the listener as RUNNING.
func NewConn(r io.Reader, w io.Writer) *Conn {
	return &Conn{r: bufio.NewReaderSize(r, bufferSize), w: w}
}

// Next says READY and waits for an event. It returns io.EOF when supervisord
// closes the stream between two events, and a *ProtocolError when what came
// makes no sense; either for ever after.
//
// "len" counts characters for Python's supervisord and bytes for Go's, and a name
// may hold any of them. An event is written at once, and none comes before we
// have answered; so what is buffered behind that many bytes is the rest of that
// many characters.
func (c *Conn) Next() (*Event, error) {
	if c.busy {
		panic("listener: Next before Reply")
	}
	if c.err != nil {
		return nil, c.err
	}
	event, err := c.next()
	if err != nil {
		c.err = err
		return nil, err
	}
	c.busy = true
	return event, nil
}

func (c *Conn) next() (*Event, error) {
	if err := c.write("READY\n"); err != nil {
		return nil, err
	}
	line, err := c.header()
	if err != nil {
		return nil, err
	}
	event, length, err := parseHeader(line)
	if err != nil {
		return nil, err
	}
	event.Body, err = c.body(length)
	return event, err
}

// Reply answers the event that Next gave last.
func (c *Conn) Reply(r Result) error {
	if !c.busy {
		panic("listener: Reply without Next")
	}
	c.busy = false
	if c.err == nil {
		c.err = c.write(fmt.Sprintf("RESULT %d\n%s", len(r), string(r)))
	}
	return c.err
}

// write makes one write of a message.
func (c *Conn) write(message string) error {
	if _, err := io.WriteString(c.w, message); err != nil {
		return fmt.Errorf("event stream: %w", err)
	}
	return nil
}

// header reads a header line. Behind a body that went on, it begins where "ver:"
// does.
func (c *Conn) header() (string, error) {
	line, err := c.line()
	if err != nil {
		return "", err
	}
	for c.straddled {
		if at := strings.Index(line, "ver:"); at >= 0 {
			line = line[at:]
			break
		}
		if line, err = c.line(); err != nil {
			return "", err
		}
	}
	c.straddled = false
	return line, nil
}

// line reads up to a line break, which is not part of the result.
func (c *Conn) line() (string, error) {
	var line []byte
	for {
		part, err := c.r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > MaxHeader:
			return "", &ProtocolError{Got: string(line), Want: fmt.Sprintf("a header line of at most %d bytes", MaxHeader)}
		case err == nil:
			return string(line[:len(line)-1]), nil
		case err == io.EOF && len(line) == 0:
			return "", io.EOF
		case err == io.EOF:
			return "", &ProtocolError{Got: string(line), Want: "a header line", Err: io.ErrUnexpectedEOF}
		case err != bufio.ErrBufferFull:
			return "", fmt.Errorf("event stream: %w", err)
		}
	}
}

// body reads length bytes, and on to as many characters if they are buffered.
func (c *Conn) body(length int) (string, error) {
	body := make([]byte, length)
	if n, err := io.ReadFull(c.r, body); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return "", &ProtocolError{Got: string(body[:n]), Want: fmt.Sprintf("a body of %d bytes", length), Err: io.ErrUnexpectedEOF}
		}
		return "", fmt.Errorf("event stream: %w", err)
	}
	missing := length - characters(body)
	for c.r.Buffered() > 0 {
		next, _ := c.r.Peek(1)
		if begins := !continues(next[0]); begins && missing == 0 {
			break
		} else if begins {
			missing--
		}
		body = append(body, next[0])
		c.r.Discard(1)
	}
	c.straddled = missing > 0
	return string(body), nil
}

// characters counts the characters that begin in b. UTF-8.
func characters(b []byte) int {
	n := 0
	for _, c := range b {
		if !continues(c) {
			n++
		}
	}
	return n
}

// continues reports whether c goes on with a character that has begun before it.
func continues(c byte) bool { return c&0xc0 == 0x80 }

// parseHeader reads "ver:3.0 server:… serial:N pool:… poolserial:N eventname:X
// len:N". Only what is needed has to be there.
func parseHeader(line string) (*Event, int, error) {
	e := &Event{Serial: -1, PoolSerial: -1}
	length := -1
	for _, token := range strings.Fields(line) {
		key, value, _ := strings.Cut(token, ":")
		var err error
		switch key {
		case "server":
			e.Server = value
		case "pool":
			e.Pool = value
		case "eventname":
			e.Name = value
		case "serial":
			e.Serial, err = strconv.ParseInt(value, 10, 64)
		case "poolserial":
			e.PoolSerial, err = strconv.ParseInt(value, 10, 64)
		case "len":
			length, err = strconv.Atoi(value)
		}
		if err != nil || (key == "len" && length < 0) {
			return nil, 0, &ProtocolError{Got: line, Want: fmt.Sprintf("a number behind %q", key+":")}
		}
	}
	switch {
	case e.Name == "":
		return nil, 0, &ProtocolError{Got: line, Want: `a header with "eventname:"`}
	case length < 0:
		return nil, 0, &ProtocolError{Got: line, Want: `a header with "len:"`}
	case length > MaxBody:
		return nil, 0, &ProtocolError{Got: line, Want: fmt.Sprintf("a body of at most %d bytes", MaxBody)}
	}
	return e, length, nil
}
