package haproxysock_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
)

func TestParseServerName(t *testing.T) {
	for _, s := range []string{"web/web01", "1/2", "a.b_c:d-e/A.B_C:D-E", "be/" + strings.Repeat("x", 300)} {
		n, err := haproxysock.ParseServerName(s)
		require.NoError(t, err)
		require.Equal(t, s, n.String())
		require.NoError(t, n.Validate())
	}
	n, err := haproxysock.ParseServerName("web/web01")
	require.NoError(t, err)
	require.Equal(t, haproxysock.ServerName{Backend: "web", Server: "web01"}, n)
}

func TestServerNameInJSON(t *testing.T) {
	text, err := json.Marshal(map[haproxysock.ServerName]haproxysock.ServerName{web01: web01})
	require.NoError(t, err)
	require.Equal(t, `{"web/web01":"web/web01"}`, string(text))
	var back map[haproxysock.ServerName]haproxysock.ServerName
	require.NoError(t, json.Unmarshal(text, &back))
	require.Equal(t, map[haproxysock.ServerName]haproxysock.ServerName{web01: web01}, back)
	require.ErrorContains(t, json.Unmarshal([]byte(`{"web/web01":"web/web01;x"}`), &back), "cannot be in a name")
}

// badNames could end a command, split it, or be about another server.
var badNames = map[string]string{
	"":                             `server name "": want backend/server`,
	"web":                          `server name "web": want backend/server`,
	"web/":                         `server name "web/": want backend/server`,
	"/web01":                       `server name "/web01": want backend/server`,
	"web/a/b":                      `server name "web/a/b": '/' cannot be in a name of HAProxy's, want only A-Z a-z 0-9 . _ : -`,
	"web/web01 state ready":        `server name "web/web01 state ready": ' ' cannot be in a name of HAProxy's, want only A-Z a-z 0-9 . _ : -`,
	"web/web01\tstate":             `server name "web/web01\tstate": '\t' cannot be in a name of HAProxy's, want only A-Z a-z 0-9 . _ : -`,
	"web/web01;disable server a/b": `server name "web/web01;disable server a/b": ';' cannot be in a name of HAProxy's, want only A-Z a-z 0-9 . _ : -`,
	"web;x/web01":                  `server name "web;x/web01": ';' cannot be in a name of HAProxy's, want only A-Z a-z 0-9 . _ : -`,
	"web/web01\nshow env":          `server name "web/web01\nshow env": '\n' cannot be in a name of HAProxy's, want only A-Z a-z 0-9 . _ : -`,
	"web/web01\r":                  `server name "web/web01\r": '\r' cannot be in a name of HAProxy's, want only A-Z a-z 0-9 . _ : -`,
	"web/web01\x00":                `server name "web/web01\x00": '\x00' cannot be in a name of HAProxy's, want only A-Z a-z 0-9 . _ : -`,
	`web/web\`:                     `server name "web/web\\": '\\' cannot be in a name of HAProxy's, want only A-Z a-z 0-9 . _ : -`,
	"web/#1":                       `server name "web/#1": '#' cannot be in a name of HAProxy's, want only A-Z a-z 0-9 . _ : -`,
	"web/<<":                       `server name "web/<<": '<' cannot be in a name of HAProxy's, want only A-Z a-z 0-9 . _ : -`,
	"web/a,b":                      `server name "web/a,b": ',' cannot be in a name of HAProxy's, want only A-Z a-z 0-9 . _ : -`,
	"web/wéb":                      `server name "web/wéb": 'é' cannot be in a name of HAProxy's, want only A-Z a-z 0-9 . _ : -`,
	"web/\xff":                     `server name "web/\xff": '�' cannot be in a name of HAProxy's, want only A-Z a-z 0-9 . _ : -`,
}

func TestParseServerNameRefuses(t *testing.T) {
	for in, want := range badNames {
		n, err := haproxysock.ParseServerName(in)
		require.EqualError(t, err, want)
		require.Zero(t, n)
	}
}

func TestAdminStates(t *testing.T) {
	order := []haproxysock.AdminState{haproxysock.Ready, haproxysock.Drain, haproxysock.Maint}
	for i, a := range order {
		parsed, err := haproxysock.ParseAdminState(string(a))
		require.NoError(t, err)
		require.Equal(t, a, parsed)
		for j, b := range order {
			require.Equal(t, i > j, a.Tighter(b), "%s than %s", a, b)
		}
	}
	for _, bad := range []string{"", "READY", "ready;", "up"} {
		_, err := haproxysock.ParseAdminState(bad)
		require.ErrorContains(t, err, "want ready, drain or maint")
	}
}

func TestAdminBits(t *testing.T) {
	for _, test := range []struct {
		bits                     haproxysock.AdminBits
		maint, draining, rotates bool
		asked                    haproxysock.AdminState
		text                     string
	}{
		{0, false, false, true, haproxysock.Ready, "ready"},
		{0x01, true, false, false, haproxysock.Maint, "maint"},
		{0x02, true, false, false, haproxysock.Ready, "maint by tracking"},
		{0x04, false, false, true, haproxysock.Ready, "disabled in the configuration"},
		{0x08, false, true, false, haproxysock.Drain, "drain"},
		{0x10, false, true, false, haproxysock.Ready, "drain by tracking"},
		{0x20, true, false, false, haproxysock.Ready, "maint by resolution"},
		{0x40, false, false, true, haproxysock.Ready, "hostname changed"},
		{0x80, false, false, true, haproxysock.Ready, "0x80"},
		{0x05, true, false, false, haproxysock.Maint, "maint, disabled in the configuration"},
		{0x28, true, false, false, haproxysock.Drain, "drain, maint by resolution"},
		{0x1ff, true, false, false, haproxysock.Maint, "maint, maint by tracking, disabled in the configuration, drain, drain by tracking, maint by resolution, hostname changed, 0x180"},
	} {
		t.Run(test.text, func(t *testing.T) {
			require.Equal(t, test.maint, test.bits.InMaint())
			require.Equal(t, test.draining, test.bits.Draining())
			require.Equal(t, test.rotates, test.bits.InRotation())
			require.Equal(t, test.asked, test.bits.Asked())
			require.Equal(t, test.text, test.bits.String())
		})
	}
	for bits := range haproxysock.AdminBits(0x80) { // the masks of server-t.h
		require.Equal(t, bits&0x23 != 0, bits.InMaint())
		require.Equal(t, bits&0x3b == 0, bits.InRotation())
		require.Equal(t, bits&0x18 != 0 && bits&0x23 == 0, bits.Draining())
	}
}

func TestCheckBits(t *testing.T) {
	for bits, enabled := range map[haproxysock.CheckBits]bool{
		0: false, 2: false, 4: false, 6: true, 7: true, 8: false, 14: true, 18: false, 22: true,
	} {
		require.Equal(t, enabled, bits.Enabled(), "%d", bits)
	}
}

func TestStatusWords(t *testing.T) {
	for status, want := range map[haproxysock.Status]struct {
		word string
		up   bool
	}{
		"UP": {"UP", true}, "UP 1/3": {"UP", true}, "UP -1/3": {"UP", true}, "no check": {"no check", true},
		"DOWN": {"DOWN", false}, "DOWN 1/2": {"DOWN", false}, "DOWN (agent)": {"DOWN", false},
		"NOLB": {"NOLB", false}, "NOLB 1/3": {"NOLB", false},
		"DRAIN": {"DRAIN", false}, "DRAIN 1/3": {"DRAIN", false}, "DRAIN (agent)": {"DRAIN", false},
		"MAINT": {"MAINT", false}, "MAINT (via web/web01)": {"MAINT", false}, "MAINT (resolution)": {"MAINT", false},
		"OPEN": {"OPEN", false}, "": {"", false}, "UPPER": {"UPPER", false},
	} {
		require.Equal(t, want.word, status.Word())
		require.Equal(t, want.up, status.Up(), "%s", status)
	}
}
