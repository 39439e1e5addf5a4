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

func TestEveryStateIsSetAndSeenOnEveryMemberBeforeTheAnswer(t *testing.T) {
	lb1, lb2 := two(t, app)
	lb3 := haproxytest.StartSetup(t, haproxytest.Setup{Config: app, Master: true})
	r := start(t, []haproxysock.Addr{lb1.Unix, lb2.TCP, lb3.Master}, "web1:app/web01")
	for _, step := range []struct {
		event string
		want  haproxysock.AdminState
	}{
		{"STARTING", haproxysock.Maint},
		{"RUNNING", haproxysock.Ready},
		{"STOPPING", haproxysock.Drain},
		{"STOPPED", haproxysock.Maint},
		{"STARTING", haproxysock.Maint},
		{"BACKOFF", haproxysock.Maint},
		{"RUNNING", haproxysock.Ready},
		{"EXITED", haproxysock.Maint},
		{"RUNNING", haproxysock.Ready},
		{"FATAL", haproxysock.Maint},
		{"RUNNING", haproxysock.Ready},
		{"UNKNOWN", haproxysock.Maint},
	} {
		r.State(step.event, "web1", "web1")
		for _, lb := range []*haproxytest.HAProxy{lb1, lb2, lb3} {
			require.Equal(t, step.want, asked(lb, "app/web01"), step.event)
			require.Equal(t, haproxysock.Ready, asked(lb, "app/web02"), "nobody spoke of it")
		}
	}
	r.logged("server set", "server=app/web01", "state=drain", "program=web1:web1", "event=PROCESS_STATE_STOPPING", lb2.TCP.String())
}

func TestTakingOutOnlyTightens(t *testing.T) {
	lb := haproxytest.Start(t, app)
	r := start(t, []haproxysock.Addr{lb.Unix}, "web1:app/web01")
	r.State("BACKOFF", "web1", "web1")
	r.State("STOPPING", "web1", "web1")
	require.Equal(t, haproxysock.Maint, asked(lb, "app/web01"), "a drain would loosen it")

	// The same where somebody else has put it in maint.
	require.NoError(t, lb.Client().SetServerState(t.Context(), haproxytest.Server(t, "app/web02"), haproxysock.Maint))
	r2 := start(t, []haproxysock.Addr{lb.Unix}, "web2:app/web02")
	r2.State("STOPPING", "web2", "web2")
	require.Equal(t, haproxysock.Maint, asked(lb, "app/web02"))
	r2.State("RUNNING", "web2", "web2")
	require.Equal(t, haproxysock.Ready, asked(lb, "app/web02"))
}

func TestOtherEventsAreAnsweredAndIgnored(t *testing.T) {
	lb := haproxytest.Start(t, app)
	r := start(t, []haproxysock.Addr{lb.Unix}, "web1:app/web01")
	for name, body := range map[string]string{
		"TICK_5":                          "when:1201063880",
		"SUPERVISOR_STATE_CHANGE_RUNNING": "",
		"PROCESS_GROUP_REMOVED":           "groupname:web1\n",
		"REMOTE_COMMUNICATION":            "type:x\nprocessname:web1 groupname:web1",
		"PROCESS_COMMUNICATION_STDOUT":    "processname:web1 groupname:web1 pid:1\nPROCESS_STATE_FATAL €",
		"PROCESS_STATE_WHATEVER":          "processname:web1 groupname:web1 from_state:RUNNING",
		"PROCESS_STATE_STOPPED":           "garbage",
		"A_NEW_ONE":                       "processname:web1 groupname:web1",
	} {
		require.Equal(t, "OK", r.Event(name, body), name)
	}
	r.State("STOPPED", "other", "other")
	require.Equal(t, haproxysock.Ready, asked(lb, "app/web01"))
}

func TestAnOlderEventDoesNotUndoANewerOne(t *testing.T) {
	lb := haproxytest.Start(t, app)
	r := start(t, []haproxysock.Addr{lb.Unix}, "web1:app/web01")
	const event = "ver:3.0 server:supervisor serial:%d pool:haproxy poolserial:%d eventname:PROCESS_STATE_%s len:45\nprocessname:web1 groupname:web1 from_state:XX"
	for _, e := range []struct {
		serial int
		state  string
		want   haproxysock.AdminState
	}{{7, "STOPPED", haproxysock.Maint}, {9, "RUNNING", haproxysock.Ready}, {9, "RUNNING", haproxysock.Ready}, {7, "STOPPED", haproxysock.Ready}, {8, "FATAL", haproxysock.Ready}} {
		require.Equal(t, "OK", r.Raw(fmt.Sprintf(event, e.serial, e.serial, e.state)))
		require.Equal(t, e.want, asked(lb, "app/web01"), "%v", e)
	}
	r.logged("event is older")
}

func TestLostEventsAreTold(t *testing.T) {
	lb := haproxytest.Start(t, app)
	r := start(t, []haproxysock.Addr{lb.Unix}, "web1:app/web01")
	for _, n := range []int{3, 4, 9} {
		require.Equal(t, "OK", r.Raw(fmt.Sprintf("ver:3.0 server:s serial:%d pool:p poolserial:%d eventname:TICK_5 len:0\n", 100+n, n)))
	}
	r.logged("events were lost", "lost=4")
}

func TestOneProgramForSeveralServersAndSeveralForOne(t *testing.T) {
	lb := haproxytest.Start(t, app)
	r := start(t, []haproxysock.Addr{lb.Unix}, "web1:app/web01", "web1:app/web02", "g:a=app/web03", "g:b=app/web03")
	r.State("STOPPED", "web1", "web1")
	require.Equal(t, haproxysock.Maint, asked(lb, "app/web01"))
	require.Equal(t, haproxysock.Maint, asked(lb, "app/web02"))

	r.State("STARTING", "g", "a")
	r.State("STARTING", "g", "b")
	r.State("RUNNING", "g", "a")
	require.Equal(t, haproxysock.Maint, asked(lb, "app/web03"), "b does not run yet")
	r.State("RUNNING", "g", "b")
	require.Equal(t, haproxysock.Ready, asked(lb, "app/web03"))
	r.State("STOPPING", "g", "a")
	require.Equal(t, haproxysock.Drain, asked(lb, "app/web03"))
	r.State("RUNNING", "other", "a")
	require.Equal(t, haproxysock.Drain, asked(lb, "app/web03"), "that was another a")
}

func TestPatternsAndNamesOutsideASCII(t *testing.T) {
	lb := haproxytest.Start(t, app)
	r := start(t, []haproxysock.Addr{lb.Unix}, "web:*=app/web{num}", "café:app/web03")
	r.State("STOPPED", "web", "w_01")
	require.Equal(t, haproxysock.Maint, asked(lb, "app/web01"))
	r.State("STOPPED", "café", "café")
	require.Equal(t, haproxysock.Maint, asked(lb, "app/web03"))
	r.State("STOPPED", "web", "nonumber")
	r.logged("event not carried out", "does not end in a number")
	r.State("STOPPED", "web", "w_77")
	r.logged("server refused", "server=app/web77", "no such server")
	r.State("STOPPED", "web", "w_02")
	require.Equal(t, haproxysock.Maint, asked(lb, "app/web02"))
}

func TestANameThatMeansTwoProcessesTouchesNeither(t *testing.T) {
	lb := haproxytest.Start(t, app)
	r := start(t, []haproxysock.Addr{lb.Unix}, "same:app/web01")
	r.State("RUNNING", "a", "same")
	r.State("STOPPED", "b", "same")
	r.logged("event not carried out", "more than one group has a process", "b:same=app/web01")
	r.State("STOPPED", "a", "same")
	require.Equal(t, haproxysock.Ready, asked(lb, "app/web01"))
}

// What Go's supervisord says at a stop, a start and a crash: it leaves the group
// empty, capitalizes states its own way, ends a stop with BACKOFF, and never
// sends STOPPED or EXITED.
func TestGoSupervisordsDialect(t *testing.T) {
	lb := haproxytest.Start(t, app)
	r := start(t, []haproxysock.Addr{lb.Unix}, "web:web1=app/web01", "a:twin=app/web02", "b:twin=app/web03")
	serial := 0
	say := func(event, body string) {
		t.Helper()
		serial += 3
		require.Equal(t, "OK", r.Raw(fmt.Sprintf("ver:3.0 server:supervisor serial:%d pool:haproxy poolserial:%d eventname:PROCESS_STATE_%s len:%d\n%s", serial, serial, event, len(body), body)))
	}
	for _, step := range []struct {
		event, body string
		want        haproxysock.AdminState
	}{
		{"STARTING", "processname:web1 groupname: from_state:Stopped tries:0", haproxysock.Maint},
		{"RUNNING", "processname:web1 groupname: from_state:Starting pid:4711", haproxysock.Ready},
		{"STOPPING", "processname:web1 groupname: from_state:Running pid:4711", haproxysock.Drain},
		{"BACKOFF", "processname:web1 groupname: from_state:Stopped tries:0", haproxysock.Maint},
		{"STARTING", "processname:web1 groupname: from_state:Backoff tries:1", haproxysock.Maint},
		{"RUNNING", "processname:web1 groupname: from_state:Starting pid:4712", haproxysock.Ready},
		{"BACKOFF", "processname:web1 groupname: from_state:Running tries:1", haproxysock.Maint},
	} {
		say(step.event, step.body)
		require.Equal(t, step.want, asked(lb, "app/web01"), step.body)
	}
	say("FATAL", "processname:twin groupname: from_state:Backoff")
	require.Equal(t, haproxysock.Ready, asked(lb, "app/web02"), "which of the two it is cannot be told")
	r.logged("event not carried out", "twin", "does not tell its group")
	require.NotContains(t, r.log.String(), "events were lost", "there, gaps prove nothing")
}

func TestAMemberThatRefusesDoesNotHoldUpTheOthers(t *testing.T) {
	good := haproxytest.Start(t, app)
	user := haproxytest.StartSetup(t, haproxytest.Setup{Config: app, Global: "stats socket unix@{dir}/user.sock level user"})
	lacking := haproxytest.Start(t, strings.ReplaceAll(app, "web02", "other"))
	r := start(t, []haproxysock.Addr{haproxytest.Addr(t, user.Dir+"/user.sock"), lacking.Unix, good.TCP}, "web2:app/web02")
	r.State("STOPPED", "web2", "web2")
	require.Equal(t, haproxysock.Maint, asked(good, "app/web02"))
	require.Equal(t, haproxysock.Ready, asked(user, "app/web02"))
	r.logged("server refused", "Permission denied", "user.sock")
	r.logged("server refused", "no such server", lacking.Unix.String())
	r.logged("not done everywhere", "web2", "Permission denied", "no such server")
}

// A server that HAProxy checks gets no request before the check has passed: the
// app answers 503 until it is warm, and HAProxy asks /health.
func TestRunningGoesThroughHAProxysOwnCheck(t *testing.T) {
	var warm atomic.Bool
	var early atomic.Int64
	backend := serve(t, func(w http.ResponseWriter, req *http.Request) {
		switch {
		case warm.Load():
		case req.URL.Path == "/health":
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			early.Add(1)
		}
	})
	lb := haproxytest.Start(t, fmt.Sprintf(`
frontend fe
  bind unix@{dir}/fe.sock
  default_backend app
backend app
  option httpchk GET /health
  retries 0
  server web01 %s check inter 50ms rise 2 fall 2
  server web02 %s disabled
`, backend, backend))
	r := start(t, []haproxysock.Addr{lb.Unix}, "web1:app/web01")
	r.State("STARTING", "web1", "web1")

	load := startLoad(t, lb.Dir+"/fe.sock")
	load.await(50)
	r.State("RUNNING", "web1", "web1")
	require.Equal(t, haproxysock.Ready, asked(lb, "app/web01"))
	load.await(300)
	require.Zero(t, early.Load(), "requests before the check has passed")
	require.Equal(t, haproxysock.OpStopped, lb.State("app/web01").Op)

	warm.Store(true)
	r.logged("server is up", "server=app/web01")
	haproxytest.Eventually(t, "requests are served", func() error {
		if load.served.Load() == 0 {
			return fmt.Errorf("none yet")
		}
		return nil
	})
	// RUNNING of a server that is ready must not take it down.
	since := lb.State("app/web01").SinceChange
	r.State("RUNNING", "web1", "web1")
	require.Equal(t, haproxysock.OpRunning, lb.State("app/web01").Op)
	require.GreaterOrEqual(t, lb.State("app/web01").SinceChange, since)
}

func TestOneMemberDownAndOneHungAreBoundedOnceAndServedLater(t *testing.T) {
	good, down := two(t, app)
	hung := haproxytest.Start(t, app)
	r := start(t, []haproxysock.Addr{good.Unix, down.Unix, hung.Unix}, "web1:app/web01", "web2:app/web02", "web3:app/web03")
	r.State("RUNNING", "web1", "web1") // all have been reached once
	down.Kill()
	hung.Pause()

	began := time.Now()
	r.State("STOPPED", "web1", "web1")
	require.GreaterOrEqual(t, time.Since(began), ackTimeout, "the hung one is given its time")
	require.Equal(t, haproxysock.Maint, asked(good, "app/web01"))
	r.logged("member is away", down.Unix.String())
	r.logged("member is away", hung.Unix.String())
	r.logged("not done everywhere", "web1", down.Unix.String(), hung.Unix.String())

	began = time.Now()
	for range 20 {
		r.State("STOPPING", "web2", "web2")
		r.State("RUNNING", "web3", "web3")
	}
	require.Less(t, time.Since(began), 20*ackTimeout, "who is away is not waited for")
	require.Equal(t, haproxysock.Drain, asked(good, "app/web02"))

	hung.Resume()
	down.Restart()
	for _, lb := range []*haproxytest.HAProxy{down, hung} {
		lb.EventuallyState("app/web01", haproxysock.Maint)
		lb.EventuallyState("app/web02", haproxysock.Drain)
	}
	r.logged("member answers again", down.Unix.String())
	r.logged("member answers again", hung.Unix.String())
	haproxytest.Eventually(t, "events wait for them again", func() error {
		r.State("STOPPED", "web3", "web3")
		for _, lb := range []*haproxytest.HAProxy{down, hung} {
			if s := asked(lb, "app/web03"); s != haproxysock.Maint {
				return fmt.Errorf("%s", s)
			}
		}
		return nil
	})
}

// FAIL would bring each event back for ever, 17,000 times a second.
func TestEveryMemberAwayNeverAnswersFail(t *testing.T) {
	lb1, lb2 := two(t, app)
	r := start(t, []haproxysock.Addr{lb1.Unix, lb2.TCP}, "web1:app/web01", "web2:app/web02")
	lb1.Kill()
	lb2.Kill()
	began := time.Now()
	const events = 30
	for i := range events {
		// Event returns what was answered; the peer would see a second answer
		// or a READY out of turn as a failure.
		program := []string{"web1", "web2"}[i%2]
		require.Equal(t, "OK", r.Event("PROCESS_STATE_STOPPED", "processname:"+program+" groupname:"+program+" from_state:STOPPING pid:1"))
	}
	r.AwaitReady()
	require.Less(t, time.Since(began), events*ackTimeout, "nobody waits for them")
	require.Equal(t, events, strings.Count(r.log.String(), "msg=event event=PROCESS_STATE_STOPPED"), "each was delivered once")

	lb2.Restart()
	lb1.Restart()
	for _, lb := range []*haproxytest.HAProxy{lb1, lb2} {
		lb.EventuallyState("app/web01", haproxysock.Maint)
		lb.EventuallyState("app/web02", haproxysock.Maint)
	}
}

func TestAHAProxyRestartedInBetweenGetsAllWishesAgain(t *testing.T) {
	lb1, lb2 := two(t, app)
	r := start(t, []haproxysock.Addr{lb1.Unix, lb2.TCP}, "web1:app/web01", "web2:app/web02", "web3:app/web03")
	r.State("STOPPED", "web1", "web1")
	r.State("STOPPING", "web2", "web2")
	r.State("RUNNING", "web3", "web3")
	for _, lb := range []*haproxytest.HAProxy{lb1, lb2} {
		lb.Kill()
		lb.Restart()
	}
	for _, lb := range []*haproxytest.HAProxy{lb1, lb2} {
		lb.EventuallyState("app/web01", haproxysock.Maint)
		lb.EventuallyState("app/web02", haproxysock.Drain)
		require.Equal(t, haproxysock.Ready, asked(lb, "app/web03"))
	}
	r.logged("haproxy was restarted")
}

func TestAWordOfSomebodyElseStandsUntilTheNextEvent(t *testing.T) {
	lb := haproxytest.Start(t, app)
	r := start(t, []haproxysock.Addr{lb.Unix}, "web1:app/web01")
	r.State("RUNNING", "web1", "web1")
	require.NoError(t, lb.Client().SetServerState(t.Context(), haproxytest.Server(t, "app/web01"), haproxysock.Drain))
	r.logged("changed by someone else", "server=app/web01")
	require.Equal(t, haproxysock.Drain, asked(lb, "app/web01"))
	r.State("STOPPED", "web1", "web1")
	require.Equal(t, haproxysock.Maint, asked(lb, "app/web01"))
}

func TestTheEndOfTheContextFinishesTheEventInHand(t *testing.T) {
	lb := haproxytest.Start(t, app)
	r := start(t, []haproxysock.Addr{lb.Unix}, "web1:app/web01")
	r.State("RUNNING", "web1", "web1")
	lb.Pause()
	answered := make(chan string, 1)
	go func() {
		answered <- r.Event("PROCESS_STATE_STOPPED", "processname:web1 groupname:web1 from_state:STOPPING")
	}()
	r.logged("msg=event", "PROCESS_STATE_STOPPED")
	r.stop()
	lb.Resume()
	require.Equal(t, "OK", <-answered)
	require.NoError(t, <-r.done)
	require.Equal(t, haproxysock.Maint, asked(lb, "app/web01"))
}

func TestTheEndOfTheStreamIsAnError(t *testing.T) {
	lb := haproxytest.Start(t, app)
	r := start(t, []haproxysock.Addr{lb.Unix}, "web1:app/web01")
	r.AwaitReady()
	r.Close()
	require.ErrorContains(t, <-r.done, "supervisord has closed it")
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
