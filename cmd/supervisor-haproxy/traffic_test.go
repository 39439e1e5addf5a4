package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock/haproxytest"
)

// A webApp is a server behind HAProxy. It keeps its address while it is restarted,
// and what it was answering when it is stopped is lost.
type webApp struct {
	t       *testing.T
	Addr    string
	answers time.Duration // how long an answer takes

	mu     sync.Mutex
	server *http.Server
	runs   int
	done   chan struct{}
}

func startWebApp(t *testing.T, answers time.Duration) *webApp {
	t.Helper()
	a := &webApp{t: t, Addr: "127.0.0.1:0", answers: answers}
	require.NoError(t, a.Restart())
	t.Cleanup(a.stop)
	return a
}

// Restart stops the app at once, and starts it again.
func (a *webApp) Restart() error {
	a.stop()
	a.mu.Lock()
	defer a.mu.Unlock()
	l, err := net.Listen("tcp", a.Addr)
	if err != nil {
		return err
	}
	a.Addr = l.Addr().String()
	a.runs++
	a.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			hold(r.Context(), a.answers)
		}
		fmt.Fprintln(w, a.Addr)
	})}
	a.done = make(chan struct{})
	server, done := a.server, a.done
	go func() {
		defer close(done)
		server.Serve(l)
	}()
	return nil
}

// hold is how long a request takes, or until nobody wants its answer.
func hold(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func (a *webApp) stop() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.server != nil {
		a.server.Close()
		<-a.done
		a.server = nil
	}
}

// Runs is how often the app was started.
func (a *webApp) Runs() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.runs
}

// A traffic is requests through HAProxys' frontends, so many at a time to each.
type traffic struct {
	sent   atomic.Int64
	mu     sync.Mutex
	failed []error
	stop   context.CancelFunc
	all    sync.WaitGroup
}

// startTraffic sends from now on, until the test ends or finish is called.
func startTraffic(t *testing.T, each int, lbs ...*haproxytest.HAProxy) *traffic {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	tr := &traffic{stop: cancel}
	for _, lb := range lbs {
		client := &http.Client{Transport: unixTransport(lb.Dir + "/fe.sock")}
		for range each {
			tr.all.Go(func() {
				for ctx.Err() == nil {
					if err := get(client); err != nil {
						tr.mu.Lock()
						tr.failed = append(tr.failed, err)
						tr.mu.Unlock()
					}
					tr.sent.Add(1)
				}
			})
		}
	}
	t.Cleanup(func() { tr.finish() })
	return tr
}

// unixTransport makes a connection of its own for each request.
func unixTransport(socket string) *http.Transport {
	return &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
	}
}

// get sends a request and lets it end, also when the traffic ends.
func get(client *http.Client) error {
	resp, err := client.Get("http://myapp/")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %s", resp.Status)
	}
	return nil
}

// finish ends it and gives what failed.
func (tr *traffic) finish() []error {
	tr.stop()
	tr.all.Wait()
	return tr.failed
}

// flows waits until so many more requests have been answered.
func (tr *traffic) flows(t *testing.T, more int64) {
	t.Helper()
	begin := tr.sent.Load()
	haproxytest.Eventually(t, "traffic flows", func() error {
		if n := tr.sent.Load() - begin; n < more {
			return fmt.Errorf("%d requests", n)
		}
		return nil
	})
}
