package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSupervisordConfig(t *testing.T) {
	text := supervisordConfig("/tmp/x", true, 2*time.Second)
	require.Contains(t, text, "\nuser=root\n")
	require.Contains(t, text, "\ncommand=/tmp/x/supervisor-haproxy listen --member unix:///tmp/x/lb1.sock --member unix:///tmp/x/lb2.sock"+
		" web1:app/web1 web2:app/web2 web3:app/web3 web4:app/web4\n")
	require.Contains(t, text, "-name web2 -socket /tmp/x/web2.sock -delay 2s ")
	require.Contains(t, text, "-name web3 -socket /tmp/x/web3.sock -delay 0s ")
	require.NotContains(t, supervisordConfig("/tmp/x", false, 0), "user=")
}

func TestHaproxyConfig(t *testing.T) {
	text := haproxyConfig("/tmp/x", "lb2")
	require.Contains(t, text, "stats socket unix@/tmp/x/lb2.sock mode 600 level admin\n")
	require.Equal(t, len(servers), strings.Count(text, "\n    server "))
}

func TestMakeDirIsShort(t *testing.T) {
	for _, base := range []string{"/tmp/" + strings.Repeat("long", 30), "/tmp/with space", "relative"} {
		t.Setenv("TMPDIR", base)
		dir, err := makeDir()
		require.NoError(t, err)
		t.Cleanup(func() { os.RemoveAll(dir) })
		require.True(t, strings.HasPrefix(dir, "/tmp/sv-demo-"), dir)
	}
}

func TestFindToolNamesThePackage(t *testing.T) {
	_, err := findTool("no-such-haproxy", "haproxy")
	require.EqualError(t, err, "no-such-haproxy: not installed; `make demo` installs it, and so does `apt-get install haproxy`")
}

func TestWithoutSupervisor(t *testing.T) {
	env := []string{"PATH=/bin", "SUPERVISOR_SERVER_URL=http://x", "SUPERVISOR_HAPROXY_MEMBERS=y", "HOME=/"}
	require.Equal(t, []string{"PATH=/bin", "HOME=/"}, withoutSupervisor(env))
	require.Len(t, env, 4)
}
