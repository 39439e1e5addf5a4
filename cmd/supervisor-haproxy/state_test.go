package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock/haproxytest"
)

// stateConfig has a server with a check that passes (checked), one without
// (web01, web02), one whose check fails (dead), and a way to hold a request.
const stateConfig = `
frontend fe
  bind unix@{dir}/fe.sock
  default_backend web
frontend pages
  bind unix@{dir}/page.sock
  stats enable
  stats uri /stats
  stats admin if TRUE
frontend looks
  bind unix@{dir}/look.sock
  stats enable
  stats uri /haproxy?stats
  stats auth ops:secret
backend web
  use-server web01 if TRUE
  server web01 unix@APP
  server web02 127.0.0.1:9
backend checked
  default-server inter 50ms fastinter 50ms rise 2
  server good unix@APP check
  server dead 127.0.0.1:9 check
`

// What a user of drain, ready and maint sees. Each script has two HAProxys,
// $LB1 and $LB2 by their admin sockets and $PAGE1 and $PAGE2 by their statistics
// pages, and an app behind them that answers a request when it is let go.
func TestStateScripts(t *testing.T) {
	scripts, err := filepath.Glob("testdata/state/*.txtar")
	require.NoError(t, err)
	require.NotEmpty(t, scripts)
	for _, script := range scripts {
		t.Run(filepath.Base(script), func(t *testing.T) {
			t.Parallel()
			app := startApp(t)
			config := strings.ReplaceAll(stateConfig, "APP", app.socket)
			before := int64(0)
			lbs := []*haproxytest.HAProxy{haproxytest.Start(t, config), haproxytest.Start(t, config)}
			testscript.Run(t, testscript.Params{
				Files: []string{script},
				Setup: func(env *testscript.Env) error {
					env.Setenv("LB1", lbs[0].Unix.String())
					env.Setenv("LB2", lbs[1].TCP.String())
					for i, lb := range lbs {
						env.Setenv(fmt.Sprintf("PAGE%d", i+1), "http://"+haproxytest.Forward(t, lb.Dir+"/page.sock")+"/stats")
						env.Setenv(fmt.Sprintf("LOOK%d", i+1), haproxytest.Forward(t, lb.Dir+"/look.sock")+"/haproxy?stats")
					}
					env.Setenv("NOBODY", "unix://"+env.WorkDir+"/nobody.sock")
					return nil
				},
				Cmds: map[string]func(*testscript.TestScript, bool, []string){
					// state SERVER STATE: both HAProxys show it.
					"state": func(ts *testscript.TestScript, neg bool, args []string) {
						for _, lb := range lbs {
							if got := string(lb.State(args[0]).Admin.Asked()); (got == args[1]) == neg {
								ts.Fatalf("%s is %s on %s", args[0], got, lb.Unix)
							}
						}
					},
					// up SERVER: wait until both HAProxys' checks have raised it.
					"up": func(ts *testscript.TestScript, neg bool, args []string) {
						for _, lb := range lbs {
							haproxytest.Eventually(t, args[0]+" is up", func() error {
								if s := lb.State(args[0]); s.Op == 0 {
									return fmt.Errorf("%s is down", args[0])
								}
								return nil
							})
						}
					},
					// request: one on the second HAProxy, which the app has got and holds.
					"request": func(ts *testscript.TestScript, neg bool, args []string) {
						before = pageRequests(t, lbs[1])
						conn, err := net.Dial("unix", lbs[1].Dir+"/fe.sock")
						ts.Check(err)
						t.Cleanup(func() { conn.Close() })
						_, err = fmt.Fprintf(conn, "GET /hold HTTP/1.1\r\nHost: app\r\n\r\n")
						ts.Check(err)
						select {
						case <-app.holds:
						case <-time.After(haproxytest.Patience):
							ts.Fatalf("the app got no request")
						}
					},
					// release: the app answers it.
					"release": func(ts *testscript.TestScript, neg bool, args []string) {
						select {
						case app.release <- struct{}{}:
						case <-time.After(haproxytest.Patience):
							ts.Fatalf("the app holds no request")
						}
					},
					// pause and resume N: the N-th HAProxy.
					"pause":  func(ts *testscript.TestScript, neg bool, args []string) { lbs[args[0][0]-'1'].Pause() },
					"resume": func(ts *testscript.TestScript, neg bool, args []string) { lbs[args[0][0]-'1'].Resume() },
					// restart N: the N-th HAProxy forgets all it was told.
					"restart": func(ts *testscript.TestScript, neg bool, args []string) {
						lb := lbs[args[0][0]-'1']
						lb.Kill()
						lb.Restart()
					},
					// becomes N SERVER STATE: wait until the N-th HAProxy shows it.
					"becomes": func(ts *testscript.TestScript, neg bool, args []string) {
						lbs[args[0][0]-'1'].EventuallyState(args[1], haproxysock.AdminState(args[2]))
					},
					// asked COUNT: wait until the second HAProxy's page was asked so often since the request.
					"asked": func(ts *testscript.TestScript, neg bool, args []string) {
						want, err := strconv.ParseInt(args[0], 10, 64)
						ts.Check(err)
						haproxytest.Eventually(t, "the page is asked", func() error {
							if got := pageRequests(t, lbs[1]) - before; got < want {
								return fmt.Errorf("%d requests, want %d", got, want)
							}
							return nil
						})
					},
				},
				UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
			})
		})
	}
}

// pageRequests counts those to the page that takes states.
func pageRequests(t testing.TB, lb *haproxytest.HAProxy) (n int64) {
	t.Helper()
	filter := []haproxysock.StatFilter{{Proxy: "pages", Kinds: haproxysock.Frontends}}
	err := lb.Client().ScanStats(t.Context(), filter, []string{"req_tot"}, func(s *haproxysock.StatScanner) error {
		n, _ = s.Int(0)
		return nil
	})
	require.NoError(t, err)
	return n
}

// An app answers at once, or, at /hold, when it is told to.
type app struct {
	socket  string
	holds   chan struct{} // one for each request that is held
	release chan struct{}
}

func startApp(t testing.TB) *app {
	t.Helper()
	a := &app{socket: haproxytest.ShortDir(t) + "/app.sock", holds: make(chan struct{}, 10), release: make(chan struct{})}
	l, err := net.Listen("unix", a.socket)
	require.NoError(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hold" {
			a.holds <- struct{}{}
			select {
			case <-a.release:
			case <-r.Context().Done():
			}
		}
		fmt.Fprintln(w, "ok")
	})}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return a
}
