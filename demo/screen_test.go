package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWrap(t *testing.T) {
	require.Equal(t, "one two\nthree\nfourteen\n–– x", wrap("one two  three fourteen –– x", 7))
	require.Empty(t, wrap(" ", 7))
	for line := range strings.Lines(wrap(strings.Repeat("word ", 50), 20)) {
		require.LessOrEqual(t, len(strings.TrimSpace(line)), 20)
	}
}

func TestColourOnlyOnTerminals(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	require.NoError(t, err)
	defer f.Close()
	require.False(t, wantsColour(f))
	require.Equal(t, "UP", (&screen{}).paint(green, "UP"))
	require.Equal(t, "\x1b[32mUP\x1b[0m", (&screen{colour: true}).paint(green, "UP"))
}

func TestSupervisordSays(t *testing.T) {
	var failed error
	say := supervisordSays(func(err error) { failed = errors.Join(failed, err) })
	for line, want := range map[string]string{
		"2024-01-01 10:00:00,123 INFO spawned: 'web1' with pid 42":                                                                 "spawned: 'web1' with pid 42",
		"2024-01-01 10:00:00,123 INFO success: web1 entered RUNNING state, process has stayed up for > than 1 seconds (startsecs)": "success: web1 entered RUNNING state",
		"2024-01-01 10:00:00,123 CRIT Server 'unix_http_server' running without any HTTP authentication checking":                  "",
		"2024-01-01 10:00:00,123 WARN exited: web3 (terminated by SIGKILL; not expected)":                                          "exited: web3 (terminated by SIGKILL; not expected)",
		"Error: something else": "",
	} {
		got, _ := say(line)
		require.Equal(t, want, got)
	}
	require.NoError(t, failed)
	say("2024-01-01 10:00:00,123 WARN exited: haproxy (exit status 80; not expected)")
	require.EqualError(t, failed, "supervisord: exited: haproxy (exit status 80; not expected)")
}

func TestListenerSays(t *testing.T) {
	say := listenerSays([]*lb{{name: "lb1", admin: "/tmp/x/lb1.sock"}})
	for _, tt := range []struct{ line, text, member string }{
		{`time=2024-01-01T10:00:00.000+01:00 level=INFO msg="server set" server=app/web1 state=drain took=1ms member=unix:///tmp/x/lb1.sock`,
			"server set: app/web1 drain", "lb1"},
		{`time=2024-01-01T10:00:00.000+01:00 level=WARN msg=away err="/tmp/x/lb1.sock: \"a=b c\" unanswered"`,
			`WARN away: lb1: "a=b c" unanswered`, ""},
		{`level=ERROR msg="not known" program=web:web1`, "ERROR not known: web:web1", ""},
		{`level=DEBUG msg=traffic`, "", ""},
		{"panic: no", "panic: no", ""},
		{"", "", ""},
	} {
		text, member := say(tt.line)
		require.Equal(t, tt.text, text)
		require.Equal(t, tt.member, member)
	}
}

func TestTail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	var out bytes.Buffer
	scr := &screen{out: &out}
	tl := &tail{who: "x", path: path, say: func(line string) (text, member string) {
		text, member, _ = strings.Cut(line, "@")
		return text, member
	}}
	tl.print(scr) // not there yet
	defer tl.close()

	f, err := os.Create(path)
	require.NoError(t, err)
	defer f.Close()
	for _, piece := range []string{"one\ntw", "o\n", "two\ntwo\n", "\nset@lb2\nother\nset@lb1\nset@lb2\n"} {
		f.WriteString(piece)
		tl.print(scr)
	}
	var said []string
	for line := range strings.Lines(out.String()) {
		_, text, _ := strings.Cut(line, "x             ")
		said = append(said, strings.TrimSpace(text))
	}
	require.Equal(t, []string{"one", "two", "set on lb1, lb2", "other"}, said)
}
