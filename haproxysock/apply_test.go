package haproxysock_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock/haproxytest"
)

// A relay stands between a Client and HAProxy, over TCP, and looks at the lines.
type relay struct {
	addr  haproxysock.Addr
	mu    sync.Mutex
	lines []string
}

// newRelay passes lines on to to; before is called in front of each, with its
// number.
func newRelay(t *testing.T, to haproxysock.Addr, before func(n int)) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r := &relay{addr: haproxytest.Addr(t, l.Addr().String())}
	haproxytest.Serve(t, l, func(conn net.Conn) {
		defer conn.Close()
		line, _ := bufio.NewReader(conn).ReadString('\n')
		r.mu.Lock()
		r.lines = append(r.lines, line)
		n := len(r.lines)
		r.mu.Unlock()
		before(n)
		haproxy, err := net.Dial(to.Network, to.Address)
		if err != nil {
			return
		}
		defer haproxy.Close()
		io.WriteString(haproxy, line)
		io.Copy(conn, haproxy)
	})
	return r
}

func change(t *testing.T, server string, id int, to haproxysock.Transition) haproxysock.Change {
	return haproxysock.Change{Server: haproxytest.Server(t, server), ID: id, To: to}
}

func TestApplySetsAndSees(t *testing.T) {
	h := haproxytest.StartSetup(t, rig)
	for name, c := range doors(t, h) {
		t.Run(name, func(t *testing.T) {
			for _, step := range []struct {
				to    haproxysock.Transition
				asked haproxysock.AdminState
				see   haproxysock.Status
			}{
				{haproxysock.ToDrain, haproxysock.Drain, "DRAIN"},
				{haproxysock.Look, haproxysock.Drain, "DRAIN"},
				{haproxysock.ToMaint, haproxysock.Maint, "MAINT"},
				{haproxysock.Look, haproxysock.Maint, "MAINT"},
				{haproxysock.ToReady, haproxysock.Ready, "no check"},
				{haproxysock.Look, haproxysock.Ready, "no check"},
				{haproxysock.ToReadyWhenChecked, haproxysock.Ready, "DOWN"}, // for good: nothing checks it
				{haproxysock.ToReady, haproxysock.Ready, "DOWN"},
				{haproxysock.ToReadyAndUp, haproxysock.Ready, "no check"},
			} {
				for _, id := range []int{1, 0} {
					sights, process, err := c.Apply(t.Context(), []haproxysock.Change{{Server: web01, ID: id, To: step.to}})
					require.NoError(t, err)
					require.Equal(t, []haproxysock.Sight{{
						Stat: haproxysock.Stat{Name: web01, Kind: haproxysock.Servers, ID: 1, Status: step.see}, Found: true,
					}}, sights)
					require.Equal(t, step.asked, h.State("web/web01").Admin.Asked())
					info, err := c.Info(t.Context())
					require.NoError(t, err)
					require.Equal(t, info.Process, process)
				}
			}
			sights, process, err := c.Apply(t.Context(), nil)
			require.NoError(t, err)
			require.Empty(t, sights)
			require.NotZero(t, process.Pid)
		})
	}
}

// One change that goes wrong does not shift the replies to the others.
func TestApplyTellsEachServerApart(t *testing.T) {
	h := haproxytest.StartSetup(t, rig)
	for name, c := range doors(t, h) {
		t.Run(name, func(t *testing.T) {
			sights, _, err := c.Apply(t.Context(), []haproxysock.Change{
				change(t, "web/web01", 1, haproxysock.ToReadyWhenChecked),
				change(t, "web/none", 77, haproxysock.ToReadyWhenChecked),
				change(t, "none/web01", 1, haproxysock.ToReadyWhenChecked),
				change(t, "none/web01", 1, haproxysock.Look),
				change(t, "off/off01", 1, haproxysock.ToReadyWhenChecked),
				change(t, "web/web03", 2, haproxysock.ToDrain), // another server's number
				change(t, "web/web04", 4, haproxysock.ToReadyWhenChecked),
				change(t, "3rd/web01", 1, haproxysock.ToDrain), // number 3 to "show stat"
				change(t, "web/web05", 5, haproxysock.Look),
				change(t, "web/web01", 1, haproxysock.ToReadyAndUp),
			})
			require.NoError(t, err)
			require.Len(t, sights, 10)
			for i, want := range []struct {
				err     error
				refused string
				found   bool
				status  haproxysock.Status
			}{
				{nil, "", true, "DOWN"},
				{haproxysock.ErrNoServer, "set server web/none state drain", false, ""},
				{haproxysock.ErrNoBackend, "set server none/web01 state drain", false, ""},
				{haproxysock.ErrNoBackend, "show stat none 4 1", false, ""},
				{haproxysock.ErrDisabled, "set server off/off01 state drain", false, ""},
				{nil, "", false, ""},
				{nil, "set server web/web04 health down", true, sights[6].Stat.Status},
				{haproxysock.ErrNoBackend, "set server 3rd/web01 state drain", false, ""},
				{nil, "", true, "MAINT"},
				{nil, "", true, "no check"},
			} {
				require.Equal(t, want.found, sights[i].Found, "%d: %v", i, sights[i])
				require.Equal(t, want.status, sights[i].Stat.Status, i)
				if want.refused == "" {
					require.NoError(t, sights[i].Err)
					continue
				}
				var refusal *haproxysock.CommandError
				require.ErrorAs(t, sights[i].Err, &refusal)
				require.Equal(t, want.refused, refusal.Command)
				if want.err != nil {
					require.ErrorIs(t, refusal, want.err)
				}
			}
			require.Equal(t, haproxysock.Drain, h.State("web/web03").Admin.Asked())
		})
	}
}

func TestApplySplitsLongLines(t *testing.T) {
	const servers = 300
	h := haproxytest.Start(t, fmt.Sprintf(`
backend web-with-a-long-name
  server-template srv 1-%d 127.0.0.1:9
`, servers))
	var changes []haproxysock.Change
	for i := range servers {
		changes = append(changes, change(t, fmt.Sprintf("web-with-a-long-name/srv%d", i+1), i+1, haproxysock.ToReadyWhenChecked))
	}
	changes[7].Server.Server = "none"
	changes[200].ID = 9999
	check := func(t *testing.T, sights []haproxysock.Sight, process haproxysock.Process, err error) {
		require.NoError(t, err)
		require.NotZero(t, process.Pid)
		require.Len(t, sights, servers)
		for i, sight := range sights {
			switch i {
			case 7:
				require.ErrorIs(t, sight.Err, haproxysock.ErrNoServer)
				require.False(t, sight.Found)
			case 200:
				require.NoError(t, sight.Err)
				require.False(t, sight.Found)
			default:
				require.NoError(t, sight.Err)
				require.True(t, sight.Found)
				require.Equal(t, changes[i].Server, sight.Stat.Name)
				require.Equal(t, haproxysock.Status("DOWN"), sight.Stat.Status)
			}
		}
	}
	t.Run("tcp", func(t *testing.T) {
		r := newRelay(t, h.Unix, func(int) {})
		sights, process, err := (&haproxysock.Client{Addr: r.addr}).Apply(t.Context(), changes)
		check(t, sights, process, err)
		require.Greater(t, len(r.lines), servers*100/1400)
		sets := 0
		for _, line := range r.lines {
			require.LessOrEqual(t, len(line), 1400)
			require.True(t, strings.HasSuffix(line, ";show info\n"))
			sets += strings.Count(line, "state ready")
		}
		require.Equal(t, servers, sets)
	})
	t.Run("unix", func(t *testing.T) {
		sights, process, err := h.Client().Apply(t.Context(), changes)
		check(t, sights, process, err)
	})
}

// A process that begins anew in the middle has forgotten the first part.
func TestApplyAcrossARestart(t *testing.T) {
	h := haproxytest.Start(t, `
backend web
  server-template srv 1-100 127.0.0.1:9
`)
	r := newRelay(t, h.Unix, func(n int) {
		if n == 2 {
			h.Kill()
			h.Restart()
		}
	})
	var changes []haproxysock.Change
	for i := range 100 {
		changes = append(changes, change(t, fmt.Sprintf("web/srv%d", i+1), i+1, haproxysock.ToMaint))
	}
	before, err := h.Client().Info(t.Context())
	require.NoError(t, err)
	sights, process, err := (&haproxysock.Client{Addr: r.addr}).Apply(t.Context(), changes)
	require.ErrorIs(t, err, haproxysock.ErrRestarted)
	require.Empty(t, sights)
	after, err := h.Client().Info(t.Context())
	require.NoError(t, err)
	require.True(t, after.Same(process))
	require.False(t, after.Same(before.Process))
	require.Len(t, r.lines, 2)
}

func TestSameProcess(t *testing.T) {
	h := haproxytest.Start(t, oneServer)
	before, err := h.Client().Info(t.Context())
	require.NoError(t, err)
	again, err := h.Client().Info(t.Context())
	require.NoError(t, err)
	require.True(t, before.Same(again.Process))
	h.Kill()
	h.Restart()
	after, err := h.Client().Info(t.Context())
	require.NoError(t, err)
	require.False(t, before.Same(after.Process))

	at := time.Unix(1_700_000_000, 0)
	exact, reckoned := haproxysock.Process{Pid: 8, Started: at, Exact: true}, haproxysock.Process{Pid: 8, Started: at.Add(2 * time.Second)}
	require.True(t, exact.Same(exact))
	require.True(t, exact.Same(reckoned))
	require.False(t, exact.Same(haproxysock.Process{Pid: 9, Started: at, Exact: true}))                  // a reload
	require.False(t, exact.Same(haproxysock.Process{Pid: 8, Started: at.Add(time.Second), Exact: true})) // a container's pid 8, again
	require.False(t, exact.Same(haproxysock.Process{Pid: 8, Started: at.Add(3 * time.Second)}))
}

// Before 2.4, the start is reckoned from the uptime.
func TestStartIsReckoned(t *testing.T) {
	p := says(t, strings.Replace(infoReply, "Start_time_sec: 1700000000\n", "", 1)+"\n")
	begun := time.Now()
	info, err := p.client.Info(t.Context())
	require.NoError(t, err)
	require.False(t, info.Exact)
	require.Equal(t, 7*time.Second, info.Uptime)
	require.False(t, info.Started.Before(begun.Add(-8*time.Second)))
	require.False(t, info.Started.After(time.Now().Add(-7*time.Second)))
}

// A load is requests that go on until the test ends or stop is called.
type load struct {
	good, bad atomic.Int64
	stop      func()
}

func newLoad(t *testing.T, client *http.Client) *load {
	l := new(load)
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				response, err := client.Get("http://fe/")
				if err == nil {
					response.Body.Close()
				}
				if err != nil || response.StatusCode != http.StatusOK {
					l.bad.Add(1)
				} else {
					l.good.Add(1)
				}
			}
		})
	}
	l.stop = sync.OnceFunc(func() {
		close(done)
		wg.Wait()
	})
	t.Cleanup(l.stop)
	return l
}

// more waits until n requests more have been answered.
func (l *load) more(t *testing.T, n int64) {
	t.Helper()
	from := l.good.Load() + l.bad.Load()
	haproxytest.Eventually(t, "requests are answered", func() error {
		if now := l.good.Load() + l.bad.Load(); now < from+n {
			return fmt.Errorf("%d of %d", now-from, n)
		}
		return nil
	})
}

// A server that is put back gets no request before its check has passed.
func TestTheGateLetsNothingThrough(t *testing.T) {
	h := haproxytest.Start(t, `
  retries 0
frontend fe
  bind unix@{dir}/fe.sock
  default_backend web
frontend good
  bind unix@{dir}/good.sock
  http-request return status 200
backend web
  balance roundrobin
  option httpchk GET /health
  server web00 unix@{dir}/good.sock
  server web01 unix@{dir}/web01.sock check inter 100ms fall 3 rise 2
`)
	l := newLoad(t, viaUnix(h.Dir+"/fe.sock"))
	apply := func(to haproxysock.Transition) haproxysock.Sight {
		sights, _, err := h.Client().Apply(t.Context(), []haproxysock.Change{{Server: web01, ID: 2, To: to}})
		require.NoError(t, err)
		require.NoError(t, sights[0].Err)
		require.True(t, sights[0].Found)
		return sights[0]
	}

	// The obvious way: requests go to a server that nobody listens at.
	apply(haproxysock.ToMaint)
	l.more(t, 50)
	bad := l.bad.Load()
	require.Equal(t, haproxysock.Status("UP"), haproxysock.Status(apply(haproxysock.ToReady).Stat.Status.Word()))
	haproxytest.Eventually(t, "the load sees the gap", func() error {
		if l.bad.Load() == bad {
			return fmt.Errorf("%d bad answers", bad)
		}
		return nil
	})

	// Through the gate, from everywhere: nobody listens.
	for range 20 {
		apply(haproxysock.ToMaint)
		l.more(t, 20) // the last ones have been answered
		bad = l.bad.Load()
		require.Equal(t, haproxysock.Status("DOWN"), apply(haproxysock.ToReadyWhenChecked).Stat.Status)
		l.more(t, 100)
		require.Equal(t, bad, l.bad.Load(), "a request went to a server that does not listen")
	}

	// It listens, and says that it is not ready yet.
	var healthy atomic.Bool
	var checks, early, late atomic.Int64
	listener, err := net.Listen("unix", h.Dir+"/web01.sock")
	require.NoError(t, err)
	app := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/health" && !healthy.Load():
			checks.Add(1)
			w.WriteHeader(http.StatusServiceUnavailable)
		case r.URL.Path == "/health":
		case !healthy.Load():
			early.Add(1)
		default:
			late.Add(1)
		}
	})}
	go app.Serve(listener)
	defer app.Close()
	apply(haproxysock.ToMaint)
	require.Equal(t, haproxysock.Status("DOWN"), apply(haproxysock.ToReadyWhenChecked).Stat.Status)
	haproxytest.Eventually(t, "some checks have failed", func() error {
		if n := checks.Load(); n < 3 {
			return fmt.Errorf("%d", n)
		}
		return nil
	})
	require.Zero(t, early.Load(), "a request came before a check had passed")

	// And now it is.
	healthy.Store(true)
	haproxytest.Eventually(t, "requests reach it", func() error {
		if late.Load() == 0 {
			return fmt.Errorf("none")
		}
		return nil
	})
	require.Equal(t, haproxysock.Status("UP"), apply(haproxysock.Look).Stat.Status)
	l.stop()
	require.Equal(t, bad, l.bad.Load())
	require.Zero(t, early.Load())
}
