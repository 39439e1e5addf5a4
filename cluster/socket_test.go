package cluster_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/supervisor-haproxy/supervisor-haproxy/cluster"
	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock/haproxytest"
)

const twoServers = `
frontend fe
  bind unix@{dir}/fe.sock
  default_backend web
backend web
  server web01 127.0.0.1:9
  server web02 127.0.0.1:9
`

func TestSocketSetsAndSees(t *testing.T) {
	h := haproxytest.StartSetup(t, haproxytest.Setup{Config: twoServers, Master: true})
	for _, addr := range []haproxysock.Addr{h.Unix, h.TCP, h.Master} {
		m := socket(addr)
		require.Equal(t, addr.String(), m.String())
		for _, state := range []haproxysock.AdminState{drain, maint, ready, maint, drain, ready} {
			o := apply(t, m, "web/web01", state)
			require.NoError(t, o.Err)
			require.Equal(t, state, o.Asked, "over %s", addr)
			require.Equal(t, state, h.State("web/web01").Admin.Asked())
			require.Equal(t, ready, h.State("web/web02").Admin.Asked())
			require.Equal(t, state, apply(t, m, "web/web01", "").Asked, "a look")
		}
	}
}

func TestSocketKeepsTheOrderOfItsTargets(t *testing.T) {
	h := haproxytest.Start(t, twoServers)
	m := socket(h.Unix)
	report, err := m.Apply(t.Context(), []cluster.Target{
		target(t, "web/web02", maint), target(t, "web/gone", drain), {}, {Server: haproxysock.ServerName{Backend: "w eb", Server: "web01"}, State: maint},
		target(t, "web/web01", drain), target(t, "web/web02", ""),
	})
	require.NoError(t, err)
	var told []string
	for _, o := range report.Servers {
		told = append(told, fmt.Sprint(o.Server, " ", o.Asked, " ", o.Err != nil))
	}
	require.Equal(t, []string{"web/web02 maint false", "web/gone  true", "/  true", "w eb/web01  true", "web/web01 drain false", "web/web02 maint false"}, told)
}

func TestSocketTellsWhatIsNotThere(t *testing.T) {
	h := haproxytest.Start(t, twoServers+`
backend off
  disabled
  server s 127.0.0.1:9
`)
	m := socket(h.Unix)
	for _, state := range []haproxysock.AdminState{"", drain, maint, ready} {
		require.ErrorIs(t, apply(t, m, "web/web03", state).Err, haproxysock.ErrNoServer)
		require.ErrorIs(t, apply(t, m, "www/web01", state).Err, haproxysock.ErrNoBackend)
		require.ErrorIs(t, apply(t, m, "off/s", state).Err, haproxysock.ErrDisabled)
		require.NoError(t, apply(t, m, "web/web01", state).Err)
	}
}

func TestSocketBelowAdmin(t *testing.T) {
	h := haproxytest.StartSetup(t, haproxytest.Setup{Config: twoServers, Global: "stats socket unix@{dir}/user.sock level user"})
	m := socket(haproxytest.Addr(t, "unix://"+h.Dir+"/user.sock"))
	require.NoError(t, apply(t, m, "web/web01", "").Err)
	for _, state := range []haproxysock.AdminState{drain, maint, ready} {
		o := apply(t, m, "web/web01", state)
		require.ErrorIs(t, o.Err, haproxysock.ErrDenied)
		require.Equal(t, ready, o.Asked, "and what it is all the same")
		require.False(t, o.Gated)
	}
}

func TestSocketMakesOneConnection(t *testing.T) {
	h := haproxytest.Start(t, twoServers)
	p := newProxy(t, h.Unix)
	m := socket(p.addr)
	all := func(state haproxysock.AdminState) {
		report, err := m.Apply(t.Context(), []cluster.Target{target(t, "web/web01", state), target(t, "web/web02", state)})
		require.NoError(t, err)
		require.NoError(t, report.Servers[0].Err)
		require.NoError(t, report.Servers[1].Err)
	}
	n, _ := p.counts(func() { all("") })
	require.EqualValues(t, 2, n, "servers that are new are looked up first")
	for _, state := range []haproxysock.AdminState{drain, maint, ready, ""} {
		n, _ = p.counts(func() { all(state) })
		require.EqualValues(t, 1, n, "to %q", state)
	}
}

func TestSocketReadsNotTheWholeBackend(t *testing.T) {
	var config strings.Builder
	config.WriteString("backend web\n")
	for i := range 1200 {
		fmt.Fprintf(&config, "  server web%04d 127.0.0.1:9\n", i)
	}
	h := haproxytest.Start(t, config.String())
	p := newProxy(t, h.Unix)
	m := socket(p.addr)
	_, learned := p.counts(func() { apply(t, m, "web/web0777", "") })
	require.Greater(t, learned, int64(50_000), "the first time, for its number")
	for _, state := range []haproxysock.AdminState{drain, maint, ready, ""} {
		n, bytes := p.counts(func() { require.NoError(t, apply(t, m, "web/web0777", state).Err) })
		require.EqualValues(t, 1, n)
		require.Less(t, bytes, int64(10_000), "to %q", state)
	}
}

func TestSocketSplitsLongLines(t *testing.T) {
	var config strings.Builder
	config.WriteString("backend web\n")
	var targets []cluster.Target
	for i := range 60 {
		fmt.Fprintf(&config, "  server web%04d 127.0.0.1:9\n", i)
		targets = append(targets, target(t, fmt.Sprintf("web/web%04d", i), drain))
	}
	h := haproxytest.Start(t, config.String())
	for _, addr := range []haproxysock.Addr{h.Unix, h.TCP} {
		report, err := socket(addr).Apply(t.Context(), targets)
		require.NoError(t, err)
		for i, o := range report.Servers {
			require.NoError(t, o.Err)
			require.Equal(t, targets[i].Server, o.Server)
			require.Equal(t, drain, o.Asked)
		}
	}
}

func TestSocketNotReached(t *testing.T) {
	h := haproxytest.Start(t, twoServers)
	m := socket(h.Unix)
	apply(t, m, "web/web01", maint)

	h.Pause()
	began := time.Now()
	_, err := m.Apply(within(t, 50*time.Millisecond), []cluster.Target{target(t, "web/web01", drain)})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, h.Unix.String())
	require.Less(t, time.Since(began), 5*time.Second)
	h.Resume()
	require.NoError(t, apply(t, m, "web/web01", ready).Err)

	h.Kill()
	_, err = m.Apply(t.Context(), []cluster.Target{target(t, "web/web01", drain)})
	require.ErrorContains(t, err, h.Unix.String())
}

func TestSocketAfterARestart(t *testing.T) {
	h := haproxytest.Start(t, twoServers)
	m := socket(h.Unix)
	first, err := m.Apply(t.Context(), []cluster.Target{target(t, "web/web01", maint)})
	require.NoError(t, err)
	h.Kill()
	h.Restart()
	second, err := m.Apply(t.Context(), []cluster.Target{target(t, "web/web01", "")})
	require.NoError(t, err)
	require.False(t, first.Process.Same(second.Process))
	require.Equal(t, ready, second.Servers[0].Asked)
}

// The new process boots the server as it is configured: in maint, where a drain
// that was thought out for the old one would start its checks.
func TestSocketLooksFirstAtANewProcess(t *testing.T) {
	h := haproxytest.Start(t, twoServers)
	m := socket(h.Unix)
	apply(t, m, "web/web02", "")
	h.Kill()
	rewrite(t, h, "  server web02 127.0.0.1:9\n", "  server web02 127.0.0.1:9 check inter 50ms disabled\n")
	h.Restart()
	o := apply(t, m, "web/web02", "")
	require.Equal(t, maint, o.Asked)
	o = apply(t, m, "web/web02", ready)
	require.True(t, o.Gated, "it was not checked before")
}

// HAProxy is restarted between a row that does not tell and the table that does.
func TestSocketBelievesNoTableOfAnotherProcess(t *testing.T) {
	const down = "  server web03 127.0.0.1:9 check inter 20ms\n"
	h := haproxytest.Start(t, twoServers+down)
	p := newProxy(t, h.Unix)
	m := socket(p.addr)
	eventuallyStatus(t, m, "web/web03", "DOWN")
	rewrite(t, h, down, strings.TrimSuffix(down, "\n")+" disabled\n")
	last := p.connections.Load()
	before := func(n int64) {
		if n == last+2 {
			h.Kill()
			h.Restart()
		}
	}
	p.before.Store(&before)
	o := apply(t, m, "web/web03", drain)
	require.Greater(t, p.connections.Load(), last+2)
	require.Equal(t, maint, o.Asked, "what it is, and not what was asked of the old process")
	require.Equal(t, maint, h.State("web/web03").Admin.Asked(), "which was not thought out for the new one")
}

func TestSocketAfterServersWereRenumbered(t *testing.T) {
	h := haproxytest.Start(t, `
backend web
  server web01 127.0.0.1:9
  server web02 127.0.0.1:9
  server web03 127.0.0.1:9
`)
	m := socket(h.Unix)
	both := []cluster.Target{target(t, "web/web01", maint), target(t, "web/web03", drain)}
	_, err := m.Apply(t.Context(), both)
	require.NoError(t, err)

	h.Kill()
	rewrite(t, h, "server web01 127.0.0.1:9", "server web00 127.0.0.1:9\n  server web01 127.0.0.1:9")
	rewrite(t, h, "  server web02 127.0.0.1:9\n", "")
	h.Restart()
	for range 2 { // what is said while numbers are another process's need not be done, but is never told wrongly
		report, err := m.Apply(t.Context(), both)
		require.NoError(t, err)
		for i, o := range report.Servers {
			require.NoError(t, o.Err)
			require.Equal(t, both[i].Server, o.Server)
			require.Equal(t, h.State(o.Server.String()).Admin.Asked(), o.Asked)
		}
	}
	require.Equal(t, maint, h.State("web/web01").Admin.Asked())
	require.Equal(t, drain, h.State("web/web03").Admin.Asked())
	require.Equal(t, ready, h.State("web/web00").Admin.Asked())
	require.ErrorIs(t, apply(t, m, "web/web02", maint).Err, haproxysock.ErrNoServer)
}

func TestSocketAfterAServerWasAddedAnew(t *testing.T) {
	h := haproxytest.Start(t, `
backend web
  server web01 127.0.0.1:9
  server web02 127.0.0.1:9
`)
	m := socket(h.Unix)
	require.Equal(t, maint, apply(t, m, "web/web02", maint).Asked)
	name := haproxytest.Server(t, "web/web02")
	before := h.State("web/web02").ID
	require.NoError(t, h.Client().DelServer(t.Context(), name))
	require.NoError(t, h.Client().AddServer(t.Context(), name, netip.MustParseAddrPort("127.0.0.1:9"), "id", "77"))
	require.NotEqual(t, before, h.State("web/web02").ID)
	require.Equal(t, ready, apply(t, m, "web/web02", ready).Asked)
	require.Equal(t, ready, h.State("web/web02").Admin.Asked())
	require.Equal(t, drain, apply(t, m, "web/web02", drain).Asked)

	require.Equal(t, maint, apply(t, m, "web/web02", maint).Asked)
	require.NoError(t, h.Client().DelServer(t.Context(), name))
	require.ErrorIs(t, apply(t, m, "web/web02", drain).Err, haproxysock.ErrNoServer)
}
