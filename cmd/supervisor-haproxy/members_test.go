package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/supervisor-haproxy/supervisor-haproxy/cluster"
	"github.com/supervisor-haproxy/supervisor-haproxy/haproxypage"
	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
)

// Every spelling of a member, by what it is and how it is shown.
func TestParseMembers(t *testing.T) {
	for _, c := range []struct {
		url, want string
		kind      any
	}{
		{"/run/haproxy/admin.sock", "unix:///run/haproxy/admin.sock", &haproxysock.Client{}},
		{"unix:///run/stats.csv", "unix:///run/stats.csv", &haproxysock.Client{}},
		{"localhost:8800", "tcp://localhost:8800", &haproxysock.Client{}},
		{"tcp://localhost:8800", "tcp://localhost:8800", &haproxysock.Client{}},
		{"ipv4@127.0.0.1:8800", "tcp://127.0.0.1:8800", &haproxysock.Client{}},
		{"abns@haproxy", "abns@haproxy", &haproxysock.Client{}},
		{"master+unix:///run/master.sock", "master+unix:///run/master.sock", &haproxysock.Client{}},
		{"http://lb1/stats", "http://lb1/stats", &haproxypage.Page{}},
		{"HTTPS://ops:secret@lb1/;csv", "https://ops:xxxxx@lb1/;csv", &haproxypage.Page{}},
		{"http://lb1/stats.csv", "http://lb1/stats.csv", &haproxypage.Page{}},
		{"lb1.csv", "lb1.csv", cluster.File{}},
		{"./saved/LB1.CSV", "./saved/LB1.CSV", cluster.File{}},
		{"file:///saved/lb1", "/saved/lb1", cluster.File{}},
		{"file:///saved/lb%201.csv", "/saved/lb 1.csv", cluster.File{}},
	} {
		all, err := parseMembers([]string{c.url}, memberOptions{})
		require.NoError(t, err, c.url)
		require.Len(t, all, 1)
		require.Equal(t, c.want, all[0].String())
		require.IsType(t, c.kind, all[0].Source, c.url)
		_, file := all[0].Source.(cluster.File)
		require.Equal(t, file, all[0].told == nil, "only files cannot be told")
	}
}

// What is wrong is quoted without a password, and the wanted form shown.
func TestParseMembersRefuses(t *testing.T) {
	for _, c := range []struct {
		name, want string
		urls       []string
	}{
		{"none", "no HAProxy is named, want --member URL", nil},
		{"twice", `address "unix:///run/a.sock" is there twice`, []string{"/run/a.sock", "unix:///run/a.sock"}},
		{"a page twice", `address "http://lb1/" is there twice`, []string{"http://lb1", "http://lb1/"}},
		{"a file twice", `address "/x.csv" is there twice`, []string{"/x.csv", "file:///x.csv"}},
		{"stdin", `address "-": it has no port, want unix:///path`, []string{"-"}},
		{"no port", `or http://host/path of a statistics page, or a saved file.csv`, []string{"lb1"}},
		{"scheme", `scheme "ftp://" is not known`, []string{"ftp://lb1"}},
		{"scheme with a password", `address "ftp://ops:xxxxx@lb1": want unix:///path`, []string{"ftp://ops:cret@lb1"}},
		{"password without a scheme", `address "ops:xxxxx@lb1/stats": want unix:///path`, []string{"ops:cret@lb1/stats"}},
		{"a page's password", `"@" and "%" in user and password are written %2F`, []string{"http://ops:se/cret@lb1/stats"}},
		{"a file elsewhere", `want file:///path/x.csv`, []string{"file://lb1/x.csv"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := parseMembers(c.urls, memberOptions{})
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "cret")
		})
	}
}

func TestReadPassword(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	for text, want := range map[string]string{"secret": "secret", "secret\n": "secret", "s e,c@r/et\r\nmore\n": "s e,c@r/et"} {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		got, err := readPassword(file)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	require.NoError(t, os.WriteFile(file, []byte("\n"), 0o600))
	_, err := readPassword(file)
	require.ErrorContains(t, err, "its first line is empty")
	require.NoError(t, os.Chmod(file, 0o604))
	_, err = readPassword(file)
	require.ErrorContains(t, err, "everybody may read it")
	_, err = readPassword(file + "s")
	require.ErrorIs(t, err, os.ErrNotExist)
}
