package haproxysock_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock/haproxytest"
)

// rig is a HAProxy with sockets and servers of all kinds.
var rig = haproxytest.Setup{
	Master: true,
	Global: `description "node, with \"quotes\""
stats socket unix@{dir}/user.sock mode 600 level user
stats socket unix@{dir}/number.sock mode 600 level admin severity-output number
stats socket unix@{dir}/string.sock mode 600 level admin severity-output string
stats socket abns@{dir} level admin`,
	Config: `
frontend fe
  bind unix@{dir}/fe.sock name "l,1"
  option socket-stats
  default_backend web
backend web
  cookie SRV insert
  server web01 127.0.0.1:9 weight 10 cookie "a,b"
  server web02 127.0.0.1:9 check inter 60s
  server web03 127.0.0.1:9 agent-check agent-port 9 agent-inter 60s
  server web04 127.0.0.1:9 track web/web02
  server web05 127.0.0.1:9 disabled
backend 5xx
  balance source
  server one 127.0.0.1:9
backend off
  disabled
  server off01 127.0.0.1:9
`,
}

// doors are all ways into h that may change something.
func doors(t *testing.T, h *haproxytest.HAProxy) map[string]*haproxysock.Client {
	return map[string]*haproxysock.Client{
		"unix":     {Addr: h.Unix},
		"tcp":      {Addr: h.TCP},
		"abstract": {Addr: haproxytest.Addr(t, "abns@"+h.Dir)},
		"master":   {Addr: h.Master},
		"number":   {Addr: haproxytest.Addr(t, h.Dir+"/number.sock")},
		"string":   {Addr: haproxytest.Addr(t, h.Dir+"/string.sock")},
	}
}

func TestCommands(t *testing.T) {
	h := haproxytest.StartSetup(t, rig)
	for name, c := range doors(t, h) {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			t.Run("state", func(t *testing.T) {
				for _, state := range []haproxysock.AdminState{haproxysock.Drain, haproxysock.Maint, haproxysock.Ready} {
					require.NoError(t, c.SetServerState(ctx, web01, state))
					require.Equal(t, state, h.State("web/web01").Admin.Asked())
					require.Equal(t, state == haproxysock.Maint, h.State("web/web01").Admin.InMaint())
				}
			})
			t.Run("weight", func(t *testing.T) {
				require.NoError(t, c.SetServerWeight(ctx, web01, 7))
				require.Equal(t, 7, h.State("web/web01").Weight)
				require.NoError(t, c.SetServerWeightPercent(ctx, web01, 50))
				require.Equal(t, 5, h.State("web/web01").Weight)
				require.NoError(t, c.SetServerWeight(ctx, web01, 0))
				require.Equal(t, 0, h.State("web/web01").Weight)
				require.NoError(t, c.SetServerWeightPercent(ctx, web01, 100))
				require.Equal(t, 10, h.State("web/web01").Weight)
				require.Equal(t, 10, h.State("web/web01").InitialWeight)
			})
			t.Run("health", func(t *testing.T) {
				for health, want := range map[haproxysock.Health]haproxysock.OpState{
					haproxysock.HealthDown: haproxysock.OpStopped, haproxysock.HealthStopping: haproxysock.OpStopping,
				} {
					require.NoError(t, c.SetServerHealth(ctx, web01, health))
					require.Equal(t, want, h.State("web/web01").Op)
					require.NoError(t, c.SetServerHealth(ctx, web01, haproxysock.HealthUp))
					require.Equal(t, haproxysock.OpRunning, h.State("web/web01").Op)
				}
			})
			t.Run("addr", func(t *testing.T) {
				for _, to := range []struct {
					ip   string
					port int
					want int
				}{{"127.0.0.2", 80, 80}, {"127.0.0.3", 0, 80}, {"127.0.0.3", 0, 80}, {"::1", 65535, 65535}, {"127.0.0.1", 9, 9}} {
					require.NoError(t, c.SetServerAddr(ctx, web01, netip.MustParseAddr(to.ip), to.port))
					state := h.State("web/web01")
					require.Equal(t, to.ip, state.Addr)
					require.Equal(t, to.want, state.Port)
				}
			})
			t.Run("checks", func(t *testing.T) {
				web02, web03 := haproxytest.Server(t, "web/web02"), haproxytest.Server(t, "web/web03")
				require.NoError(t, c.DisableHealth(ctx, web02))
				require.False(t, h.State("web/web02").Check.Enabled())
				require.NoError(t, c.EnableHealth(ctx, web02))
				require.True(t, h.State("web/web02").Check.Enabled())
				require.NoError(t, c.DisableAgent(ctx, web03))
				require.False(t, h.State("web/web03").Agent.Enabled())
				require.NoError(t, c.EnableAgent(ctx, web03))
				require.True(t, h.State("web/web03").Agent.Enabled())
				require.NotZero(t, h.State("web/web03").Agent&haproxysock.CheckAgent)
			})
			t.Run("shutdown", func(t *testing.T) { require.NoError(t, c.ShutdownSessions(ctx, web01)) })
			t.Run("servers", func(t *testing.T) {
				n1, n2 := haproxytest.Server(t, "web/n1"), haproxytest.Server(t, "web/n2")
				require.NoError(t, c.AddServer(ctx, n1, netip.MustParseAddrPort("127.0.0.7:80"), "check", "weight", "3"))
				require.Equal(t, "127.0.0.7", h.State("web/n1").Addr)
				require.Equal(t, 80, h.State("web/n1").Port)
				require.True(t, h.State("web/n1").Admin.InMaint())
				require.NoError(t, c.AddServer(ctx, n2, netip.MustParseAddrPort("[::1]:81")))
				require.Equal(t, "::1", h.State("web/n2").Addr)
				require.NoError(t, c.DelServer(ctx, n1))
				require.NoError(t, c.DelServer(ctx, n2))
				states, err := c.ServerStates(ctx, "web")
				require.NoError(t, err)
				require.Len(t, states, 5)
			})
			t.Run("info", func(t *testing.T) {
				info, err := c.Info(ctx)
				require.NoError(t, err)
				require.Equal(t, "HAProxy", info.Name)
				require.Equal(t, `node, with "quotes"`, info.Description)
				require.NotEmpty(t, info.Node)
				require.NotZero(t, info.Pid)
				require.True(t, info.Exact)
				require.False(t, info.Stopping)
				require.Equal(t, 1, info.Nbproc)
				version, err := c.Version(ctx)
				require.NoError(t, err)
				require.Equal(t, info.Version, version)
				require.Regexp(t, `^\d+\.\d+`, version)
				level, err := c.Level(ctx)
				require.NoError(t, err)
				require.Equal(t, "admin", level)
			})
			t.Run("tables", func(t *testing.T) { readTables(t, c) })
			t.Run("cookie", func(t *testing.T) { // a user is not told
				one, cookie := haproxysock.StatFilter{Proxy: "web", Kinds: haproxysock.Servers, Server: 1}, ""
				require.NoError(t, c.ScanStats(ctx, []haproxysock.StatFilter{one}, []string{"cookie"}, func(s *haproxysock.StatScanner) error {
					cookie = s.Text(0)
					return nil
				}))
				require.Equal(t, "a,b", cookie)
			})
			t.Run("refusals", func(t *testing.T) { refusals(t, c) })
		})
	}
}

// readTables reads what HAProxy was configured with.
func readTables(t *testing.T, c *haproxysock.Client) {
	ctx := t.Context()
	names := func(filter haproxysock.StatFilter) (all []string) {
		rows, err := c.Stats(ctx, filter)
		require.NoError(t, err)
		for _, row := range rows {
			all = append(all, row.Name.String())
		}
		return all
	}
	servers := []string{"web/web01", "web/web02", "web/web03", "web/web04", "web/web05"}
	require.ElementsMatch(t, append([]string{"fe/FRONTEND", "fe/l,1", "web/BACKEND", "5xx/BACKEND", "5xx/one"}, servers...), names(haproxysock.StatFilter{}))
	require.Equal(t, servers, names(haproxysock.StatFilter{Proxy: "web", Kinds: haproxysock.Servers}))
	require.Equal(t, []string{"web/web02"}, names(haproxysock.StatFilter{Proxy: "web", Kinds: haproxysock.Servers, Server: 2}))
	require.Equal(t, []string{"5xx/one"}, names(haproxysock.StatFilter{Proxy: "5xx", Kinds: haproxysock.Servers}))
	require.Equal(t, []string{"web/BACKEND", "5xx/BACKEND"}, names(haproxysock.StatFilter{Kinds: haproxysock.Backends}))
	require.Equal(t, []string{"fe/FRONTEND", "fe/l,1"}, names(haproxysock.StatFilter{Proxy: "fe", Kinds: haproxysock.AllKinds}))
	require.Equal(t, []string{"fe/FRONTEND", "web/BACKEND", "5xx/BACKEND"}, names(haproxysock.StatFilter{Kinds: haproxysock.Frontends | haproxysock.Backends}))
	require.Empty(t, names(haproxysock.StatFilter{Proxy: "off"})) // disabled
	require.Empty(t, names(haproxysock.StatFilter{Proxy: "web", Kinds: haproxysock.Servers, Server: 99}))

	rows, err := c.Stats(ctx, haproxysock.StatFilter{Proxy: "web", Kinds: haproxysock.Servers})
	require.NoError(t, err)
	require.Equal(t, haproxysock.Stat{Name: web01, Kind: haproxysock.Servers, ID: 1, Status: "no check"}, rows[0])
	require.Equal(t, "web/web02", rows[3].Tracked)
	require.Equal(t, haproxysock.Status("MAINT"), rows[4].Status)
	states, err := c.ServerStates(ctx, "")
	require.NoError(t, err)
	require.Len(t, states, 7) // those of the disabled backend too
	require.Equal(t, haproxysock.ServerName{Backend: "web", Server: "web05"}, states[4].Name)
	require.Equal(t, haproxysock.ForcedMaint|haproxysock.ConfiguredMaint, states[4].Admin)
	states, err = c.ServerStates(ctx, "5xx")
	require.NoError(t, err)
	require.Len(t, states, 1)

	conns, err := c.ServerConns(ctx, "web")
	require.NoError(t, err)
	require.Len(t, conns, 5)
	require.Equal(t, haproxysock.ServerConn{Name: web01, Addr: "127.0.0.1"}, conns[0])
	conns, err = c.ServerConns(ctx, "")
	require.NoError(t, err)
	require.Greater(t, len(conns), 5)
}

// refusals are what HAProxy says no to.
func refusals(t *testing.T, c *haproxysock.Client) {
	ctx := t.Context()
	srv := func(s string) haproxysock.ServerName { return haproxytest.Server(t, s) }
	for _, test := range []struct {
		is             error
		err            error
		command, reply string
	}{
		{haproxysock.ErrNoServer, c.SetServerState(ctx, srv("web/none"), haproxysock.Maint), "set server web/none state maint", "No such server."},
		{haproxysock.ErrNoBackend, c.SetServerState(ctx, srv("none/web01"), haproxysock.Maint), "set server none/web01 state maint", "No such backend."},
		{haproxysock.ErrNoBackend, c.SetServerState(ctx, srv("fe/web01"), haproxysock.Maint), "set server fe/web01 state maint", "No such backend."},
		{haproxysock.ErrDisabled, c.SetServerState(ctx, srv("off/off01"), haproxysock.Maint), "set server off/off01 state maint", "Proxy is disabled."},
		{haproxysock.ErrNoServer, c.ShutdownSessions(ctx, srv("web/none")), "shutdown sessions server web/none", "No such server."},
		{haproxysock.ErrNoServer, c.SetServerAddr(ctx, srv("web/none"), netip.MustParseAddr("127.0.0.1"), 80), "set server web/none addr 127.0.0.1 port 80", "No such server."},
		{haproxysock.ErrNoBackend, c.SetServerAddr(ctx, srv("none/web01"), netip.MustParseAddr("127.0.0.1"), 80), "set server none/web01 addr 127.0.0.1 port 80", "No such backend."},
		{nil, c.SetServerWeight(ctx, srv("5xx/one"), 3), "set server 5xx/one weight 3", "Backend is using a static LB algorithm and only accepts weights '0%' and '100%'."},
		{nil, c.SetServerHealth(ctx, srv("web/web04"), haproxysock.HealthDown), "set server web/web04 health down", "cannot change health on a tracking server."},
		{nil, c.EnableHealth(ctx, web01), "enable health web/web01", "Health check was not configured on this server, cannot enable."},
		{nil, c.EnableAgent(ctx, web01), "enable agent web/web01", "Agent was not configured on this server, cannot enable."},
		{haproxysock.ErrNoServer, c.DelServer(ctx, srv("web/none")), "del server web/none", "No such server."},
		{nil, c.DelServer(ctx, web01), "del server web/web01", "Only servers in maintenance mode can be deleted."},
		{nil, c.AddServer(ctx, web01, netip.MustParseAddrPort("127.0.0.1:80")), "add server web/web01 127.0.0.1:80", "Already exists a server with the same name in backend."},
		{nil, c.AddServer(ctx, srv("web/n3"), netip.MustParseAddrPort("127.0.0.1:80"), "bogus"), "add server web/n3 127.0.0.1:80 bogus", "unknown keyword 'bogus'."},
		{haproxysock.ErrNoBackend, c.AddServer(ctx, srv("none/n3"), netip.MustParseAddrPort("127.0.0.1:80")), "show stat none 2 -1", "No such proxy."},
		{haproxysock.ErrNoBackend, second(c.Stats(ctx, haproxysock.StatFilter{Proxy: "none"})), "show stat none -1 -1", "No such proxy."},
		{haproxysock.ErrNoBackend, second(c.ServerStates(ctx, "none")), "show servers state none", "Can't find backend."},
		{haproxysock.ErrNoBackend, second(c.ServerConns(ctx, "none")), "show servers conn none", "Can't find backend."},
		// HAProxy itself takes these for all proxies, and for the second one.
		{haproxysock.ErrNoBackend, second(c.Stats(ctx, haproxysock.StatFilter{Proxy: "-1"})), "show stat -1 -1 -1", "No such proxy."},
		{haproxysock.ErrNoBackend, second(c.Stats(ctx, haproxysock.StatFilter{Proxy: "3rd"})), "show stat 3rd -1 -1", "No such proxy."},
	} {
		var refusal *haproxysock.CommandError
		require.ErrorAs(t, test.err, &refusal, test.command)
		require.Equal(t, haproxysock.CommandError{Addr: c.Addr.String(), Command: test.command, Reply: test.reply}, *refusal)
		require.EqualError(t, test.err, fmt.Sprintf("%s: %q refused: %s", c.Addr, test.command, test.reply))
		for _, sentinel := range []error{haproxysock.ErrNoServer, haproxysock.ErrNoBackend, haproxysock.ErrDenied, haproxysock.ErrDisabled} {
			require.Equal(t, sentinel == test.is, refusal.Is(sentinel), test.command)
		}
	}
	// A disabled backend is told before HAProxy is asked: 3.4 would crash.
	err := c.AddServer(ctx, srv("off/n3"), netip.MustParseAddrPort("127.0.0.1:80"))
	require.ErrorIs(t, err, haproxysock.ErrDisabled)
	require.ErrorContains(t, err, `backend "off" is disabled and cannot be given servers`)
}

func second[T any](_ T, err error) error { return err }

func TestUserLevel(t *testing.T) {
	h := haproxytest.StartSetup(t, rig)
	c := &haproxysock.Client{Addr: haproxytest.Addr(t, h.Dir+"/user.sock")}
	ctx := t.Context()
	level, err := c.Level(ctx)
	require.NoError(t, err)
	require.Equal(t, "user", level)
	for _, err := range []error{
		c.SetServerState(ctx, web01, haproxysock.Maint),
		c.SetServerState(ctx, haproxytest.Server(t, "none/none"), haproxysock.Maint),
		c.SetServerWeight(ctx, web01, 1),
		c.SetServerHealth(ctx, web01, haproxysock.HealthDown),
		c.SetServerAddr(ctx, web01, netip.MustParseAddr("127.0.0.2"), 80),
		c.EnableHealth(ctx, web01), c.DisableHealth(ctx, web01), c.EnableAgent(ctx, web01), c.DisableAgent(ctx, web01),
		c.ShutdownSessions(ctx, web01),
		c.AddServer(ctx, haproxytest.Server(t, "web/n1"), netip.MustParseAddrPort("127.0.0.1:80")),
		c.DelServer(ctx, web01),
	} {
		require.ErrorIs(t, err, haproxysock.ErrDenied)
		var refusal *haproxysock.CommandError
		require.ErrorAs(t, err, &refusal)
		require.Equal(t, "Permission denied", refusal.Reply)
	}
	_, err = c.Info(ctx)
	require.NoError(t, err)
	readTables(t, c)
	sights, _, err := c.Apply(ctx, []haproxysock.Change{{Server: web01, ID: 1, To: haproxysock.ToMaint}})
	require.NoError(t, err)
	require.ErrorIs(t, sights[0].Err, haproxysock.ErrDenied)
	require.True(t, sights[0].Found)
	require.Equal(t, haproxysock.Status("no check"), sights[0].Stat.Status)
}

// What could end a command, split it, or mean another server or number is
// refused by us: HAProxy is not even dialed.
func TestNothingIsSentOfWhatIsWrong(t *testing.T) {
	p := says(t, "\n")
	c, ctx := p.client, t.Context()
	local, port := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddrPort("127.0.0.1:80")
	apply := func(srv haproxysock.ServerName, to haproxysock.Transition) error {
		_, _, err := c.Apply(ctx, []haproxysock.Change{{Server: web01, To: haproxysock.ToDrain}, {Server: srv, ID: 1, To: to}})
		return err
	}
	for name := range badNames {
		backend, server, _ := strings.Cut(name, "/")
		srv := haproxysock.ServerName{Backend: backend, Server: server}
		for _, err := range []error{
			c.SetServerState(ctx, srv, haproxysock.Ready), c.SetServerWeight(ctx, srv, 1), c.SetServerWeightPercent(ctx, srv, 1),
			c.SetServerHealth(ctx, srv, haproxysock.HealthUp), c.SetServerAddr(ctx, srv, local, 80),
			c.EnableHealth(ctx, srv), c.DisableHealth(ctx, srv), c.EnableAgent(ctx, srv), c.DisableAgent(ctx, srv),
			c.ShutdownSessions(ctx, srv), c.AddServer(ctx, srv, port), c.DelServer(ctx, srv),
			apply(srv, haproxysock.ToDrain),
		} {
			require.ErrorContains(t, err, "want ", "%q", name)
			require.NotErrorAs(t, err, new(*haproxysock.ProtocolError), "%q", name)
		}
	}
	for _, bad := range []string{"web;show env", "web show", "web\nshow env", `web\`, "#3", "a/b"} {
		for _, err := range []error{
			second(c.Stats(ctx, haproxysock.StatFilter{Proxy: bad})),
			c.ScanStats(ctx, []haproxysock.StatFilter{{Proxy: bad}}, nil, nil),
			second(c.ServerStates(ctx, bad)),
			second(c.ServerConns(ctx, bad)),
			apply(haproxysock.ServerName{Backend: bad, Server: "x"}, haproxysock.Look),
		} {
			require.ErrorContains(t, err, "cannot be in a name of HAProxy's")
		}
	}
	for _, bad := range []string{"", "check;show", "a b", "a\tb", "a\nb", `a\ b`, "<<", "<<end", "a\x7f", "a\x00"} {
		require.ErrorContains(t, c.AddServer(ctx, web01, port, "check", bad), "want one word without blanks")
	}
	for _, err := range []error{
		c.SetServerState(ctx, web01, ""), c.SetServerState(ctx, web01, "ready;show env"), c.SetServerState(ctx, web01, "READY"),
		c.SetServerHealth(ctx, web01, "up;x"), c.SetServerHealth(ctx, web01, ""),
		c.SetServerWeight(ctx, web01, -1), c.SetServerWeight(ctx, web01, 257), c.SetServerWeightPercent(ctx, web01, -1),
		c.SetServerAddr(ctx, web01, netip.Addr{}, 80), c.SetServerAddr(ctx, web01, netip.MustParseAddr("fe80::1%a"), 80),
		c.SetServerAddr(ctx, web01, local, -1), c.SetServerAddr(ctx, web01, local, 99999),
		c.AddServer(ctx, web01, netip.AddrPort{}), c.AddServer(ctx, web01, netip.AddrPortFrom(local, 0)),
		c.AddServer(ctx, web01, netip.MustParseAddrPort("[fe80::1%a]:80")),
		c.AddServer(ctx, web01, port, make([]string, 61)...), c.AddServer(ctx, web01, port, strings.Fields(strings.Repeat("x ", 61))...),
		c.SetServerState(ctx, haproxysock.ServerName{Backend: "web", Server: strings.Repeat("x", haproxysock.LongestLine)}, haproxysock.Ready),
	} {
		require.ErrorContains(t, err, "want ")
		require.NotErrorAs(t, err, new(*haproxysock.ProtocolError))
	}
	require.NoError(t, c.SetServerState(ctx, web01, haproxysock.Drain))
	require.Equal(t, 1, p.connections()) // the one that was right
	require.Equal(t, []string{"set server web/web01 state drain"}, p.heard())
}

func TestShutdownSessionsCutsARequest(t *testing.T) {
	begun, over := make(chan struct{}), make(chan struct{})
	app := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(begun)
		<-r.Context().Done()
		close(over)
	}))
	defer app.Close()
	h := haproxytest.Start(t, `
frontend fe
  bind unix@{dir}/fe.sock
  default_backend web
backend web
  retries 0
  server web01 `+app.Listener.Addr().String())
	answered := make(chan error, 1)
	go func() {
		response, err := viaUnix(h.Dir + "/fe.sock").Get("http://fe/")
		if err == nil {
			response.Body.Close()
			err = fmt.Errorf("status %d", response.StatusCode)
		}
		answered <- err
	}()
	<-begun
	rows, err := h.Client().Stats(t.Context(), haproxysock.StatFilter{Proxy: "web", Kinds: haproxysock.Servers})
	require.NoError(t, err)
	require.Equal(t, 1, rows[0].Current)
	conns, err := h.Client().ServerConns(t.Context(), "web")
	require.NoError(t, err)
	require.Equal(t, 1, conns[0].Used)
	require.NoError(t, h.Client().ShutdownSessions(t.Context(), web01))
	<-over
	require.Error(t, <-answered)
}

// viaUnix is an HTTP client that makes a connection to path for each request.
func viaUnix(path string) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
	}}
}

func TestLargeTables(t *testing.T) {
	const servers = 2500
	h := haproxytest.StartSetup(t, haproxytest.Setup{Master: true, Config: fmt.Sprintf(`
backend big
  server-template s 1-%d 127.0.0.1:9 check inter 600s
`, servers)})
	for _, addr := range []haproxysock.Addr{h.Unix, h.TCP, h.Master} {
		c := &haproxysock.Client{Addr: addr}
		stats, err := c.Stats(t.Context(), haproxysock.StatFilter{})
		require.NoError(t, err)
		require.Len(t, stats, servers+1)
		states, err := c.ServerStates(t.Context(), "")
		require.NoError(t, err)
		require.Len(t, states, servers)
		conns, err := c.ServerConns(t.Context(), "")
		require.NoError(t, err)
		require.Len(t, conns, servers)
		for i := range servers {
			name := haproxysock.ServerName{Backend: "big", Server: fmt.Sprint("s", i+1)}
			if stats[i].Name != name || stats[i].ID != i+1 || states[i].Name != name || states[i].ID != i+1 || conns[i].Name != name {
				require.FailNow(t, "wrong row", "%v %v %v %v", name, stats[i], states[i], conns[i])
			}
		}
	}
}
