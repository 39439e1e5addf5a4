package haproxysock

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"
)

// A Client asks one HAProxy. Each call makes a connection, and more than one
// only where its comment says so: a connection that is kept goes on talking to
// the old worker after a reload, and holds one of the ten slots of "stats
// maxconn". It is safe for concurrent use.
type Client struct {
	Addr    Addr
	Timeout time.Duration // of one connection, from dialing to its end; 0 means 10 s
}

// String is the client's address.
func (c *Client) String() string { return c.Addr.String() }

// defaultTimeout is as long as HAProxy bears with an idle client ("stats
// timeout"), and with it everybody who waits for that client's slot.
const defaultTimeout = 10 * time.Second

// past is a deadline that ends every read and write at once.
var past = time.Unix(1, 0)

// ask sends the commands as one line, in one write, and has read take the
// replies in their order. read must take them all.
func (c *Client) ask(ctx context.Context, commands []string, read func(*answer) error) error {
	timeout := c.Timeout
	if timeout == 0 {
		timeout = defaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()

	line := c.line(commands)
	if len(line) > longestLine {
		return fmt.Errorf("%s: %.40q and so on: %d bytes, want at most %d in a line", c.Addr, commands[0], len(line), longestLine)
	}
	conn, err := c.dial(ctx)
	if err != nil {
		return c.unanswered(ctx, commands[0], err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(past) })()

	if err := c.send(conn, line); err != nil {
		return c.unanswered(ctx, commands[0], err)
	}
	a := newAnswer(conn, c.Addr.String(), commands)
	defer a.release()
	err = read(a)
	if err == nil {
		err = a.end()
	}
	if network := (*readError)(nil); errors.As(err, &network) {
		return c.unanswered(ctx, a.command(), network.err)
	}
	return err
}

// dial connects. A unix socket whose backlog is full, as "stats maxconn" idle
// clients make it, refuses with EAGAIN where TCP would wait; so we do.
func (c *Client) dial(ctx context.Context) (net.Conn, error) {
	d := net.Dialer{KeepAlive: -1}
	for full := false; ; full = true {
		conn, err := d.DialContext(ctx, c.Addr.Network, c.Addr.Address)
		if full && err != nil && ended(ctx, err) != nil {
			return nil, fmt.Errorf("%w: %w", errFull, err)
		}
		if !errors.Is(err, syscall.EAGAIN) {
			return conn, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
}

var errFull = errors.New("other clients hold all of its connections")

// send writes the line. The master CLI keeps its connection open after a reply,
// so there we close our side: that is answered with the rest and an end.
func (c *Client) send(conn net.Conn, line []byte) error {
	if _, err := conn.Write(line); err != nil {
		return err
	}
	if half, ok := conn.(interface{ CloseWrite() error }); ok && c.Addr.Master {
		return half.CloseWrite()
	}
	return nil
}

// line joins commands with ";". Newlines would not do: 3.0 and later carry out
// the first line only. The master CLI wants each one addressed, because what
// follows a ";" goes to the master itself on 2.6.
func (c *Client) line(commands []string) []byte {
	prefix := ""
	if c.Addr.Master {
		prefix = masterPrefix
	}
	size := 0
	for _, command := range commands {
		size += len(prefix) + len(command) + 1
	}
	line := make([]byte, 0, size)
	for i, command := range commands {
		if i > 0 {
			line = append(line, ';')
		}
		line = append(line, prefix...)
		line = append(line, command...)
	}
	return append(line, '\n')
}

// masterPrefix sends a command to the current worker. Management Guide, 9.4.
const masterPrefix = "@1 "

// commandOverhead is what a command adds to a line at most, besides itself.
const commandOverhead = len(masterPrefix) + 1

// do asks one command that answers with a text.
func (c *Client) do(ctx context.Context, command string) (string, error) {
	var reply string
	err := c.ask(ctx, []string{command}, func(a *answer) (err error) {
		reply, err = a.text()
		return err
	})
	return reply, err
}

// obeyAbout asks a command about one server that answers yes with an empty
// message, and no with a text.
func (c *Client) obeyAbout(ctx context.Context, srv ServerName, before, after string) error {
	command, err := about(srv, before, after)
	if err != nil {
		return err
	}
	return c.ask(ctx, []string{command}, (*answer).yes)
}

// about builds a command about one server. A name that could end or split it is
// refused here, before anything is sent.
func about(srv ServerName, before, after string) (string, error) {
	if err := srv.Validate(); err != nil {
		return "", fmt.Errorf("server name %q: %w", srv, err)
	}
	command := before + " " + srv.String()
	if after != "" {
		command += " " + after
	}
	return command, nil
}
