package haproxypage_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxypage"
	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock/haproxytest"
)

const actConfig = `
frontend fe
  bind unix@{dir}/fe.sock
  default_backend app
frontend admin
  bind unix@{dir}/admin-page.sock
  stats enable
  stats uri /haproxy?stats
  stats auth ops:secret
  stats admin if TRUE
frontend look
  bind unix@{dir}/look.sock
  stats enable
  stats uri /stats
frontend nobody
  bind unix@{dir}/nobody.sock
  stats enable
  stats uri /stats
  stats admin if FALSE
backend web
  server web01 127.0.0.1:9
  server web02 127.0.0.1:9
  server off 127.0.0.1:9 disabled
  server tracks 127.0.0.1:9 track checked/good
backend checked
  default-server inter 50ms fastinter 50ms rise 2 fall 2
  server good unix@APP check
  server dead 127.0.0.1:9 check
  server deadoff 127.0.0.1:9 check disabled
backend app
  server app01 unix@APP
`

type rig struct {
	*haproxytest.HAProxy
	admin, look, nobody *haproxypage.Page
	held                chan struct{} // a request that the app has got and does not answer
}

func start(t testing.TB, global string) *rig {
	t.Helper()
	r := &rig{held: make(chan struct{}, 1)}
	socket := haproxytest.ShortDir(t) + "/app.sock"
	l, err := net.Listen("unix", socket)
	require.NoError(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/hold" {
			r.held <- struct{}{}
			<-req.Context().Done()
		}
	})}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	r.HAProxy = haproxytest.StartSetup(t, haproxytest.Setup{Config: strings.ReplaceAll(actConfig, "APP", socket), Global: global})
	r.admin = page(t, "http://ops:secret@"+haproxytest.Forward(t, r.Dir+"/admin-page.sock")+"/haproxy?stats")
	r.look = page(t, "http://"+haproxytest.Forward(t, r.Dir+"/look.sock")+"/stats")
	r.nobody = page(t, "http://"+haproxytest.Forward(t, r.Dir+"/nobody.sock")+"/stats;csv")
	return r
}

func (r *rig) asked(server string) haproxysock.AdminState { return r.State(server).Admin.Asked() }

// Actions take effect, as the admin socket shows.
func TestAct(t *testing.T) {
	r := start(t, "")
	for _, c := range []struct {
		action haproxypage.Action
		want   haproxysock.AdminState
	}{{haproxypage.Drain, "drain"}, {haproxypage.Maint, "maint"}, {haproxypage.Ready, "ready"}} {
		require.NoError(t, r.admin.Act(t.Context(), "web", []string{"web01", "web02"}, c.action))
		require.Equal(t, c.want, r.asked("web/web01"))
		require.Equal(t, c.want, r.asked("web/web02"))
		require.NoError(t, r.admin.Act(t.Context(), "web", []string{"web01"}, c.action), "a second time")
	}
	require.NoError(t, r.admin.Act(t.Context(), "web", []string{"web01"}, haproxypage.HealthDown))
	require.Equal(t, haproxysock.OpStopped, r.State("web/web01").Op)
	require.NoError(t, r.admin.Act(t.Context(), "web", []string{"web01"}, haproxypage.HealthStop))
	require.Equal(t, haproxysock.OpStopping, r.State("web/web01").Op)
	require.NoError(t, r.admin.Act(t.Context(), "web", []string{"web01"}, haproxypage.HealthUp))
	require.Equal(t, haproxysock.OpRunning, r.State("web/web01").Op)
	require.NoError(t, r.admin.Act(t.Context(), "checked", []string{"good"}, haproxypage.DisableCheck))
	require.False(t, r.State("checked/good").Check.Enabled())
	require.NoError(t, r.admin.Act(t.Context(), "checked", []string{"good"}, haproxypage.EnableCheck))
	require.True(t, r.State("checked/good").Check.Enabled())
}

// HAProxy's own word on what it did not do, and what it did all the same.
func TestActCodes(t *testing.T) {
	r := start(t, "tune.bufsize 2048\ntune.maxrewrite 512")
	many := make([]string, 500)
	for i := range many {
		many[i] = "web01"
	}
	for _, c := range []struct {
		name    string
		page    *haproxypage.Page
		backend string
		servers []string
		action  haproxypage.Action
		code    haproxypage.Code
		want    string
	}{
		{"one is unknown", r.admin, "web", []string{"web01", "web09"}, "drain", haproxypage.Part, "PART: some of the servers are unknown"},
		{"no server", r.admin, "web", nil, "drain", haproxypage.None, "NONE: there was nothing to do"},
		{"no check to disable", r.admin, "web", []string{"web01"}, haproxypage.DisableCheck, haproxypage.None, "NONE"},
		{"unknown server", r.admin, "web", []string{"web09"}, "drain", haproxypage.Invalid, `"drain web/web09" refused: ERRP: no such backend, server or action`},
		{"unknown backend", r.admin, "none", []string{"web01"}, "drain", haproxypage.Invalid, "ERRP"},
		{"unknown action", r.admin, "web", []string{"web01"}, "explode", haproxypage.Invalid, "ERRP"},
		{"too many", r.admin, "web", many, "drain", haproxypage.TooLong, "EXCD: too many servers in one request"},
		{"no stats admin", r.look, "web", []string{"web02"}, "drain", haproxypage.Denied, "DENY: the page may only be looked at"},
		{"not for us", r.nobody, "web", []string{"web02"}, "drain", haproxypage.Denied, "DENY"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.page.Act(t.Context(), c.backend, c.servers, c.action)
			refusal := (*haproxypage.ActionError)(nil)
			require.ErrorAs(t, err, &refusal)
			require.Equal(t, c.code, refusal.Code)
			require.Contains(t, err.Error(), c.want)
			command := (*haproxysock.CommandError)(nil)
			require.ErrorAs(t, err, &command)
		})
	}
	require.EqualValues(t, "drain", r.asked("web/web01"), "PART did what it could")
	require.EqualValues(t, "ready", r.asked("web/web02"))
}

// A user that the page does not know gets nowhere.
func TestActUnauthorized(t *testing.T) {
	r := start(t, "")
	p := page(t, strings.Replace(r.admin.String(), "xxxxx", "wrong", 1))
	require.ErrorContains(t, p.Act(t.Context(), "web", []string{"web01"}, haproxypage.Drain), "401 Unauthorized: wrong user or password")
	require.EqualValues(t, "ready", r.asked("web/web01"))
}

// Answers that no page gives are no yes.
func TestActGarbled(t *testing.T) {
	for _, c := range []struct {
		name, location, want string
		status               int
	}{
		{"another page", "/login", `answered with "303 /login", want 303 and a location with ;st=`, 303},
		{"no code", "/stats;st=", "want 303", 303},
		{"200", "", `answered with "200", want 303`, 200},
		{"sent to HTTPS", "https://lb1/stats", `"301 https://lb1/stats"`, 301},
		{"garbled to HAProxy", "/stats;st=IVAL", "IVAL: haproxy could not read the request", 303},
		{"unknown to HAProxy", "/stats;st=UNKN", "UNKN: an error that haproxy does not name", 303},
		{"unknown to us", "/stats;st=NEWS", "refused: NEWS", 303},
		{"forbidden on the way", "", `"POST" refused: 403 Forbidden`, 403},
	} {
		t.Run(c.name, func(t *testing.T) {
			requests := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests++
				require.Empty(t, r.Header.Get("Origin"))
				w.Header().Set("Location", c.location)
				w.WriteHeader(c.status)
			}))
			t.Cleanup(server.Close)
			err := page(t, server.URL+"/stats").Act(t.Context(), "web", []string{"web01"}, haproxypage.Drain)
			require.ErrorContains(t, err, c.want)
			require.Equal(t, 1, requests)
		})
	}
}

// Sessions that are cut are gone at once.
func TestActShutdown(t *testing.T) {
	r := start(t, "")
	conn, err := net.Dial("unix", r.Dir+"/fe.sock")
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	_, err = io.WriteString(conn, "GET /hold HTTP/1.1\r\nHost: app\r\n\r\n")
	require.NoError(t, err)
	<-r.held
	s, err := r.admin.Server(t.Context(), haproxytest.Server(t, "app/app01"))
	require.NoError(t, err)
	require.Equal(t, 1, s.Current)

	require.NoError(t, r.admin.Act(t.Context(), "app", []string{"app01"}, haproxypage.Shutdown))
	line, err := bufio.NewReader(conn).ReadString('\n') // 502, or a bare end
	if err == nil {
		require.Contains(t, line, " 502 ")
	}
	haproxytest.Eventually(t, "nobody is left", func() error {
		s, err := r.admin.Server(t.Context(), haproxytest.Server(t, "app/app01"))
		if err == nil && s.Current > 0 {
			err = fmt.Errorf("%d sessions", s.Current)
		}
		return err
	})
}

// Every state from every other one, as the socket shows it, and always with the
// row behind it.
func TestSetServerState(t *testing.T) {
	r := start(t, "")
	states := []haproxysock.AdminState{"ready", "drain", "maint"}
	for _, server := range []string{"web/web01", "web/off", "web/tracks", "checked/good", "checked/dead", "checked/deadoff"} {
		name := haproxytest.Server(t, server)
		for _, from := range states {
			for _, to := range states {
				_, err := r.admin.SetServerState(t.Context(), name, from)
				require.NoError(t, err)
				s, err := r.admin.SetServerState(t.Context(), name, to)
				require.NoError(t, err)
				require.Equal(t, to, r.asked(server), "%s from %s", server, from)
				require.Equal(t, name, s.Name)
				if seen := s.Asked(); seen != "" {
					require.Equal(t, to, seen)
				}
			}
		}
	}
	_, err := r.admin.SetServerState(t.Context(), haproxytest.Server(t, "web/web09"), "drain")
	require.ErrorIs(t, err, haproxysock.ErrNoServer)
	_, err = r.admin.SetServerState(t.Context(), haproxytest.Server(t, "none/web09"), "drain")
	require.ErrorIs(t, err, haproxysock.ErrNoBackend)
	_, err = r.admin.SetServerState(t.Context(), haproxysock.ServerName{Backend: "web", Server: "a&b"}, "drain")
	require.ErrorContains(t, err, "cannot be in a name")
	_, err = r.admin.SetServerState(t.Context(), haproxytest.Server(t, "web/web01"), "gone")
	require.ErrorContains(t, err, "want ready, drain or maint")
	_, err = r.look.SetServerState(t.Context(), haproxytest.Server(t, "web/web01"), "drain")
	require.ErrorContains(t, err, "DENY")
}

// A server that HAProxy checks is down until a check has passed, wherever it came
// from; one that nothing checks is up at once, whatever was said of its health.
func TestSetServerStateReadyThroughTheCheck(t *testing.T) {
	r := start(t, "")
	for _, from := range []haproxysock.AdminState{"maint", "drain"} {
		for _, server := range []string{"checked/dead", "checked/deadoff"} {
			name := haproxytest.Server(t, server)
			_, err := r.admin.SetServerState(t.Context(), name, from)
			require.NoError(t, err)
			s, err := r.admin.SetServerState(t.Context(), name, haproxysock.Ready)
			require.NoError(t, err)
			require.False(t, s.Status.Up(), "%s from %s: %s", server, from, s.Status)
			require.Equal(t, haproxysock.OpStopped, r.State(server).Op)
		}
	}
	name := haproxytest.Server(t, "web/web01")
	for _, from := range []haproxysock.AdminState{"maint", "drain", "ready"} {
		_, err := r.admin.SetServerState(t.Context(), name, from)
		require.NoError(t, err)
		require.NoError(t, r.Client().SetServerHealth(t.Context(), name, haproxysock.HealthDown))
		s, err := r.admin.SetServerState(t.Context(), name, haproxysock.Ready)
		require.NoError(t, err)
		require.True(t, s.Status.Up(), "from %s: %s", from, s.Status)
	}
}

// A server that is ready is left alone: the way through the check would take it
// down.
func TestSetServerStateLeavesReadyAlone(t *testing.T) {
	r := start(t, "")
	name := haproxytest.Server(t, "checked/good")
	haproxytest.Eventually(t, "it is up", func() error {
		s, err := r.admin.Server(t.Context(), name)
		if err == nil && (s.Status != "UP" || !s.Checked) {
			err = fmt.Errorf("%s", s.Status)
		}
		return err
	})
	before := downs(t, r.Client(), name)
	s, err := r.admin.SetServerState(t.Context(), name, haproxysock.Ready)
	require.NoError(t, err)
	require.Equal(t, haproxysock.Status("UP"), s.Status)
	require.Equal(t, before, downs(t, r.Client(), name))

	_, err = r.admin.SetServerState(t.Context(), name, haproxysock.Drain)
	require.NoError(t, err)
	_, err = r.admin.SetServerState(t.Context(), name, haproxysock.Ready)
	require.NoError(t, err)
	require.Equal(t, before+1, downs(t, r.Client(), name), "and one that drains goes through it")
}

// downs is how often the server went down.
func downs(t testing.TB, c *haproxysock.Client, name haproxysock.ServerName) (n int64) {
	t.Helper()
	err := c.ScanStats(t.Context(), []haproxysock.StatFilter{{Proxy: name.Backend, Kinds: haproxysock.Servers}}, []string{"svname", "chkdown"}, func(s *haproxysock.StatScanner) error {
		if s.Text(0) == name.Server {
			n, _ = s.Int(1)
		}
		return nil
	})
	require.NoError(t, err)
	return n
}
