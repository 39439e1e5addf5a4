package cluster_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/supervisor-haproxy/supervisor-haproxy/cluster"
	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock/haproxytest"
)

// An app is a web server behind HAProxy that tells checks from requests.
type app struct {
	path     string
	healthy  atomic.Bool
	checks   atomic.Int64
	requests atomic.Int64 // those of clients
	early    atomic.Int64 // of these, before a check was passed since it was last sick
	passed   atomic.Bool
}

func startApp(t testing.TB) *app {
	t.Helper()
	a := &app{path: haproxytest.ShortDir(t) + "/app.sock"}
	l, err := net.Listen("unix", a.path)
	require.NoError(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path != "/check":
			a.requests.Add(1)
			if !a.passed.Load() {
				a.early.Add(1)
			}
		case a.healthy.Load():
			a.checks.Add(1)
			a.passed.Store(true)
		default:
			a.checks.Add(1)
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})}
	var done sync.WaitGroup
	done.Go(func() { server.Serve(l) })
	t.Cleanup(func() {
		server.Close()
		done.Wait()
	})
	return a
}

// config is a backend with the app, checked often, behind a frontend.
func (a *app) config() string {
	return fmt.Sprintf(`
frontend fe
  bind unix@{dir}/fe.sock
  default_backend web
backend web
  option httpchk GET /check
  default-server inter 20ms fastinter 20ms downinter 20ms fall 2 rise 2
  server web01 unix@%s check
  server follows unix@%s track web/web01 weight 0
`, a.path, a.path)
}

// load sends requests through HAProxy until the test ends.
func load(t testing.TB, h *haproxytest.HAProxy) {
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", h.Dir+"/fe.sock")
		},
	}}
	end := make(chan struct{})
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for {
				select {
				case <-end:
					return
				default:
				}
				if reply, err := client.Get("http://app/"); err == nil {
					reply.Body.Close()
				}
			}
		})
	}
	t.Cleanup(func() {
		close(end)
		all.Wait()
	})
}

func eventuallyStatus(t testing.TB, m cluster.Member, server, word string) {
	t.Helper()
	haproxytest.Eventually(t, server+" is "+word, func() error {
		if o := apply(t, m, server, ""); o.Status.Word() != word {
			return fmt.Errorf("%s is %s", server, o.Status)
		}
		return nil
	})
}

func eventuallyMore(t testing.TB, what string, count *atomic.Int64) {
	t.Helper()
	before := count.Load()
	haproxytest.Eventually(t, what, func() error {
		if n := count.Load(); n < before+3 {
			return fmt.Errorf("%d came", n-before)
		}
		return nil
	})
}

// eventuallyQuiet waits until requests have stopped to come. That HAProxy counts
// none is not enough: one that was given to the server a moment before it went
// out is counted a moment later.
func (a *app) eventuallyQuiet(t testing.TB) {
	t.Helper()
	last, quiet := int64(-1), 0
	haproxytest.Eventually(t, "requests have stopped", func() error {
		n := a.requests.Load()
		if quiet++; n != last {
			last, quiet = n, 0
		}
		if quiet < 20 {
			return fmt.Errorf("%d came", n)
		}
		return nil
	})
}

func TestGateLetsNoRequestThroughBeforeTheCheckPassed(t *testing.T) {
	a := startApp(t)
	a.healthy.Store(true)
	h := haproxytest.Start(t, a.config())
	m := socket(h.Unix)
	eventuallyMore(t, "checks come", &a.checks) // HAProxy boots a server as if they had passed
	load(t, h)
	eventuallyMore(t, "requests come", &a.requests)
	for _, out := range []haproxysock.AdminState{maint, drain, maint, drain} {
		require.Equal(t, out, apply(t, m, "web/web01", out).Asked)
		a.healthy.Store(false)
		if out == drain { // until HAProxy knows that it is down, which hides the drain
			eventuallyStatus(t, m, "web/web01", "DOWN")
			require.Equal(t, drain, apply(t, m, "web/web01", "").Asked)
		}
		a.eventuallyQuiet(t)
		a.passed.Store(false)
		o := apply(t, m, "web/web01", ready)
		require.NoError(t, o.Err)
		require.True(t, o.Gated, "from %s", out)
		require.False(t, o.Status.Up())
		eventuallyMore(t, "checks come", &a.checks)
		o = apply(t, m, "web/web01", "")
		require.Equal(t, ready, o.Asked)
		require.False(t, o.Status.Up())
		require.False(t, o.Stuck)

		a.healthy.Store(true)
		eventuallyMore(t, "requests come again", &a.requests)
	}
	require.Zero(t, a.early.Load(), "requests before the check had passed")
}

func TestReadyServersAreNotPutThroughTheGate(t *testing.T) {
	a := startApp(t)
	a.healthy.Store(true)
	h := haproxytest.Start(t, a.config())
	p := newProxy(t, h.Unix)
	m := socket(p.addr)
	eventuallyStatus(t, m, "web/web01", "UP")
	for range 20 {
		n, _ := p.counts(func() {
			o := apply(t, m, "web/web01", ready)
			require.Equal(t, ready, o.Asked)
			require.False(t, o.Gated)
			require.True(t, o.Status.Up())
		})
		require.EqualValues(t, 1, n)
	}
	apply(t, m, "web/web01", maint)
	n, _ := p.counts(func() { require.True(t, apply(t, m, "web/web01", ready).Gated) })
	require.EqualValues(t, 2, n, "one to look, one to do it")
	require.False(t, apply(t, m, "web/web01", ready).Gated, "it is on its way already")
	eventuallyStatus(t, m, "web/web01", "UP")

	// Somebody else was faster: what we have seen last does not count.
	apply(t, m, "web/web01", maint)
	require.NoError(t, h.Client().SetServerState(t.Context(), haproxytest.Server(t, "web/web01"), ready))
	o := apply(t, m, "web/web01", ready)
	require.False(t, o.Gated)
	require.True(t, o.Status.Up())
}

func TestDrainOfADownServerIsCertain(t *testing.T) {
	a := startApp(t)
	h := haproxytest.Start(t, a.config())
	p := newProxy(t, h.Unix)
	m := socket(p.addr)
	eventuallyStatus(t, m, "web/web01", "DOWN")
	require.Equal(t, ready, apply(t, m, "web/web01", "").Asked)
	o := apply(t, m, "web/web01", drain)
	require.Equal(t, haproxysock.Status("DOWN"), o.Status)
	require.Equal(t, drain, o.Asked)

	unsure := []cluster.Target{{Server: haproxytest.Server(t, "web/web01"), State: drain}}
	n, _ := p.counts(func() {
		report, err := m.Apply(t.Context(), unsure)
		require.NoError(t, err)
		require.Empty(t, report.Servers[0].Asked, "the row does not tell")
	})
	require.EqualValues(t, 1, n)
}

func TestReadyWithoutACheckIsPlain(t *testing.T) {
	a := startApp(t)
	a.healthy.Store(true)
	agent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { agent.Close() })
	h := haproxytest.Start(t, a.config()+fmt.Sprintf(`
backend others
  server plain 127.0.0.1:9
  server agent 127.0.0.1:9 check agent-check agent-addr 127.0.0.1 agent-port %d agent-inter 1h
`, agent.Addr().(*net.TCPAddr).Port))
	m := socket(h.Unix)
	for _, server := range []string{"others/plain", "others/agent", "web/follows"} {
		for _, out := range []haproxysock.AdminState{maint, drain} {
			require.Equal(t, out, apply(t, m, server, out).Asked, server)
			o := apply(t, m, server, ready)
			require.NoError(t, o.Err, server)
			require.Equal(t, ready, o.Asked, "%s from %s", server, out)
			require.False(t, o.Gated, server)
			require.True(t, o.Status.Up(), "%s is %s", server, o.Status)
		}
	}
}

// What a server shows that tracks another may be the other's.
func TestTrackingServersAreAskedThemselves(t *testing.T) {
	a := startApp(t)
	a.healthy.Store(true)
	h := haproxytest.Start(t, a.config())
	m := socket(h.Unix)
	for _, leader := range []haproxysock.AdminState{drain, maint, ready} {
		apply(t, m, "web/web01", leader)
		for _, state := range []haproxysock.AdminState{drain, maint, ready} {
			require.Equal(t, state, apply(t, m, "web/follows", state).Asked)
			require.Equal(t, state, h.State("web/follows").Admin.Asked())
			require.Equal(t, leader, h.State("web/web01").Admin.Asked())
		}
	}
}

// A person who takes the check away leaves us with a gate that nothing opens.
func TestReadyRaisesAServerWhoseCheckWasTakenAway(t *testing.T) {
	for _, out := range []haproxysock.AdminState{maint, drain} {
		a := startApp(t)
		a.healthy.Store(true)
		h := haproxytest.Start(t, a.config())
		m := socket(h.Unix)
		apply(t, m, "web/web01", out)
		require.NoError(t, h.Client().DisableHealth(t.Context(), haproxytest.Server(t, "web/web01")))
		apply(t, m, "web/web01", ready)
		// It may be down for as long as nobody asks; whoever asks is told so.
		if o := apply(t, m, "web/web01", ""); !o.Status.Up() {
			require.True(t, o.Stuck, "%+v", o)
			o = apply(t, m, "web/web01", ready)
			require.False(t, o.Stuck)
			require.True(t, o.Status.Up(), "it is %s", o.Status)
		}
		load(t, h)
		eventuallyMore(t, "requests come", &a.requests)
	}
}

func TestReadyRaisesAServerThatWasSaidToBeDown(t *testing.T) {
	h := haproxytest.Start(t, twoServers)
	m := socket(h.Unix)
	name := haproxytest.Server(t, "web/web01")
	apply(t, m, "web/web01", ready)
	for range 2 {
		require.NoError(t, h.Client().SetServerHealth(t.Context(), name, haproxysock.HealthDown))
		o := apply(t, m, "web/web01", "")
		require.True(t, o.Stuck, "%+v", o)
		o = apply(t, m, "web/web01", ready)
		require.NoError(t, o.Err)
		require.True(t, o.Status.Up(), "it is %s", o.Status)
		require.False(t, o.Stuck)
	}
}
