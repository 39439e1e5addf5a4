package listener_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock/haproxytest"
)

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

	r.State("STOPPED", "web1", "web1")
	require.Equal(t, haproxysock.Maint, asked(good, "app/web01"))
	r.logged("member is away", down.Unix.String())
	r.logged("member is away", hung.Unix.String())
	r.logged("not done everywhere", "web1", down.Unix.String(), hung.Unix.String())

	began := time.Now()
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
	require.NotContains(t, r.log.String(), "not done everywhere")
}

func TestTheEndOfTheStreamIsAnError(t *testing.T) {
	lb := haproxytest.Start(t, app)
	r := start(t, []haproxysock.Addr{lb.Unix}, "web1:app/web01")
	r.AwaitReady()
	r.Close()
	require.ErrorContains(t, <-r.done, "supervisord has closed it")
}
