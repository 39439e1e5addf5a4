package haproxytest

import (
	"io"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Forward makes a TCP port of a unix socket that HAProxy listens on, until the
// test ends, and gives host:port. HAProxy cannot tell us which free port it took,
// and one that we choose for it may be taken meanwhile.
func Forward(t testing.TB, socket string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	Serve(t, l, func(client net.Conn) { pass(client, socket) })
	return l.Addr().String()
}

// Serve has handle deal with each connection that comes, and close it, until the
// test ends; that waits for all of them.
func Serve(t testing.TB, l net.Listener, handle func(net.Conn)) {
	t.Helper()
	var all sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		all.Wait()
	})
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { handle(conn) })
		}
	})
}

func pass(client net.Conn, socket string) {
	defer client.Close()
	server, err := net.Dial("unix", socket)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		io.Copy(server, client)
		server.Close()
	}()
	io.Copy(client, server)
}
