package listener_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/supervisor-haproxy/supervisor-haproxy/cluster"
	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock/haproxytest"
	"github.com/supervisor-haproxy/supervisor-haproxy/listener"
	"github.com/supervisor-haproxy/supervisor-haproxy/listener/listenertest"
	"github.com/supervisor-haproxy/supervisor-haproxy/reconcile"
)

// app is a backend of servers that nothing checks.
const app = `
frontend fe
  bind unix@{dir}/fe.sock
  default_backend app
backend app
  server web01 127.0.0.1:9
  server web02 127.0.0.1:9
  server web03 127.0.0.1:9
`

// A rig is a listener between a supervisord that is played and real HAProxys.
type rig struct {
	*listenertest.Peer
	t    *testing.T
	log  *haproxytest.Buffer
	stop context.CancelFunc
	done chan error
}

const (
	ackTimeout = 500 * time.Millisecond
	poll       = 50 * time.Millisecond
)

func start(t *testing.T, members []haproxysock.Addr, specs ...string) *rig {
	t.Helper()
	mapping, err := listener.ParseMapping(specs)
	require.NoError(t, err)
	r := &rig{t: t, Peer: listenertest.NewPeer(t), log: &haproxytest.Buffer{}, done: make(chan error, 1)}
	log := slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var sockets []cluster.Member
	for _, addr := range members {
		sockets = append(sockets, &cluster.Socket{Client: haproxysock.Client{Addr: addr}})
	}
	rec := reconcile.New(sockets...)
	rec.Timeout, rec.Poll, rec.Log = ackTimeout, poll, log
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	background, end := context.WithCancel(context.Background())
	reconciled := make(chan error, 1)
	go func() { reconciled <- rec.Run(background) }()
	l := &listener.Listener{Conn: listener.NewConn(r.Stdin, r.Stdout), Specs: mapping, Reconciler: rec, AckTimeout: ackTimeout, Log: log}
	go func() { r.done <- l.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		r.Close()
		end()
		<-reconciled
		if t.Failed() {
			t.Log("the listener's log:\n" + r.log.String())
		}
	})
	return r
}

// logged waits until the log has a line with all of words.
func (r *rig) logged(words ...string) {
	r.t.Helper()
	haproxytest.Eventually(r.t, "the log has "+strings.Join(words, " and "), func() error {
		for line := range strings.Lines(r.log.String()) {
			if containsAll(line, words) {
				return nil
			}
		}
		return fmt.Errorf("it has not")
	})
}

func containsAll(s string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(s, w) {
			return false
		}
	}
	return true
}

// asked is the admin state that a member shows now, with no patience: what was
// answered OK has to be so.
func asked(h *haproxytest.HAProxy, server string) haproxysock.AdminState {
	return h.State(server).Admin.Asked()
}

func two(t *testing.T, config string) (*haproxytest.HAProxy, *haproxytest.HAProxy) {
	return haproxytest.Start(t, config), haproxytest.Start(t, config)
}

// serve runs an HTTP server and gives its address.
func serve(t *testing.T, handle http.HandlerFunc) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &http.Server{Handler: handle}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return l.Addr().String()
}

// A load asks one request after the other.
type load struct {
	t            *testing.T
	sent, served atomic.Int64
}

func startLoad(t *testing.T, socket string) *load {
	l := &load{t: t}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}}}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for ctx.Err() == nil {
			req, _ := http.NewRequestWithContext(ctx, "GET", "http://app/", nil)
			resp, err := client.Do(req)
			l.sent.Add(1)
			if err != nil {
				continue
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				l.served.Add(1)
			}
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	return l
}

// await returns when n more requests have been sent.
func (l *load) await(n int64) {
	l.t.Helper()
	until := l.sent.Load() + n
	haproxytest.Eventually(l.t, "requests are sent", func() error {
		if sent := l.sent.Load(); sent < until {
			return fmt.Errorf("%d of %d", sent, until)
		}
		return nil
	})
}
