// Package listenertest plays supervisord, and runs real ones, for tests.
package listenertest

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// A Peer is supervisord's end of the event protocol, over pipes as supervisord
// uses them.
type Peer struct {
	Stdin  *os.File // what the listener reads
	Stdout *os.File // what the listener writes

	t       testing.TB
	events  *os.File
	answers *bufio.Reader
	serial  int
	ready   bool
}

// NewPeer makes the pipes; they are closed when the test ends.
func NewPeer(t testing.TB) *Peer {
	t.Helper()
	p := &Peer{t: t}
	var answers *os.File
	var err error
	p.Stdin, p.events, err = os.Pipe()
	require.NoError(t, err)
	answers, p.Stdout, err = os.Pipe()
	require.NoError(t, err)
	p.answers = bufio.NewReader(answers)
	t.Cleanup(func() {
		for _, f := range []*os.File{p.Stdin, p.Stdout, p.events, answers} {
			f.Close()
		}
	})
	return p
}

// State sends a PROCESS_STATE event of a program "group:name", or of "name"
// without a group as Go's supervisord does, and returns when it was answered OK.
func (p *Peer) State(event, group, name string) {
	p.t.Helper()
	body := fmt.Sprintf("processname:%s groupname:%s from_state:RUNNING pid:%d", name, group, os.Getpid())
	require.Equal(p.t, "OK", p.Event("PROCESS_STATE_"+event, body), "%s of %s:%s", event, group, name)
}

// Event sends an event, when the listener is READY, and returns its answer.
func (p *Peer) Event(name, body string) string {
	p.t.Helper()
	p.serial++
	return p.Raw(fmt.Sprintf("ver:3.0 server:supervisor serial:%d pool:haproxy poolserial:%d eventname:%s len:%d\n%s",
		p.serial, p.serial, name, utf8.RuneCountInString(body), body))
}

// Raw sends one message as it is and returns the answer.
func (p *Peer) Raw(message string) string {
	p.t.Helper()
	p.AwaitReady()
	_, err := io.WriteString(p.events, message)
	require.NoError(p.t, err)
	p.ready = false
	var length int
	_, err = fmt.Fscanf(p.answers, "RESULT %d\n", &length)
	require.NoError(p.t, err)
	answer := make([]byte, length)
	_, err = io.ReadFull(p.answers, answer)
	require.NoError(p.t, err)
	return string(answer)
}

// AwaitReady returns when the listener has said READY.
func (p *Peer) AwaitReady() {
	p.t.Helper()
	if p.ready {
		return
	}
	line, err := p.answers.ReadString('\n')
	require.NoError(p.t, err)
	require.Equal(p.t, "READY\n", line)
	p.ready = true
}

// Close ends the stream as supervisord does when it dies.
func (p *Peer) Close() { p.events.Close() }

// Rest is all that the listener has written besides, once every writer of its
// stdout is gone.
func (p *Peer) Rest() string {
	p.t.Helper()
	rest, err := io.ReadAll(p.answers)
	require.NoError(p.t, err)
	return string(rest)
}
