package haproxytest

import (
	"io"
	"net"
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
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go pass(client, socket)
		}
	}()
	return l.Addr().String()
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
