package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
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
  server web02 127.0.0.1:9 weight 50
backend my-app
  server a 127.0.0.1:9
backend none
`

// What a user sees of the commands that ask. $LB1 and $LB2 are alike, $ODD has
// web/web02 in maintenance, nobody is behind $NOBODY.
func TestAskScripts(t *testing.T) {
	lb1, lb2 := haproxytest.Start(t, twoServers), haproxytest.Start(t, twoServers)
	odd := haproxytest.Start(t, strings.Replace(twoServers, "weight 50", "weight 50 disabled", 1))
	testscript.Run(t, testscript.Params{
		Dir: "testdata/ask",
		Setup: func(env *testscript.Env) error {
			env.Setenv("LB1", lb1.Unix.String())
			env.Setenv("LB2", lb2.TCP.String())
			env.Setenv("ODD", odd.Unix.String())
			env.Setenv("NOBODY", "unix://"+env.WorkDir+"/nobody.sock")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits,
			"json":  jsonField,
		},
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
	})
}

// exits CODE COMMAND…: it ends with this code. Its output is there for stdout
// and stderr, as with exec.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	if exit := (*exec.ExitError)(nil); err != nil {
		var ok bool
		if exit, ok = err.(*exec.ExitError); !ok {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if fmt.Sprint(got) != args[0] {
		ts.Fatalf("ended with %d, want %s", got, args[0])
	}
}

// json PATH VALUE: the last stdout is JSON that has this value there.
func jsonField(ts *testscript.TestScript, neg bool, args []string) {
	var v any
	if err := json.Unmarshal([]byte(ts.ReadFile("stdout")), &v); err != nil {
		ts.Fatalf("%v", err)
	}
	for _, step := range strings.Split(args[0], ".") {
		switch at := v.(type) {
		case map[string]any:
			next, ok := at[step]
			if !ok {
				ts.Fatalf("no field %q", step)
			}
			v = next
		case []any:
			var i int
			if _, err := fmt.Sscan(step, &i); err != nil || i >= len(at) {
				ts.Fatalf("no element %q of %d", step, len(at))
			}
			v = at[i]
		default:
			ts.Fatalf("nothing at %q", step)
		}
	}
	got, err := json.Marshal(v)
	if err != nil {
		ts.Fatalf("%v", err)
	}
	if (string(got) == args[1]) == neg {
		ts.Fatalf("%s is %s", args[0], got)
	}
}

// A running command whose lines can be waited for.
type running struct {
	*exec.Cmd
	t              *testing.T
	stdout, stderr haproxytest.Buffer
}

func start(t *testing.T, args ...string) *running {
	t.Helper()
	r := &running{t: t, Cmd: exec.Command("supervisor-haproxy", args...)}
	r.Stdout, r.Stderr = &r.stdout, &r.stderr
	require.NoError(t, r.Start())
	t.Cleanup(func() { r.Process.Kill() })
	return r
}

func (r *running) told(b *haproxytest.Buffer, words string) {
	r.t.Helper()
	haproxytest.Eventually(r.t, "it says "+words, func() error {
		if !strings.Contains(b.String(), words) {
			return fmt.Errorf("it says %s", b.String())
		}
		return nil
	})
}

func (r *running) ends(code int) {
	r.t.Helper()
	r.Wait()
	require.Equal(r.t, code, r.ProcessState.ExitCode(), "%s%s", &r.stdout, &r.stderr)
}

func TestWaitTellsEachChangeAndWhoIsMissing(t *testing.T) {
	t.Parallel()
	lb1, lb2 := haproxytest.Start(t, twoServers), haproxytest.Start(t, twoServers)
	lb2.Kill()
	set(t, lb1, "web/web01", "maint")
	r := start(t, "wait", "--interval=20ms", "web.up == 2", lb1.Unix.String(), lb2.Unix.String())
	r.told(&r.stderr, lb1.Unix.String()+": web.up == 2 does not hold (web/web01 is MAINT)")
	r.told(&r.stderr, lb2.Dir+"/admin.sock: ")
	set(t, lb1, "web/web02", "drain")
	r.told(&r.stderr, "(web/web01 is MAINT, web/web02 is DRAIN)")
	set(t, lb1, "web/web01", "ready")
	set(t, lb1, "web/web02", "ready")
	lb2.Restart()
	r.ends(0)
	require.Contains(t, r.stderr.String(), "holds 3 times on 2 members")
	require.Empty(t, r.stdout.String())
	require.NotContains(t, r.stderr.String(), "\x1b", "no terminal, no control characters")
	require.NotContains(t, r.stderr.String(), "\r")
}

func TestInterruptedWaitTellsTheLastState(t *testing.T) {
	t.Parallel()
	lb := haproxytest.Start(t, twoServers)
	dead := "unix://" + lb.Dir + "/nobody.sock"
	r := start(t, "wait", "web.up == 3", lb.Unix.String())
	r.told(&r.stderr, "does not hold")
	require.NoError(t, r.Process.Signal(os.Interrupt))
	r.ends(2)
	require.Contains(t, r.stderr.String(), "supervisor-haproxy: interrupted: "+lb.Unix.String()+": web.up == 3 does not hold\n")

	r = start(t, "wait", "web.up == 2", lb.Unix.String(), dead)
	r.told(&r.stderr, "nobody.sock")
	require.NoError(t, r.Process.Signal(syscall.SIGTERM))
	r.ends(1)
	require.Regexp(t, `supervisor-haproxy: interrupted: .*nobody.sock`, r.stderr.String())

	// It holds, and has not held often enough.
	r = start(t, "wait", "--interval=1h", "web.up == 2", lb.Unix.String())
	r.told(&r.stderr, "holds now on 1 member")
	require.NoError(t, r.Process.Signal(os.Interrupt))
	r.ends(2)
	require.Contains(t, r.stderr.String(), "interrupted: it held once in a row on 1 member, want 3\n")
}

func TestWaitGivesUp(t *testing.T) {
	t.Parallel()
	lb := haproxytest.Start(t, twoServers)
	r := start(t, "wait", "--timeout=50ms", "--interval=10ms", "web.up == 3", lb.Unix.String())
	r.ends(2)
	require.Contains(t, r.stderr.String(), "supervisor-haproxy: gave up after 50ms: "+lb.Unix.String()+": web.up == 3 does not hold\n")
	lb.Pause()
	r = start(t, "wait", "--timeout=50ms", "web.up == 2", lb.Unix.String())
	r.ends(1)
	lb.Resume()
}

func TestWatchGoesOnUntilInterrupted(t *testing.T) {
	t.Parallel()
	lb1, lb2 := haproxytest.Start(t, twoServers), haproxytest.Start(t, twoServers)
	r := start(t, "watch", "--interval=10ms", "sum(members, .web.up)", lb1.Unix.String(), lb2.Unix.String())
	r.told(&r.stdout, " 4\n")
	lb2.Kill()
	r.told(&r.stderr, "supervisor-haproxy: "+lb2.Unix.String())
	r.told(&r.stdout, "("+lb2.Unix.String())
	lb2.Restart()
	r.told(&r.stderr, "supervisor-haproxy: "+lb2.Unix.String()+": it answers again\n")
	require.NoError(t, r.Process.Signal(os.Interrupt))
	r.ends(0)
	require.Equal(t, 2, strings.Count(r.stderr.String(), "\n"), "told once: "+r.stderr.String())
	for line := range strings.Lines(r.stdout.String()) {
		stamp, _, _ := strings.Cut(line, " ")
		_, err := time.Parse(time.RFC3339, stamp)
		require.NoError(t, err, line)
	}
}

// set asks HAProxy for a server's state and waits until it shows.
func set(t *testing.T, lb *haproxytest.HAProxy, server string, state haproxysock.AdminState) {
	t.Helper()
	require.NoError(t, lb.Client().SetServerState(t.Context(), haproxytest.Server(t, server), state))
	lb.EventuallyState(server, state)
}

// A server that is down does not show in HAProxy's table that it is drained; an
// admin socket tells, and a statistics page does not.
func TestStatusFindsTheAdminStateThatDownHides(t *testing.T) {
	t.Parallel()
	const config = `
frontend page
  bind unix@{dir}/page.sock
  stats enable
  stats uri /stats
backend web
  server web01 127.0.0.1:9 check inter 10ms fall 1
`
	lb := haproxytest.Start(t, config)
	set(t, lb, "web/web01", haproxysock.Drain)
	haproxytest.Eventually(t, "web01 is down", func() error {
		rows, err := lb.Client().Stats(t.Context(), haproxysock.StatFilter{Proxy: "web", Kinds: haproxysock.Servers})
		if err == nil && rows[0].Status.Word() != "DOWN" {
			err = fmt.Errorf("it is %s", rows[0].Status)
		}
		return err
	})
	page := "http://" + haproxytest.Forward(t, lb.Dir+"/page.sock") + "/stats"
	out, err := exec.Command("supervisor-haproxy", "status", lb.Unix.String(), page).Output()
	require.NoError(t, err, string(out))
	require.Regexp(t, `(?m)^  web/web01 +DOWN +drain +0 +1 +DOWN +\? +0 +1$`, string(out))
	out, err = exec.Command("supervisor-haproxy", "status", "-o", "json", page).Output()
	require.NoError(t, err)
	require.Contains(t, string(out), `"status":"DOWN","admin":null`)
}
