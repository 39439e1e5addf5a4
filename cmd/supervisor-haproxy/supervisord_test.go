package main

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock/haproxytest"
	"github.com/supervisor-haproxy/supervisor-haproxy/listener/listenertest"
)

// The programs stay until they are stopped, but for those that die at once.
const programs = `
[program:web1]
command=sleep 1000
[program:web2]
command=sleep 1000
[program:late]
command=sleep 1000
autostart=false
[program:broken]
command=false
autostart=false
startretries=1
[program:w]
command=sleep 1000
process_name=%(program_name)s_%(process_num)02d
numprocs=2
numprocs_start=1
[program:café]
command=sleep 1000
`

const backend = `
frontend fe
  bind unix@{dir}/fe.sock
  default_backend app
backend app
  server web1 127.0.0.1:9
  server web2 127.0.0.1:9
  server late 127.0.0.1:9
  server broken 127.0.0.1:9
  server w_01 127.0.0.1:9
  server w_02 127.0.0.1:9
  server cafe 127.0.0.1:9
`

// eventlistener is the section that the README has, with another command.
func eventlistener(t *testing.T, args ...string) string {
	t.Helper()
	bin, err := exec.LookPath("supervisor-haproxy")
	require.NoError(t, err)
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	_, section, _ := strings.Cut(string(readme), "```ini\n")
	section, _, _ = strings.Cut(section, "```")
	require.Contains(t, section, "[eventlistener:haproxy]")
	section = regexp.MustCompile(`(?m)^command=.*$`).ReplaceAllLiteralString(section, "command="+bin+" "+strings.Join(args, " "))
	return regexp.MustCompile(`(?m)^stderr_logfile=.*$`).ReplaceAllLiteralString(section, "stderr_logfile={dir}/listener.log")
}

type stack struct {
	*listenertest.Supervisord
	t        *testing.T
	lb1, lb2 *haproxytest.HAProxy
}

func startStack(t *testing.T, flags ...string) *stack {
	lb1, lb2 := haproxytest.Start(t, backend), haproxytest.Start(t, backend)
	return &stack{t: t, lb1: lb1, lb2: lb2, Supervisord: listenertest.StartSupervisord(t, programs+eventlistener(t, append(flags,
		lb1.Unix.String(), lb2.TCP.String(),
		"web1:app/web1", "web2:app/web2", "late:late=app/late", "broken:app/broken", "w:*=app/{name}", "café:app/cafe")...))}
}

// both waits until both HAProxys show state of a server.
func (s *stack) both(server string, state haproxysock.AdminState) {
	s.t.Helper()
	s.lb1.EventuallyState("app/"+server, state)
	s.lb2.EventuallyState("app/"+server, state)
}

func (s *stack) logged(words string) {
	s.t.Helper()
	haproxytest.Eventually(s.t, "the listener says "+words, func() error {
		text, err := os.ReadFile(s.Dir + "/listener.log")
		if err == nil && !strings.Contains(string(text), words) {
			err = fmt.Errorf("it says\n%s", text)
		}
		return err
	})
}

func TestARealSupervisordDrivesTwoHAProxys(t *testing.T) {
	t.Parallel()
	s := startStack(t)
	s.EventuallyState("web1", "RUNNING")
	s.both("web1", haproxysock.Ready)
	s.both("cafe", haproxysock.Ready)

	s.Ctl("stop", "web1")
	s.both("web1", haproxysock.Maint)
	s.both("web2", haproxysock.Ready)
	s.Ctl("start", "web1")
	s.both("web1", haproxysock.Ready)

	// A crash: supervisord starts it again.
	require.NoError(t, syscall.Kill(s.Pid("web2"), syscall.SIGKILL))
	s.logged("server=app/web2 state=maint")
	s.both("web2", haproxysock.Ready)

	s.Ctl("start", "broken")
	s.EventuallyState("broken", "FATAL")
	s.both("broken", haproxysock.Maint)

	s.Ctl("stop", "w:*")
	s.both("w_01", haproxysock.Maint)
	s.both("w_02", haproxysock.Maint)
	s.Ctl("start", "w:w_02")
	s.both("w_02", haproxysock.Ready)
	s.both("w_01", haproxysock.Maint)

	s.Ctl("stop", "café")
	s.both("cafe", haproxysock.Maint)
	s.Ctl("restart", "all")
	for _, server := range []string{"web1", "web2", "w_01", "w_02", "cafe"} {
		s.both(server, haproxysock.Ready)
	}
	require.Contains(t, s.Ctl("status", "haproxy"), "RUNNING")
}

func TestAHAProxyThatComesBackIsBroughtUpToDate(t *testing.T) {
	t.Parallel()
	s := startStack(t)
	s.EventuallyState("web1", "RUNNING")
	s.lb2.Kill()
	s.Ctl("stop", "web1")
	s.lb1.EventuallyState("app/web1", haproxysock.Maint)
	s.lb2.Restart()
	s.both("web1", haproxysock.Maint)
	s.both("web2", haproxysock.Ready)
}

// supervisord goes on sending events after a listener has crashed or been
// restarted, and its own reload starts everything anew.
func TestTheListenerIsRestarted(t *testing.T) {
	t.Parallel()
	s := startStack(t, "--ack-timeout", "30s") // it is killed with an event in hand, however long that takes
	s.EventuallyState("haproxy", "RUNNING")
	before := s.Pid("haproxy")
	require.NoError(t, syscall.Kill(before, syscall.SIGKILL))
	s.Ctl("stop", "web1")
	s.both("web1", haproxysock.Maint)
	require.NotEqual(t, before, s.Pid("haproxy"))

	s.Ctl("restart", "haproxy")
	s.Ctl("start", "web1")
	s.both("web1", haproxysock.Ready)

	s.lb1.Pause() // in the middle of an event
	s.Ctl("stop", "web2")
	require.NoError(t, syscall.Kill(s.Pid("haproxy"), syscall.SIGKILL))
	s.lb1.Resume()
	s.both("web2", haproxysock.Maint)

	s.Ctl("reload")
	haproxytest.Eventually(t, "supervisord has reloaded", func() error {
		if out := s.Ctl("status", "web2"); !strings.Contains(out, "RUNNING") {
			return fmt.Errorf("%s", out)
		}
		return nil
	})
	s.both("web1", haproxysock.Ready)
	s.both("web2", haproxysock.Ready)
}

// After a stray byte on the real stdout supervisord would send no event any more.
func TestNothingButTheProtocolReachesStdout(t *testing.T) {
	bin, err := exec.LookPath("supervisor-haproxy")
	require.NoError(t, err)
	lb := haproxytest.Start(t, backend)
	peer := listenertest.NewPeer(t)
	cmd := exec.Command(bin, lb.Unix.String(), "web1:app/web1")
	var stderr strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = peer.Stdin, peer.Stdout, &stderr
	require.NoError(t, cmd.Start())
	peer.AwaitReady()

	// What fd 1 and fd 2 are after READY, from outside: the same.
	fd := func(n int) string {
		target, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", cmd.Process.Pid, n))
		require.NoError(t, err)
		return target
	}
	require.Equal(t, fd(2), fd(1), "a print goes where stderr goes")

	// A panic is told on stderr and not on stdout.
	require.NoError(t, cmd.Process.Signal(syscall.SIGQUIT))
	require.Error(t, cmd.Wait())
	require.Contains(t, stderr.String(), "goroutine ")
	peer.Stdout.Close()
	require.Empty(t, peer.Rest())
}

func TestASignalEndsTheListenerWithZero(t *testing.T) {
	bin, err := exec.LookPath("supervisor-haproxy")
	require.NoError(t, err)
	lb := haproxytest.Start(t, backend)
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		peer := listenertest.NewPeer(t)
		cmd := exec.Command(bin, lb.Unix.String(), "web1:app/web1")
		cmd.Stdin, cmd.Stdout, cmd.Stderr = peer.Stdin, peer.Stdout, os.Stderr
		require.NoError(t, cmd.Start())
		peer.State("STOPPED", "web1", "web1")
		peer.AwaitReady()
		require.NoError(t, cmd.Process.Signal(signal))
		require.NoError(t, cmd.Wait())
	}
}
