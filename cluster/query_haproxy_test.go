package cluster_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/supervisor-haproxy/supervisor-haproxy/cluster"
	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock/haproxytest"
)

// site has servers in as many states as a file and an admin socket can bring them
// into. The address answers to HAProxy's own checks.
const site = `
frontend answering
  bind unix@{dir}/answers.sock
  http-request return status 200
frontend www
  bind unix@{dir}/www.sock
  default_backend myapp
backend myapp
  server web01 unix@{dir}/answers.sock check inter 50ms
  server web02 unix@{dir}/answers.sock check inter 50ms
  server web03 unix@{dir}/answers.sock
  server web04 unix@{dir}/answers.sock
  server web05 unix@{dir}/answers.sock weight 0
  server sorry unix@{dir}/answers.sock backup
  server-template spare 1-2 127.0.0.1:9 disabled
backend my-other
  server web01 unix@{dir}/nobody.sock check inter 50ms fall 1
backend following
  server web01 127.0.0.1:9 track myapp/web02
backend asleep
  disabled
  server web01 127.0.0.1:9
`

// members makes a cluster of HAProxys.
func members(all ...*haproxytest.HAProxy) *cluster.Cluster {
	c := &cluster.Cluster{}
	for _, h := range all {
		c.Sources = append(c.Sources, h.Client())
	}
	return c
}

// value asks one member.
func value(t testing.TB, h *haproxytest.HAProxy, text string) any {
	t.Helper()
	x, err := cluster.ParseExpression(text, cluster.PerMember)
	require.NoError(t, err)
	a, err := members(h).Ask(t.Context(), x)
	require.NoError(t, err, text)
	require.NoError(t, a.Results[0].Err, text)
	return a.Results[0].Value
}

// eventually waits until an expression has that value.
func eventually(t testing.TB, h *haproxytest.HAProxy, text string, want any) {
	t.Helper()
	haproxytest.Eventually(t, text, func() error {
		if got := value(t, h, text); got != want {
			return fmt.Errorf("%s is %v, want %v", text, got, want)
		}
		return nil
	})
}

func set(t testing.TB, h *haproxytest.HAProxy, server string, state haproxysock.AdminState) {
	t.Helper()
	require.NoError(t, h.Client().SetServerState(t.Context(), haproxytest.Server(t, server), state))
}

func TestWhatCountsAsInRotation(t *testing.T) {
	h := haproxytest.Start(t, site)
	eventually(t, h, `backend("my-other").down`, 1)
	eventually(t, h, `myapp.server("web02").status`, "UP")
	for text, want := range map[string]any{
		`myapp.total`:                       5, // without the backup and two slots that never were enabled
		`myapp.in_rotation`:                 4, // without the weight of 0
		`myapp.up`:                          5,
		`myapp.backups`:                     1,
		`myapp.maint`:                       0,
		`myapp.server("web03").status`:      "no check",
		`myapp.server("web03").in_rotation`: true,
		`myapp.server("web05").in_rotation`: false,
		`myapp.server("spare1").maint`:      true,
		`myapp.server("sorry").backup`:      true,
		`myapp.rolling_restartable()`:       true, // 4 of 5 are 80 %
		`myapp.survives(3)`:                 true,
		`myapp.survives(4)`:                 false,
		`backend("my-other").survives(0)`:   false,
		`following.server("web01").status`:  "UP",
		`survives_without("web02")`:         true,
		`len(backends())`:                   3, // a disabled one is not told of
		`frontend("www").status`:            "OPEN",
	} {
		require.Equal(t, want, value(t, h, text), text)
	}

	set(t, h, "myapp/web03", drain)
	set(t, h, "myapp/web02", maint)
	eventually(t, h, `following.server("web01").status`, "MAINT (via myapp/web02)")
	for text, want := range map[string]any{
		`myapp.total`:                              5,
		`myapp.in_rotation`:                        2,
		`myapp.drained`:                            1,
		`myapp.maint`:                              1,
		`myapp.rolling_restartable()`:              false,
		`myapp.rolling_restartable(40)`:            true,
		`myapp.survives(1)`:                        true,
		`myapp.survives(2)`:                        false,
		`myapp.survives_without("web02")`:          true, // it is out already
		`myapp.survives_without("web01")`:          true,
		`myapp.survives_without("web01", "web04")`: false,
		`following.in_rotation`:                    0,
		`following.total`:                          1,
	} {
		require.Equal(t, want, value(t, h, text), text)
	}

	// NOLB takes no new requests, and is neither up nor down. A slot that is used
	// counts from then on.
	require.NoError(t, h.Client().SetServerHealth(t.Context(), haproxytest.Server(t, "myapp/web04"), haproxysock.HealthStopping))
	require.Equal(t, "NOLB", value(t, h, `myapp.server("web04").status`))
	require.Equal(t, 1, value(t, h, `myapp.in_rotation`))
	require.Equal(t, 0, value(t, h, `myapp.down`))
	set(t, h, "myapp/spare1", ready)
	require.Equal(t, 6, value(t, h, `myapp.total`))
}

func TestAllDown(t *testing.T) {
	h := haproxytest.Start(t, site)
	eventually(t, h, `backend("my-other").down`, 1)
	c := members(h)
	for _, text := range []string{`backend("my-other").rolling_restartable()`, `backend("my-other").survives(1)`, `backend("my-other").survives_without("web01")`} {
		for _, ok := range []bool{false, true} {
			c.AllDownOK = ok
			a, err := c.Ask(t.Context(), condition(t, text))
			require.NoError(t, err)
			require.Equal(t, ok, a.Results[0].Value, text)
		}
	}
}

func TestUnknownNamesOfARealHAProxy(t *testing.T) {
	h := haproxytest.Start(t, site)
	for text, want := range map[string]string{
		"myap.rate":             `unknown backend "myap", nearest is myapp`,
		"my-other.rate":         `nearest is backend("my-other")`,
		`backend("my-othr").up`: `unknown backend "my-othr", nearest is backend("my-other")`,
		"asleep.up":             `unknown backend "asleep"`,
		"www.rate":              `nearest is frontend("www")`,
		"myapp.ratee":           `nearest is rate`,
	} {
		x, err := cluster.ParseExpression(text, cluster.PerMember)
		if err == nil {
			_, err = members(h).Ask(t.Context(), x)
		}
		require.ErrorContains(t, err, want)
	}
}

func TestMembersThatDisagreeOrAreSilent(t *testing.T) {
	one := haproxytest.Start(t, site)
	two := haproxytest.Start(t, strings.ReplaceAll(site, "  server web04 unix@{dir}/answers.sock\n", ""))
	eventually(t, one, `backend("my-other").down`, 1)
	eventually(t, two, `backend("my-other").down`, 1)
	set(t, two, "myapp/web03", drain)
	c := members(one, two)
	s := c.Snapshot(t.Context(), cluster.Need{})
	require.NoError(t, s.Err())
	require.Equal(t, []cluster.Disagreement{
		{Server: haproxytest.Server(t, "myapp/web03"), Says: []cluster.Says{
			{Member: one.Unix.String(), Status: "no check"}, {Member: two.Unix.String(), Status: "DRAIN"}}},
		{Server: haproxytest.Server(t, "myapp/web04"), Says: []cluster.Says{
			{Member: one.Unix.String(), Status: "no check"}, {Member: two.Unix.String()}}},
	}, s.Disagreements())

	x := condition(t, `myapp.server("web04").up`)
	a, err := c.Ask(t.Context(), x)
	require.NoError(t, err)
	require.Equal(t, true, a.Results[0].Value)
	require.ErrorContains(t, a.Results[1].Err, `no server "web04", nearest is "web01"`)
	require.ErrorContains(t, a.Results[1].Err, two.Unix.String())

	// One that hangs, and one that is dead.
	two.Pause()
	c.Timeout = 200 * time.Millisecond
	a, err = c.Ask(t.Context(), condition(t, "myapp.up > 0"))
	require.NoError(t, err)
	require.Equal(t, true, a.Results[0].Value)
	require.ErrorIs(t, a.Results[1].Err, context.DeadlineExceeded)
	require.Equal(t, 1, strings.Count(a.Results[1].Err.Error(), two.Unix.String()), a.Results[1].Err)
	two.Resume()
	two.Kill()
	a, err = c.Ask(t.Context(), condition(t, "disagree()"))
	require.NoError(t, err)
	require.ErrorContains(t, a.Results[0].Err, two.Unix.String()) // who is silent does not agree
	require.ErrorContains(t, a.Results[1].Err, "refused")
}

// TestWaitForADeployment takes a server out and waits until everybody has seen it.
func TestWaitForADeployment(t *testing.T) {
	one, two := haproxytest.Start(t, site), haproxytest.Start(t, site)
	c := members(one, two)
	x := condition(t, `myapp.server("web03").maint`)
	begun := make(chan struct{}, 100)
	done := make(chan error, 1)
	go func() {
		_, err := c.Wait(t.Context(), x, 10*time.Millisecond, 3, func(*cluster.Answer) { begun <- struct{}{} })
		done <- err
	}()
	<-begun
	set(t, one, "myapp/web03", maint)
	<-begun
	select {
	case err := <-done:
		require.Fail(t, "one of two is not enough", err)
	default:
	}
	set(t, two, "myapp/web03", maint)
	require.NoError(t, <-done)
}
