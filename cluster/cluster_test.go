package cluster_test

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/supervisor-haproxy/supervisor-haproxy/cluster"
	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock/haproxytest"
)

const (
	ready = haproxysock.Ready
	drain = haproxysock.Drain
	maint = haproxysock.Maint
)

func socket(addr haproxysock.Addr) *cluster.Socket {
	return &cluster.Socket{Client: haproxysock.Client{Addr: addr}}
}

func target(t testing.TB, server string, state haproxysock.AdminState) cluster.Target {
	t.Helper()
	return cluster.Target{Server: haproxytest.Server(t, server), State: state, Certain: true}
}

// apply is one call about one server that has to be answered.
func apply(t testing.TB, m cluster.Member, server string, state haproxysock.AdminState) cluster.Observed {
	t.Helper()
	report, err := m.Apply(t.Context(), []cluster.Target{target(t, server, state)})
	require.NoError(t, err)
	require.NotZero(t, report.Process.Pid)
	require.Len(t, report.Servers, 1)
	require.Equal(t, haproxytest.Server(t, server), report.Servers[0].Server)
	return report.Servers[0]
}

// A proxy stands in front of an admin socket and counts. What is to happen before
// a connection is passed on is set in before.
type proxy struct {
	addr        haproxysock.Addr
	connections atomic.Int64
	bytes       atomic.Int64 // from HAProxy
	before      atomic.Pointer[func(connection int64)]
}

// newProxy passes connections on to addr until the test ends.
func newProxy(t testing.TB, addr haproxysock.Addr) *proxy {
	t.Helper()
	dir := haproxytest.ShortDir(t)
	p := &proxy{addr: haproxytest.Addr(t, "unix://"+dir+"/p.sock")}
	l, err := net.Listen("unix", p.addr.Address)
	require.NoError(t, err)
	haproxytest.Serve(t, l, func(conn net.Conn) {
		n := p.connections.Add(1)
		if before := p.before.Load(); before != nil {
			(*before)(n)
		}
		p.pass(conn, addr)
	})
	return p
}

func (p *proxy) pass(client net.Conn, addr haproxysock.Addr) {
	defer client.Close()
	server, err := net.Dial(addr.Network, addr.Address)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		io.Copy(server, client)
		server.(*net.UnixConn).CloseWrite()
	}()
	n, _ := io.Copy(client, server)
	p.bytes.Add(n)
}

// counts tells how many connections call makes, and how many bytes they bring.
func (p *proxy) counts(call func()) (connections, bytes int64) {
	c, b := p.connections.Load(), p.bytes.Load()
	call()
	return p.connections.Load() - c, p.bytes.Load() - b
}

// within is a context for what has to give up by itself.
func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// rewrite changes a configuration, for the next start.
func rewrite(t testing.TB, h *haproxytest.HAProxy, from, to string) {
	t.Helper()
	file := filepath.Join(h.Dir, "haproxy.cfg")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(text), from)
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(string(text), from, to, 1)), 0o600))
}
