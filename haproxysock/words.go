package haproxysock

import (
	"fmt"
	"strings"
)

// A ServerName is a server of a backend, as HAProxy writes it: backend/server.
type ServerName struct {
	Backend string
	Server  string
}

// String gives backend/server.
func (n ServerName) String() string { return n.Backend + "/" + n.Server }

// MarshalText gives backend/server, for JSON.
func (n ServerName) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// UnmarshalText is [ParseServerName], for JSON.
func (n *ServerName) UnmarshalText(text []byte) (err error) {
	*n, err = ParseServerName(string(text))
	return err
}

// ParseServerName reads backend/server. Both names hold only what HAProxy allows
// in names (A-Z a-z 0-9 . _ : -), so they cannot end or split a command.
func ParseServerName(s string) (ServerName, error) {
	backend, server, _ := strings.Cut(s, "/")
	n := ServerName{Backend: backend, Server: server}
	if err := n.Validate(); err != nil {
		return ServerName{}, fmt.Errorf("server name %q: %w", s, err)
	}
	return n, nil
}

// Validate says what is wrong with a name that no HAProxy can have.
func (n ServerName) Validate() error {
	if n.Backend == "" || n.Server == "" {
		return fmt.Errorf("want backend/server")
	}
	if err := checkName(n.Backend); err != nil {
		return err
	}
	return checkName(n.Server)
}

// checkName holds a name to HAProxy's alphabet of names.
//
// HAProxy Configuration Manual, 4 "Proxies": "A-Z", "a-z", "0-9", '-', '_', '.', ':'.
func checkName(name string) error {
	for _, c := range name {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.ContainsRune("._:-", c):
		default:
			return fmt.Errorf("%q cannot be in a name of HAProxy's, want only A-Z a-z 0-9 . _ : -", c)
		}
	}
	if name == "" {
		return fmt.Errorf("a name is empty")
	}
	return nil
}

// An AdminState is what people and programs ask of a server.
//
// Management Guide, 9.3 "set server <b>/<s> state".
type AdminState string

const (
	// Ready takes requests as far as health allows.
	Ready AdminState = "ready"
	// Drain takes no new ones, but what persistence ("cookie", "stick", "use-server") sends it.
	Drain AdminState = "drain"
	// Maint takes none at all, and is not checked.
	Maint AdminState = "maint"
)

// ParseAdminState reads one of ready, drain and maint.
func ParseAdminState(s string) (AdminState, error) {
	switch a := AdminState(s); a {
	case Ready, Drain, Maint:
		return a, nil
	}
	return "", fmt.Errorf("state %q: want ready, drain or maint", s)
}

// Tighter reports whether a keeps more requests away than b does.
func (a AdminState) Tighter(b AdminState) bool { return a.rank() > b.rank() }

func (a AdminState) rank() int {
	switch a {
	case Ready:
		return 1
	case Drain:
		return 2
	case Maint:
		return 3
	}
	return 0
}

// A Health is what "set server <b>/<s> health" takes.
type Health string

const (
	HealthUp       Health = "up"       // as if checks had passed
	HealthStopping Health = "stopping" // NOLB: only what persistence sends
	HealthDown     Health = "down"     // as if checks had failed
)
