package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock/haproxytest"
)

// onTerminal runs the program with stdout and stderr on a terminal so many
// columns wide, and gives what it wrote there and its exit code.
func onTerminal(t *testing.T, width int, env []string, args ...string) (string, int) {
	t.Helper()
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("needs a terminal: ", err)
	}
	defer terminal.Close()
	fd := int(terminal.Fd())
	require.NoError(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	require.NoError(t, err)
	require.NoError(t, unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: uint16(width)}))
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	cmd := exec.Command("supervisor-haproxy", args...)
	cmd.Env = append(os.Environ(), append([]string{"TERM=xterm", "NO_COLOR="}, env...)...)
	cmd.Stdout, cmd.Stderr = tty, tty
	require.NoError(t, cmd.Start())
	require.NoError(t, tty.Close())
	text, _ := io.ReadAll(terminal) // it ends with an error, when nobody has the other side
	cmd.Wait()
	return strings.ReplaceAll(string(text), "\r\n", "\n"), cmd.ProcessState.ExitCode()
}

func TestStatusFitsTheTerminal(t *testing.T) {
	t.Parallel()
	lb1, lb2 := haproxytest.Start(t, twoServers), haproxytest.Start(t, twoServers)
	set(t, lb2, "web/web02", "drain")
	args := []string{"status", lb1.Unix.String(), lb2.Unix.String()}
	for _, width := range []int{40, 80, 200} {
		text, code := onTerminal(t, width, []string{"NO_COLOR=1"}, args...)
		require.Equal(t, 2, code)
		require.NotContains(t, text, "\x1b")
		for line := range strings.Lines(text) {
			require.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")), width, text)
		}
		require.Contains(t, text, "! web/web02")
		require.Contains(t, text, "no check ready")
		require.Contains(t, text, "DRAIN")
	}
}

func TestColourOnATerminalUnlessItIsNotWanted(t *testing.T) {
	t.Parallel()
	lb1, lb2 := haproxytest.Start(t, twoServers), haproxytest.Start(t, twoServers)
	set(t, lb2, "web/web02", "drain")
	args := []string{"status", lb1.Unix.String(), lb2.Unix.String()}
	text, _ := onTerminal(t, 200, nil, args...)
	require.Contains(t, text, "\x1b[33m! web/web02\x1b[0m")
	for _, env := range []string{"NO_COLOR=1", "TERM=dumb", "TERM="} {
		text, _ := onTerminal(t, 200, []string{env}, args...)
		require.Contains(t, text, "! web/web02")
		require.NotContains(t, text, "\x1b", env)
	}
}

func TestDrainShowsProgressWhereItCanBeWrittenOver(t *testing.T) {
	t.Parallel()
	lb := haproxytest.Start(t, strings.Replace(twoServers, "weight 50", "weight 0", 1))
	args := []string{"ready", "--wait", "--timeout=700ms", "-m", lb.Unix.String(), "web/web02"}
	text, code := onTerminal(t, 200, nil, args...)
	require.Equal(t, 2, code, text)
	require.Contains(t, text, "\r\x1b[K")
	text, code = onTerminal(t, 200, []string{"TERM=dumb"}, args...)
	require.Equal(t, 2, code, text)
	require.NotContains(t, text, "\x1b", "a dumb terminal cannot clear a line")
}

func TestWaitShowsProgressOnATerminal(t *testing.T) {
	t.Parallel()
	lb := haproxytest.Start(t, twoServers)
	text, code := onTerminal(t, 60, nil, "wait", "--interval=5ms", "web.up == 2", lb.Unix.String())
	require.Equal(t, 0, code, text)
	require.Contains(t, text, "held once of 3")
	require.Contains(t, text, "\r\x1b[K")
	last := text[strings.LastIndex(text, "\x1b[K"):]
	require.Contains(t, last, "holds 3 times on 1 member", "the progress is gone in the end")
	text, _ = onTerminal(t, 60, []string{"TERM=dumb"}, "wait", "--interval=5ms", "web.up == 2", lb.Unix.String())
	require.NotContains(t, text, "\x1b", "a dumb terminal cannot clear a line")
}
