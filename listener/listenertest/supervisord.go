package listenertest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock/haproxytest"
)

// A Supervisord is a running one.
type Supervisord struct {
	Dir string // also "{dir}" in its configuration

	t   testing.TB
	ctl []string
	cmd *exec.Cmd
}

// StartSupervisord runs the supervisord of $PATH with config below its own
// sections until the test ends. A failing test shows all its logs. Without
// supervisord the test is skipped, or fails where HAPROXYTEST=required.
func StartSupervisord(t testing.TB, config string) *Supervisord {
	t.Helper()
	bin := haproxytest.NeedProgram(t, "supervisord")
	s := &Supervisord{t: t, Dir: haproxytest.ShortDir(t)}
	file := filepath.Join(s.Dir, "supervisord.conf")
	s.ctl = []string{haproxytest.NeedProgram(t, "supervisorctl"), "-c", file}
	text := `[supervisord]
logfile={dir}/supervisord.log
pidfile={dir}/supervisord.pid
childlogdir={dir}
directory={dir}
nodaemon=true
user=root
[unix_http_server]
file={dir}/supervisor.sock
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://{dir}/supervisor.sock
` + config
	if os.Getuid() != 0 {
		text = strings.Replace(text, "user=root\n", "", 1)
	}
	require.NoError(t, os.WriteFile(file, []byte(strings.ReplaceAll(text, "{dir}", s.Dir)), 0o600))
	s.cmd = exec.Command(bin, "-c", file)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	require.NoError(t, s.cmd.Start())
	t.Cleanup(func() {
		s.cmd.Process.Signal(syscall.SIGTERM)
		s.cmd.Wait()
		if t.Failed() {
			s.showLogs()
		}
	})
	haproxytest.Eventually(t, "supervisord answers", func() error {
		_, err := exec.Command(s.ctl[0], append(s.ctl[1:], "pid")...).Output()
		return err
	})
	return s
}

func (s *Supervisord) showLogs() {
	logs, _ := filepath.Glob(s.Dir + "/*.log")
	for _, file := range logs {
		text, _ := os.ReadFile(file)
		s.t.Logf("%s:\n%s", filepath.Base(file), text)
	}
}

// Ctl runs supervisorctl and returns what it printed.
func (s *Supervisord) Ctl(args ...string) string {
	s.t.Helper()
	var stderr bytes.Buffer
	cmd := exec.Command(s.ctl[0], append(s.ctl[1:], args...)...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if _, ok := err.(*exec.ExitError); ok {
		err = nil // its codes are about the programs
	}
	require.NoError(s.t, err, stderr.String())
	return string(out)
}

// Pid is a program's process.
func (s *Supervisord) Pid(program string) int {
	s.t.Helper()
	pid, err := strconv.Atoi(strings.TrimSpace(s.Ctl("pid", program)))
	require.NoError(s.t, err)
	return pid
}

// EventuallyState waits until supervisorctl status says state of program.
func (s *Supervisord) EventuallyState(program, state string) {
	s.t.Helper()
	haproxytest.Eventually(s.t, program+" is "+state, func() error {
		if out := s.Ctl("status", program); !strings.Contains(out, " "+state) {
			return fmt.Errorf("%s", out)
		}
		return nil
	})
}
