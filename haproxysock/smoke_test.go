package haproxysock_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock/haproxytest"
)

const twoServers = `
frontend fe
  bind unix@{dir}/fe.sock
  default_backend web
backend web
  server web01 127.0.0.1:9
  server web02 127.0.0.1:9 check inter 100ms
`

func TestApplySetsAndSees(t *testing.T) {
	h := haproxytest.StartSetup(t, haproxytest.Setup{Config: twoServers, Master: true})
	for _, addr := range []haproxysock.Addr{h.Unix, h.TCP, h.Master} {
		c := &haproxysock.Client{Addr: addr}
		for state, want := range map[haproxysock.Transition]haproxysock.Status{
			haproxysock.ToDrain: "DRAIN", haproxysock.ToMaint: "MAINT", haproxysock.ToReady: "no check",
		} {
			sights, process, err := c.Apply(t.Context(), []haproxysock.Change{{Server: haproxytest.Server(t, "web/web01"), ID: 1, To: state}})
			require.NoError(t, err)
			require.NotZero(t, process.Pid)
			require.Len(t, sights, 1)
			require.NoError(t, sights[0].Err)
			require.True(t, sights[0].Found)
			require.Equal(t, want, sights[0].Stat.Status, "%v over %s", state, addr)
		}
	}
}
