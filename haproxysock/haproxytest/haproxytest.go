// Package haproxytest runs real HAProxys for tests.
package haproxytest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
)

// Patience is how long a test waits for a condition before it fails.
const Patience = 20 * time.Second

// A Setup describes a HAProxy. In Config and Global, "{dir}" stands for a short
// directory of its own.
type Setup struct {
	Config string // what stands below "defaults": frontends, backends
	Global string // further lines of "global"
	Master bool   // run in master-worker mode, with a master CLI
}

// A HAProxy is a running haproxy with two admin sockets, one of each kind. Both
// keep their addresses through Kill and Restart.
type HAProxy struct {
	Unix   haproxysock.Addr
	TCP    haproxysock.Addr
	Master haproxysock.Addr // only with Setup.Master
	Dir    string

	t    testing.TB
	args []string
	tcp  *os.File // the listening socket behind TCP
	log  Buffer
	cmd  *exec.Cmd
}

// Start runs the haproxy of $PATH with config below its global and defaults
// sections, until the test ends. A failing test shows HAProxy's config and log.
// Without haproxy the test is skipped, or fails where HAPROXYTEST=required.
func Start(t testing.TB, config string) *HAProxy {
	t.Helper()
	return StartSetup(t, Setup{Config: config})
}

// StartSetup is Start for what takes more than a config.
func StartSetup(t testing.TB, setup Setup) *HAProxy {
	t.Helper()
	bin := NeedProgram(t, "haproxy")
	h := &HAProxy{t: t, Dir: ShortDir(t)}
	// Listen here and hand the socket down: nobody can take the port meanwhile,
	// and an early dial waits in the queue.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	h.tcp, err = l.(*net.TCPListener).File()
	require.NoError(t, err)
	require.NoError(t, l.Close())
	h.TCP = Addr(t, "tcp://"+l.Addr().String())
	h.Unix = Addr(t, "unix://"+h.Dir+"/admin.sock")

	text := strings.ReplaceAll(fmt.Sprintf(`global
  stats socket unix@{dir}/admin.sock mode 600 level admin
  stats socket fd@3 level admin
  %s
defaults
  mode http
  timeout connect 1s
  timeout client 30s
  timeout server 30s
%s
`, strings.ReplaceAll(setup.Global, "\n", "\n  "), setup.Config), "{dir}", h.Dir)
	file := filepath.Join(h.Dir, "haproxy.cfg")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	h.args = []string{bin, "-f", file, "-db"}
	if setup.Master {
		h.Master = Addr(t, "master+unix://"+h.Dir+"/master.sock")
		h.args = []string{bin, "-f", file, "-W", "-S", h.Dir + "/master.sock,mode,600,level,admin"}
	}
	t.Cleanup(func() {
		h.Kill()
		h.tcp.Close()
		if t.Failed() {
			t.Logf("haproxy's configuration:\n%s\nhaproxy's log:\n%s", text, h.log.String())
		}
	})
	h.Restart()
	return h
}

// Restart starts HAProxy again, after Kill, with the same addresses, and waits
// until it answers.
func (h *HAProxy) Restart() {
	h.t.Helper()
	h.cmd = exec.Command(h.args[0], h.args[1:]...)
	h.cmd.ExtraFiles = []*os.File{h.tcp}
	h.cmd.Stdout, h.cmd.Stderr = &h.log, &h.log
	h.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	require.NoError(h.t, h.cmd.Start())
	for _, addr := range []haproxysock.Addr{h.Unix, h.Master} {
		client := haproxysock.Client{Addr: addr, Timeout: time.Second}
		Eventually(h.t, "haproxy answers", func() error {
			if addr.Network == "" {
				return nil
			}
			_, err := client.Info(context.Background())
			return err
		})
	}
}

// Kill ends HAProxy at once, with its workers, and waits for that. The TCP port
// goes on taking connections that nobody answers until [HAProxy.Restart].
func (h *HAProxy) Kill() {
	if h.cmd == nil {
		return
	}
	syscall.Kill(-h.cmd.Process.Pid, syscall.SIGKILL)
	h.cmd.Wait()
	h.cmd = nil
}

// Pause stops HAProxy in its tracks, and waits until it stands: connections are
// taken by the kernel and nobody answers.
func (h *HAProxy) Pause() {
	h.t.Helper()
	h.signal(syscall.SIGSTOP)
	Eventually(h.t, "haproxy stands still", func() error {
		threads, err := filepath.Glob("/proc/[0-9]*/task/*/stat")
		if err != nil {
			return err
		}
		for _, file := range threads {
			text, _ := os.ReadFile(file)
			_, rest, _ := strings.Cut(string(text), ") ") // state, parent, process group
			if f := strings.Fields(rest); len(f) > 2 && f[2] == fmt.Sprint(h.cmd.Process.Pid) && f[0] != "T" {
				return fmt.Errorf("%s is in state %s", file, f[0])
			}
		}
		return nil
	})
}

// Resume lets it go on.
func (h *HAProxy) Resume() { h.signal(syscall.SIGCONT) }

func (h *HAProxy) signal(s syscall.Signal) {
	h.t.Helper()
	require.NoError(h.t, syscall.Kill(-h.cmd.Process.Pid, s))
}

// Client asks over the unix socket.
func (h *HAProxy) Client() *haproxysock.Client { return &haproxysock.Client{Addr: h.Unix} }

// State is what HAProxy says of a server now.
func (h *HAProxy) State(server string) haproxysock.ServerState {
	h.t.Helper()
	name, err := haproxysock.ParseServerName(server)
	require.NoError(h.t, err)
	all, err := h.Client().ServerStates(context.Background(), name.Backend)
	require.NoError(h.t, err)
	for _, s := range all {
		if s.Name == name {
			return s
		}
	}
	require.Fail(h.t, "no such server", server)
	return haproxysock.ServerState{}
}

// Eventually waits until check returns nil, and fails the test with its last
// error if that takes longer than [Patience].
func Eventually(t testing.TB, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(Patience)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			require.FailNow(t, "waited in vain until "+what, err.Error())
		}
		<-time.After(2 * time.Millisecond)
	}
}

// EventuallyState waits until HAProxy says that server was asked into state.
func (h *HAProxy) EventuallyState(server string, state haproxysock.AdminState) {
	h.t.Helper()
	Eventually(h.t, server+" is "+string(state), func() error {
		if s := h.State(server); s.Admin.Asked() != state {
			return fmt.Errorf("%s is %v", server, s.Admin)
		}
		return nil
	})
}

// Addr parses an address that is right.
func Addr(t testing.TB, s string) haproxysock.Addr {
	t.Helper()
	a, err := haproxysock.ParseAddr(s)
	require.NoError(t, err)
	return a
}

// Server parses a server's name that is right.
func Server(t testing.TB, s string) haproxysock.ServerName {
	t.Helper()
	n, err := haproxysock.ParseServerName(s)
	require.NoError(t, err)
	return n
}

// NeedProgram finds a program of $PATH. Without it the test is skipped, or fails
// where HAPROXYTEST=required.
func NeedProgram(t testing.TB, name string) string {
	t.Helper()
	bin, err := exec.LookPath(name)
	if err != nil && os.Getenv("HAPROXYTEST") != "required" {
		t.Skipf("needs %s: %v", name, err)
	}
	require.NoError(t, err)
	return bin
}

// ShortDir is a directory whose path leaves room for a unix socket's name: those
// of t.TempDir can be longer than a socket's path may be.
func ShortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "sh")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// A Buffer is written and read by different goroutines.
type Buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
