package haproxysock_test

import (
	"bufio"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock/haproxytest"
)

// A peer plays HAProxy for what a real one will not do when asked.
type peer struct {
	client *haproxysock.Client
	mu     sync.Mutex
	lines  []string // every line that came, without its line break
	dialed int      // how many connections there were
}

// newPeer answers each line with answer; the connection ends when it returns.
func newPeer(t *testing.T, answer func(conn *net.UnixConn, line string)) *peer {
	t.Helper()
	p := new(peer)
	path := haproxytest.ShortDir(t) + "/peer.sock"
	p.client = &haproxysock.Client{Addr: haproxytest.Addr(t, path)}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	require.NoError(t, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.AcceptUnix()
			if err != nil {
				return
			}
			p.mu.Lock()
			p.dialed++
			p.mu.Unlock()
			wg.Go(func() {
				defer conn.Close()
				line, _ := bufio.NewReader(conn).ReadString('\n')
				p.mu.Lock()
				p.lines = append(p.lines, strings.TrimSuffix(line, "\n"))
				p.mu.Unlock()
				answer(conn, line)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	return p
}

// says answers every line with text.
func says(t *testing.T, text string) *peer {
	t.Helper()
	return newPeer(t, func(conn *net.UnixConn, _ string) { conn.Write([]byte(text)) })
}

// heard is every line that has come.
func (p *peer) heard() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.lines...)
}

// connections is how many have been accepted.
func (p *peer) connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dialed
}
