package haproxypage_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxypage"
)

// A page's URL is shown without the password, and nothing else of it is changed.
func TestString(t *testing.T) {
	for _, c := range []struct{ address, want string }{
		{"http://lb1/stats", "http://lb1/stats"},
		{"http://lb1", "http://lb1/"},
		{"https://lb1:8404/haproxy?stats", "https://lb1:8404/haproxy?stats"},
		{"HTTP://lb1/stats;norefresh;csv", "http://lb1/stats;norefresh;csv"},
		{"http://lb1/stats#web/web01", "http://lb1/stats"},
		{"http://ops@lb1/stats", "http://ops@lb1/stats"},
		{"http://ops:secret@lb1/stats", "http://ops:xxxxx@lb1/stats"},
		{"http://ops:se%2Fcret%40@lb1/stats", "http://ops:xxxxx@lb1/stats"},
		{"http://[::1]:8404/", "http://[::1]:8404/"},
	} {
		p, err := haproxypage.New(c.address)
		require.NoError(t, err, c.address)
		require.Equal(t, c.want, p.String(), c.address)
	}
}

// A URL that is wrong is told, without a password that it may hold.
func TestNewRefuses(t *testing.T) {
	for _, c := range []struct{ name, address, want string }{
		{"no scheme", "lb1/stats", `address "lb1/stats": scheme "" is not known, want http://host/path`},
		{"scheme", "ftp://lb1/stats", `scheme "ftp" is not known`},
		{"no host", "http:///stats", "it has no host"},
		{"only a port", "http://:8404/stats", "it has no host"},
		{"port", "http://lb1:none/stats", `address "http://lb1:xxxxx": its port is no number`},
		{"JSON", "http://lb1/stats;json", "want it without ;json"},
		{"password with a slash", "http://ops:se/cret@lb1/stats", `address "http://ops:xxxxx@lb1/stats": it is no URL`},
		{"digits and a slash", "http://ops:12/cret@lb1/stats", `there is an "@" behind the host`},
		{"password with a question mark", "http://ops:12?cret@lb1/stats", `there is an "@" behind the host`},
		{"password with a number sign", "http://ops:12#cret@lb1/stats", `there is an "@" behind the host`},
		{"password with a percent sign", "http://ops:%cret@lb1/stats", "it is no URL"},
		{"wrong scheme, with a password", "ftp://ops:cret@lb1/stats", `address "ftp://ops:xxxxx@lb1/stats"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := haproxypage.New(c.address)
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "cret")
		})
	}
}

// A password from elsewhere is for a user whom the URL names without one.
func TestSetPassword(t *testing.T) {
	for address, want := range map[string]bool{
		"http://lb1/stats": false, "http://ops@lb1/stats": true, "http://ops:own@lb1/stats": false,
	} {
		p, err := haproxypage.New(address)
		require.NoError(t, err)
		require.Equal(t, want, p.SetPassword("secret"), address)
		require.NotContains(t, p.String(), "secret")
	}
}
