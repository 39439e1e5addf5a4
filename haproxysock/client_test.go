package haproxysock_test

import (
	"context"
	"errors"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock/haproxytest"
)

const oneServer = `
backend web
  server web01 127.0.0.1:9
`

// dialUntil keeps connections to addr open until dialing one more fails, and
// gives that error.
func dialUntil(t *testing.T, addr haproxysock.Addr, patience time.Duration) (conns []net.Conn, err error) {
	t.Helper()
	for range 1000 {
		var conn net.Conn
		conn, err = net.DialTimeout(addr.Network, addr.Address, patience)
		if err != nil {
			return conns, err
		}
		t.Cleanup(func() { conn.Close() })
		conns = append(conns, conn)
	}
	require.FailNow(t, "the backlog does not get full")
	return nil, nil
}

// ends makes sure that every kind of call ends soon after its context does.
func ends(t *testing.T, addr haproxysock.Addr) {
	t.Helper()
	for name, test := range asks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &haproxysock.Client{Addr: addr, Timeout: time.Hour}
			begun := time.Now()

			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			err := test.ask(ctx, c)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorContains(t, err, addr.String()+": ")
			require.ErrorContains(t, err, " unanswered: ")

			ctx, stop := context.WithCancelCause(t.Context())
			reason := errors.New("shutting down")
			time.AfterFunc(20*time.Millisecond, func() { stop(reason) })
			require.ErrorIs(t, test.ask(ctx, c), reason)
			require.ErrorIs(t, test.ask(ctx, c), reason) // over before it began

			c.Timeout = 20 * time.Millisecond
			require.ErrorIs(t, test.ask(t.Context(), c), context.DeadlineExceeded)
			require.Less(t, time.Since(begun), haproxytest.Patience)
		})
	}
}

func TestAHungHAProxy(t *testing.T) {
	h := haproxytest.StartSetup(t, haproxytest.Setup{Config: oneServer, Master: true, Global: "stats maxconn 200"})
	h.Pause()
	defer h.Resume()
	t.Run("unix", func(t *testing.T) { ends(t, h.Unix) })
	t.Run("tcp", func(t *testing.T) { ends(t, h.TCP) })
	t.Run("master", func(t *testing.T) { ends(t, h.Master) })
}

func TestAFullBacklog(t *testing.T) {
	t.Run("unix", func(t *testing.T) {
		h := haproxytest.Start(t, oneServer)
		h.Pause()
		defer h.Resume()
		_, err := dialUntil(t, h.Unix, 0)
		require.ErrorIs(t, err, syscall.EAGAIN)
		t.Run("ends", func(t *testing.T) { ends(t, h.Unix) })
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		_, err = (&haproxysock.Client{Addr: h.Unix}).Info(ctx)
		require.EqualError(t, err, h.Unix.String()+`: "show info" unanswered: context deadline exceeded: other clients hold all of its connections`)
	})
	t.Run("tcp", func(t *testing.T) { // the kernel lets us wait for as long as it likes
		fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		require.NoError(t, err)
		defer syscall.Close(fd)
		require.NoError(t, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
		require.NoError(t, syscall.Listen(fd, 0))
		name, err := syscall.Getsockname(fd)
		require.NoError(t, err)
		addr := haproxytest.Addr(t, (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: name.(*syscall.SockaddrInet4).Port}).String())
		_, err = dialUntil(t, addr, 300*time.Millisecond)
		var timeout net.Error
		require.ErrorAs(t, err, &timeout)
		require.True(t, timeout.Timeout())
		t.Run("ends", func(t *testing.T) { ends(t, addr) })
	})
}

// Ten idle clients hold all slots of "stats maxconn": the next one waits until
// one of them goes.
func TestAllSlotsTaken(t *testing.T) {
	h := haproxytest.Start(t, oneServer)
	c := h.Client()
	take := func(t *testing.T, n int) (conns []net.Conn) {
		for range n {
			conn, err := net.Dial(h.Unix.Network, h.Unix.Address)
			require.NoError(t, err)
			t.Cleanup(func() { conn.Close() })
			conns = append(conns, conn)
		}
		return conns
	}
	waits := func(t *testing.T, free func()) {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, err := c.Info(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		time.AfterFunc(20*time.Millisecond, free)
		patient := &haproxysock.Client{Addr: h.Unix, Timeout: haproxytest.Patience}
		info, err := patient.Info(t.Context())
		require.NoError(t, err)
		require.NotZero(t, info.Pid)
	}
	t.Run("in the backlog", func(t *testing.T) {
		idle := take(t, 10)
		waits(t, func() { idle[3].Close() })
	})
	t.Run("behind it", func(t *testing.T) {
		conns, err := dialUntil(t, h.Unix, 0)
		require.ErrorIs(t, err, syscall.EAGAIN)
		waits(t, func() {
			for _, conn := range conns {
				conn.Close()
			}
		})
	})
}

func TestNobodyThere(t *testing.T) {
	h := haproxytest.Start(t, oneServer)
	h.Kill()
	_, err := h.Client().Info(t.Context())
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	require.EqualError(t, err, h.Unix.String()+`: "show info" unanswered: connect: connection refused`)
	var op *net.OpError
	require.False(t, errors.As(err, &op)) // its text would tell the address twice

	for addr, want := range map[string]error{
		h.Dir + "/none.sock":       syscall.ENOENT,
		"abns@" + h.Dir + "/none":  syscall.ECONNREFUSED,
		"abnsz@" + h.Dir + "/none": syscall.ECONNREFUSED,
		closedPort(t):              syscall.ECONNREFUSED,
	} {
		c := &haproxysock.Client{Addr: haproxytest.Addr(t, addr)}
		for name, test := range asks {
			err := test.ask(t.Context(), c)
			require.ErrorIs(t, err, want, name)
			require.ErrorContains(t, err, c.Addr.String()+": ")
			require.NotErrorAs(t, err, new(*haproxysock.ProtocolError))
		}
	}

	h.Restart()
	_, err = h.Client().Info(t.Context())
	require.NoError(t, err)
}

// closedPort is a port that nobody gets while the test runs, and nobody
// answers: it is bound, and not listened on.
func closedPort(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { syscall.Close(fd) })
	require.NoError(t, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	name, err := syscall.Getsockname(fd)
	require.NoError(t, err)
	return (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: name.(*syscall.SockaddrInet4).Port}).String()
}

// HAProxy dies in the middle of a reply: what came is not taken for all.
func TestKilledWhileItAnswers(t *testing.T) {
	h := haproxytest.Start(t, `
backend big
  server-template s 1-5000 127.0.0.1:9
`)
	rows := 0
	err := h.Client().ScanStats(t.Context(), nil, nil, func(*haproxysock.StatScanner) error {
		if rows++; rows == 1 {
			h.Kill()
		}
		return nil
	})
	require.Error(t, err)
	require.Less(t, rows, 5001)
	if !errors.Is(err, syscall.ECONNRESET) {
		require.ErrorContains(t, err, "this one was cut off")
	}
}
