package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock/haproxytest"
)

// plugin runs check as Icinga would, and reads what it says.
func plugin(t testing.TB, env []string, args ...string) reading {
	t.Helper()
	bin, err := exec.LookPath("supervisor-haproxy")
	require.NoError(t, err)
	cmd := exec.Command(bin, args...)
	cmd.Env = append(os.Environ(), env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	if err != nil {
		require.IsType(t, &exec.ExitError{}, err)
	}
	require.Empty(t, stderr.String(), "Nagios reads stdout only")
	return readPlugin(t, stdout.String(), cmd.ProcessState.ExitCode())
}

// threeServers are up, without anybody behind them.
const threeServers = `
frontend fe
  bind unix@{dir}/fe.sock
  default_backend web
backend web
  server web01 127.0.0.1:9
  server web02 127.0.0.1:9
  server web03 127.0.0.1:9 weight 50
backend gone
  server gone01 127.0.0.1:9 disabled
frontend page
  bind unix@{dir}/page.sock
  stats enable
  stats uri /stats
`

func TestCheckIsANagiosPlugin(t *testing.T) {
	t.Parallel()
	lb1, lb2 := haproxytest.Start(t, threeServers), haproxytest.Start(t, threeServers)
	one, two := lb1.Unix.String(), lb2.TCP.String()
	for _, c := range []struct {
		args         []string
		status, text string
	}{
		{[]string{"web.up >= 2"}, "OK", "web.up >= 2"},
		{[]string{"web.up < 2"}, "CRITICAL", "false"},
		{[]string{"web.up < 2 || web.up > 9"}, "CRITICAL", "false"},
		{[]string{"web.rolling_restartable()"}, "OK", "true"},
		{[]string{"gone.in_rotation", "-c", "1:"}, "CRITICAL", "0 (critical 1:)"},
		{[]string{"web.up", "-w", "3:", "-c", "2:"}, "OK", "3"},
		{[]string{"web.up", "-w", "4:", "-c", "2:"}, "WARNING", "3 (warning 4:)"},
		{[]string{"web.up", "--warning", "4:", "--critical", "@3"}, "CRITICAL", "3 (critical @3)"},
		{[]string{"web.up", "-w", "~:2"}, "WARNING", "3 (warning ~:2)"},
		{[]string{"web.scur"}, "OK", "0"},
		{[]string{"web.up - 3", "-c", "-1:1", "-w", "-2"}, "UNKNOWN", "its start is above its end"},
		{[]string{"web.up - 4", "-c", "-5:-1"}, "OK", "-1"},
		{[]string{"1.5 * web.up", "--unit", "%"}, "OK", "4.5%"},
		// What cannot be judged.
		{[]string{"web.up >= 2", "-w", "1"}, "UNKNOWN", "-w and -c are for numbers"},
		{[]string{`"a text"`}, "UNKNOWN", "neither a number nor true or false"},
		{[]string{"0.0 / 0"}, "UNKNOWN", "not a number"},
		{[]string{"web.up / 0"}, "UNKNOWN", "not a number"},
		{[]string{"0 - web.up / 0", "-w", "1"}, "UNKNOWN", "not a number"},
		{[]string{"wbe.up"}, "UNKNOWN", `unknown backend "wbe", nearest is web, in wbe.up`},
		{[]string{"web.upp"}, "UNKNOWN", "nearest is up"},
		{[]string{"web.up >="}, "UNKNOWN", "web.up >="},
		// Wrong usage.
		{[]string{}, "UNKNOWN", "no HAProxy is named"},
		{[]string{"web.up", "-w", "ten"}, "UNKNOWN", `"ten" is no decimal number`},
		{[]string{"web.up", "-w", "20:10"}, "UNKNOWN", "its start is above its end"},
		{[]string{"web.up", "--no-such-flag"}, "UNKNOWN", "--no-such-flag"},
		{[]string{"web.up", "--unreachable", "maybe"}, "UNKNOWN", "unreachable"},
		{[]string{"web.up", "-t", "soon"}, "UNKNOWN", "timeout"},
		{[]string{"web.up", "-t", "0"}, "UNKNOWN", "timeout is 0s"},
		{[]string{"web.up", "-m", "x.csv", "y.csv", "-w", "3:"}, "UNKNOWN", "arguments stand together"},
		{[]string{"web.up", "here|there"}, "UNKNOWN", "here¦there"},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			args := append([]string{"check"}, c.args...)
			if len(c.args) > 0 {
				args = append(args, one, two)
			}
			r := plugin(t, nil, args...)
			require.Equal(t, "HAPROXY", r.service)
			require.Equal(t, c.status, r.status, r.text)
			require.Contains(t, r.text, c.text)
			if c.status == "OK" {
				require.Equal(t, []string{one, two}, r.labels)
			}
		})
	}
}

func TestChecksPerformanceData(t *testing.T) {
	t.Parallel()
	lb := haproxytest.Start(t, threeServers)
	one := lb.Unix.String()
	r := plugin(t, nil, "check", "web.up", "-w", "@1:2", "--critical=-1:9", "--unit=c", one)
	require.Equal(t, perfdatum{value: "3", uom: "c", warn: "@1:2", crit: "-1:9"}, r.perfdata[one])
	r = plugin(t, nil, "check", "web.up > 7", one)
	require.Equal(t, perfdatum{value: "0"}, r.perfdata[one])
	require.Contains(t, r.text, one+": false")
}

func TestChecksOfMembersThatCannotBeAsked(t *testing.T) {
	t.Parallel()
	lb := haproxytest.Start(t, threeServers)
	one, nobody := lb.Unix.String(), "unix://"+lb.Dir+"/nobody.sock"
	for _, c := range []struct{ unreachable, status string }{
		{"unknown", "UNKNOWN"}, {"critical", "CRITICAL"}, {"ignore", "OK"},
	} {
		r := plugin(t, nil, "check", "web.up", "--unreachable", c.unreachable, one, nobody)
		require.Equal(t, c.status, r.status)
		require.Contains(t, r.text, "nobody.sock")
		require.Equal(t, []string{one}, r.labels, "nobody knows its number")
	}
	require.Equal(t, "UNKNOWN", plugin(t, nil, "check", "web.up", "--unreachable=ignore", nobody).status, "nobody is left to say OK")
	require.Equal(t, "UNKNOWN", plugin(t, nil, "check", "web.up", "-w", "7:", one, nobody).status, "and a WARNING does not hide it")
	require.Equal(t, "CRITICAL", plugin(t, nil, "check", "web.up", "-c", "7:", one, nobody).status, "what is broken is told")
	require.Equal(t, "UNKNOWN", plugin(t, nil, "check", "web.up").status, "nobody is named")
	require.Equal(t, "UNKNOWN", plugin(t, []string{"SUPERVISOR_HAPROXY_LOG_LEVEL=loud"}, "check", "web.up", one).status)
	require.Equal(t, "OK", plugin(t, []string{"SUPERVISOR_HAPROXY_MEMBERS=" + one}, "check", "web.up").status)
	require.Equal(t, "OK", plugin(t, []string{"SUPERVISOR_HAPROXY_MEMBERS=" + nobody}, "check", "web.up", one).status, "arguments win")
	require.Equal(t, "OK", plugin(t, nil, "--log-level", "debug", "check", "web.up", "-m", one).status)
	require.Equal(t, "UNKNOWN", plugin(t, nil, "--log-level", "debug", "check", "--bogus").status)

	lb.Pause()
	r := plugin(t, nil, "check", "web.up", "-t", "100ms", one)
	lb.Resume()
	require.Equal(t, "UNKNOWN", r.status, "it hangs")
}

func TestCheckWarnsOfMembersThatDisagree(t *testing.T) {
	t.Parallel()
	lb1, lb2 := haproxytest.Start(t, threeServers), haproxytest.Start(t, threeServers)
	require.NoError(t, lb1.Client().SetServerState(context.Background(), haproxytest.Server(t, "web/web02"), "drain"))
	lb1.EventuallyState("web/web02", "drain")
	r := plugin(t, nil, "check", "web.up >= 1", lb1.Unix.String(), lb2.Unix.String())
	require.Equal(t, "WARNING", r.status)
	require.Contains(t, r.text, "members disagree: web/web02 is DRAIN on "+lb1.Unix.String()+" and no check on "+lb2.Unix.String())
	r = plugin(t, nil, "check", "web.up >= 3", lb1.Unix.String(), lb2.Unix.String())
	require.Equal(t, "CRITICAL", r.status)
	require.Contains(t, r.text, "web/web02 is DRAIN")
}

func TestAllDownIsAYesOnlyByName(t *testing.T) {
	t.Parallel()
	lb := haproxytest.Start(t, "backend web\n  server web01 127.0.0.1:9\n  server web02 127.0.0.1:9\n")
	for _, server := range []string{"web/web01", "web/web02"} {
		require.NoError(t, lb.Client().SetServerState(context.Background(), haproxytest.Server(t, server), "maint"))
		lb.EventuallyState(server, "maint")
	}
	for _, question := range []string{"web.rolling_restartable()", "web.survives(1)", `web.survives_without("web01")`} {
		r := plugin(t, nil, "check", question, lb.Unix.String())
		require.Equal(t, "CRITICAL", r.status, question)
		require.Contains(t, r.text, "with --all-down-ok that is a yes", question)
		require.Equal(t, "OK", plugin(t, nil, "check", question, "--all-down-ok", lb.Unix.String()).status, question)
	}
}

func TestCheckTellsOfServersBeforeSpareSlots(t *testing.T) {
	t.Parallel()
	lb := haproxytest.Start(t, "backend web\n  server-template spare 1-20 127.0.0.1:9 disabled\n  server web01 127.0.0.1:9\n  server web02 127.0.0.1:9\n")
	require.NoError(t, lb.Client().SetServerState(context.Background(), haproxytest.Server(t, "web/web02"), "drain"))
	lb.EventuallyState("web/web02", "drain")
	r := plugin(t, nil, "check", "web.survives(1)", lb.Unix.String())
	require.Equal(t, "CRITICAL", r.status)
	require.Contains(t, r.text, "false (web/web02 is DRAIN, web/spare1 is MAINT")
	require.Contains(t, r.text, "and 16 more")
}

// The advice is there only where it helps.
func TestAllDownOKIsAdvisedOnlyWhereItMakesAYes(t *testing.T) {
	t.Parallel()
	lb := haproxytest.Start(t, threeServers+"backend sorry\n  server sorry01 127.0.0.1:9 backup\nbackend one\n  server one01 127.0.0.1:9\nbackend off\n  server off01 127.0.0.1:9\n")
	require.NoError(t, lb.Client().SetServerState(context.Background(), haproxytest.Server(t, "off/off01"), "maint"))
	lb.EventuallyState("off/off01", "maint")
	for question, advised := range map[string]bool{
		`survives_without("one01")`:           false, // off is none of its business
		`web.survives(3)`:                     false,
		`rolling_restartable() && web.up > 7`: false,
		`off.survives(1)`:                     true,
		`sorry.survives(1)`:                   true, // its backup is up
		`rolling_restartable()`:               true,
	} {
		r := plugin(t, nil, "check", question, lb.Unix.String())
		require.Equal(t, "CRITICAL", r.status, question)
		require.Equal(t, advised, strings.Contains(r.text, "--all-down-ok"), "%s: %s", question, r.text)
		if advised {
			require.Equal(t, "OK", plugin(t, nil, "check", question, "--all-down-ok", lb.Unix.String()).status, question)
		}
	}
}

func TestCheckShowsNoPassword(t *testing.T) {
	t.Parallel()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	for _, args := range [][]string{
		{"check", "web.up", "http://admin:s3cret@" + closed.Addr().String() + "/stats"},
		{"check", "web.up", "http://admin:s3cret@bad host/stats"},
		{"check", "web.up", "ftp://admin:s3cret@lb/stats"},
		{"check", "web.up", "-w", "x", "https://admin:s3cret@lb/stats"},
		{"check", "web.up", "--insecure=http://admin:s3cret@lb/stats"},
		{"check", "web.up", "admin:s3cret@lb:80"},
		{"check", "web.up", "http://admin:s3cret"},
		{"check", "web.up", "-m", "http://admin:s3cret,x@lb/stats"},
		{"check", "web.up", "-m", "http://admin:x,y,s3cret@lb/stats"},
		{"check", "web.up", "-m", "http://admin:12,s3cret@lb/stats"},
	} {
		r := plugin(t, nil, args...)
		require.Equal(t, "UNKNOWN", r.status)
		require.NotContains(t, r.text, "s3cret")
		for _, label := range r.labels {
			require.NotContains(t, label, "s3cret")
		}
	}
}

// Plugins' help and version end with UNKNOWN, so that a command line that was
// meant to check something never says OK.
func TestChecksHelpIsNotOK(t *testing.T) {
	for _, args := range [][]string{{"check", "--help"}, {"check", "--version"}, {"check", "-V"}, {"check", "-h"}} {
		cmd := exec.Command("supervisor-haproxy", args...)
		out, _ := cmd.CombinedOutput()
		require.Equal(t, 3, cmd.ProcessState.ExitCode(), string(out))
		require.NotEmpty(t, out)
	}
}
