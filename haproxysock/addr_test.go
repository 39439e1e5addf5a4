package haproxysock_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
)

func TestParseAddr(t *testing.T) {
	long := "/" + strings.Repeat("x", 106)
	for _, test := range []struct {
		in, network, address, text string
	}{
		{"unix:///run/haproxy/admin.sock", "unix", "/run/haproxy/admin.sock", "unix:///run/haproxy/admin.sock"},
		{"unix://admin.sock", "unix", "admin.sock", "unix://admin.sock"},
		{"unix@/run/a.sock", "unix", "/run/a.sock", "unix:///run/a.sock"},
		{"unix@a.sock", "unix", "a.sock", "unix://a.sock"},
		{"/run/a.sock", "unix", "/run/a.sock", "unix:///run/a.sock"},
		{"./a.sock", "unix", "./a.sock", "unix://./a.sock"},
		{"../a.sock", "unix", "../a.sock", "unix://../a.sock"},
		{"/run/a b@c:1.sock", "unix", "/run/a b@c:1.sock", "unix:///run/a b@c:1.sock"},
		{"/run/a://b", "unix", "/run/a://b", "unix:///run/a://b"},
		{"unix@/run/a://b", "unix", "/run/a://b", "unix:///run/a://b"},
		{long, "unix", long, "unix://" + long},
		{"abns@name", "unix", "@name" + strings.Repeat("\x00", 103), "abns@name"},
		{"abnsz@name", "unix", "@name", "abnsz@name"},
		{"tcp://localhost:8800", "tcp", "localhost:8800", "tcp://localhost:8800"},
		{"tcp://localhost:8800/", "tcp", "localhost:8800", "tcp://localhost:8800"},
		{"localhost:8800", "tcp", "localhost:8800", "tcp://localhost:8800"},
		{"lb-1.example_x.net:08800", "tcp", "lb-1.example_x.net:8800", "tcp://lb-1.example_x.net:8800"},
		{"127.0.0.1:8800", "tcp", "127.0.0.1:8800", "tcp://127.0.0.1:8800"},
		{"[::1]:8800", "tcp", "[::1]:8800", "tcp://[::1]:8800"},
		{"::1:8800", "tcp", "[::1]:8800", "tcp://[::1]:8800"},
		{"tcp://[fe80::1%eth0]:8800", "tcp", "[fe80::1%eth0]:8800", "tcp://[fe80::1%eth0]:8800"},
		{"ipv4@127.0.0.1:8800", "tcp", "127.0.0.1:8800", "tcp://127.0.0.1:8800"},
		{"ipv4@localhost:8800", "tcp4", "localhost:8800", "ipv4@localhost:8800"},
		{"ipv6@::1:8800", "tcp", "[::1]:8800", "tcp://[::1]:8800"},
		{"ipv6@[::1]:8800", "tcp", "[::1]:8800", "tcp://[::1]:8800"},
		{"ipv6@localhost:8800", "tcp6", "localhost:8800", "ipv6@localhost:8800"},
	} {
		t.Run(test.in, func(t *testing.T) {
			a, err := haproxysock.ParseAddr(test.in)
			require.NoError(t, err)
			require.Equal(t, test.network, a.Network)
			require.Equal(t, test.address, a.Address)
			require.Equal(t, test.text, a.String())
			require.False(t, a.Master)

			m, err := haproxysock.ParseAddr("master+" + test.in)
			require.NoError(t, err)
			require.True(t, m.Master)
			require.Equal(t, test.network+test.address, m.Network+m.Address)
			require.Equal(t, "master+"+test.text, m.String())
		})
	}
}

func TestParseAddrRefuses(t *testing.T) {
	const forms = ", want unix:///path, tcp://host:port, a path, host:port, HAProxy's unix@, ipv4@, ipv6@ or abns@, or master+ before one of these"
	long := "/" + strings.Repeat("x", 107)
	for in, want := range map[string]string{
		"":                    `address "": it has no port` + forms,
		"admin.sock":          `address "admin.sock": it has no port` + forms,
		"http://lb1:80":       `address "http://lb1:80": scheme "http://" is not known` + forms,
		"http://me@lb1:80":    `address "http://me@lb1:80": scheme "http://" is not known` + forms,
		"master+":             `address "master+": it has no port` + forms,
		"master+master+/x":    `address "master+master+/x": it has no port` + forms,
		"unix://":             `address "unix://": the path is empty` + forms,
		"unix@":               `address "unix@": the path is empty` + forms,
		"unix@@name":          `address "unix@@name": the path begins with '@'; for an abstract socket, want abns@name`,
		"/run/a\x00b":         `address "/run/a\x00b": the path has a NUL in it; for an abstract socket, want abns@name`,
		long:                  `address "` + long + `": the path has 108 bytes, a unix socket's at most 107`,
		"abns@":               `address "abns@": abstract name "": want 1 to 107 bytes, none of them NUL`,
		"abnsz@a\x00":         `address "abnsz@a\x00": abstract name "a\x00": want 1 to 107 bytes, none of them NUL`,
		"fd@3":                `address "fd@3": fd@ is for HAProxy's own side and cannot be connected to`,
		"sockpair@4":          `address "sockpair@4": sockpair@ is for HAProxy's own side and cannot be connected to`,
		"udp4@127.0.0.1:8800": `address "udp4@127.0.0.1:8800": family "udp4@" is not known` + forms,
		"@name":               `address "@name": family "@" is not known` + forms,
		"tcp://lb1":           `address "tcp://lb1": it has no port` + forms,
		"tcp://lb1:8800/x":    `address "tcp://lb1:8800/x": port "8800/x": want 1 to 65535`,
		"lb1:":                `address "lb1:": port "": want 1 to 65535`,
		"lb1:http":            `address "lb1:http": port "http": want 1 to 65535`,
		"lb1:0":               `address "lb1:0": port "0": want 1 to 65535`,
		"lb1:65536":           `address "lb1:65536": port "65536": want 1 to 65535`,
		"lb1:+80":             `address "lb1:+80": port "+80": want 1 to 65535`,
		":8800":               `address ":8800": host "" is where HAProxy listens, want the one to connect to, such as 127.0.0.1:8800`,
		"*:8800":              `address "*:8800": host "*" is where HAProxy listens, want the one to connect to, such as 127.0.0.1:8800`,
		"lb 1:8800":           `address "lb 1:8800": host "lb 1": want a name or an IP address`,
		"a/b:8800":            `address "a/b:8800": host "a/b": want a name or an IP address`,
		"a:b:8800":            `address "a:b:8800": "a:b:8800" is not host:port` + forms,
		"ipv4@[::1]:8800":     `address "ipv4@[::1]:8800": ::1 is not an ipv4 address`,
		"ipv6@127.0.0.1:8800": `address "ipv6@127.0.0.1:8800": 127.0.0.1 is not an ipv6 address`,
	} {
		t.Run(in, func(t *testing.T) {
			a, err := haproxysock.ParseAddr(in)
			require.EqualError(t, err, want)
			require.Zero(t, a)
		})
	}
}

func FuzzParseAddr(f *testing.F) {
	for _, s := range []string{
		"unix:///run/a.sock", "/run/a", "./a", "tcp://lb1:8800", "ipv4@lb1:1", "ipv6@::1:80", "[::1]:80", "abns@x", "abnsz@x",
		"master+unix@/m", "tcp://[a://b]:80", "::ffff:1.2.3.4:80", "1:2:3",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := haproxysock.ParseAddr(s)
		if err != nil {
			require.Zero(t, a)
			return
		}
		again, err := haproxysock.ParseAddr(a.String())
		require.NoError(t, err)
		require.Equal(t, a, again)
		require.NotEmpty(t, a.Address)
	})
}
