package reconcile_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/supervisor-haproxy/supervisor-haproxy/cluster"
	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock/haproxytest"
	"github.com/supervisor-haproxy/supervisor-haproxy/reconcile"
)

// What members in memory have shown, once with real ones.
func TestRealMembers(t *testing.T) {
	const config = `
backend web
  server web01 127.0.0.1:9
  server web02 unix@{dir}/admin.sock check inter 20ms rise 2
`
	lb1, lb2 := haproxytest.Start(t, config), haproxytest.Start(t, config)
	r := reconcile.New(
		&cluster.Socket{Client: haproxysock.Client{Addr: lb1.Unix}},
		&cluster.Socket{Client: haproxysock.Client{Addr: lb2.TCP}},
	)
	r.Timeout, r.Poll = 200*time.Millisecond, 50*time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { r.Run(ctx) })
	defer running.Wait()
	defer cancel()

	wish := func(server string, state haproxysock.AdminState) error {
		patience, cancel := context.WithTimeout(ctx, haproxytest.Patience)
		defer cancel()
		return r.Wish(reconcile.Wish{Server: haproxytest.Server(t, server), State: state}).Wait(patience)
	}
	is := func(lb *haproxytest.HAProxy, server string, state haproxysock.AdminState) {
		t.Helper()
		require.Equal(t, state, lb.State(server).Admin.Asked())
	}
	for _, state := range []haproxysock.AdminState{drain, maint, ready, maint} {
		require.NoError(t, wish("web/web01", state))
		is(lb1, "web/web01", state)
		is(lb2, "web/web01", state)
	}

	lb1.Kill()
	lb1.Restart()
	lb1.EventuallyState("web/web01", maint)

	lb2.Pause()
	require.ErrorContains(t, wish("web/web02", drain), lb2.TCP.String())
	is(lb1, "web/web02", drain)
	require.Len(t, r.Pending(), 1)
	lb2.Resume()
	lb2.EventuallyState("web/web02", drain)
	haproxytest.Eventually(t, "all is done", func() error {
		if pending := r.Pending(); len(pending) > 0 {
			return &pending[0]
		}
		return nil
	})

	// Its check is taken away while it is out, so that the gate would stay shut.
	require.NoError(t, wish("web/web02", maint))
	require.NoError(t, lb1.Client().DisableHealth(t.Context(), haproxytest.Server(t, "web/web02")))
	require.NoError(t, wish("web/web02", ready))
	for _, lb := range []*haproxytest.HAProxy{lb1, lb2} {
		haproxytest.Eventually(t, "it is up", func() error {
			if s := lb.State("web/web02"); s.Op != haproxysock.OpRunning || !s.Admin.InRotation() {
				return fmt.Errorf("it is %v and %v", s.Op, s.Admin)
			}
			return nil
		})
	}
}
