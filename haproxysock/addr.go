package haproxysock

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// maxPath is the longest path that fits a sockaddr_un with its final NUL, on
// Linux.
const maxPath = 107

// An Addr is where an admin socket is reached.
type Addr struct {
	Network string // "unix", "tcp", "tcp4" or "tcp6", as for net.Dial
	Address string // a path, "@" and an abstract name, or host:port
	Master  bool   // the master CLI: commands go to its current worker
	text    string
}

// String gives the canonical spelling, such as tcp://127.0.0.1:8800,
// unix:///run/haproxy/admin.sock, abns@name or master+unix:///run/master.sock.
// [ParseAddr] makes the same Addr of it.
func (a Addr) String() string { return a.text }

// addrForms is what an error says is wanted.
const addrForms = "want unix:///path, tcp://host:port, a path, host:port, HAProxy's unix@, ipv4@, ipv6@ or abns@, or master+ before one of these"

// ParseAddr reads the address of an admin socket: unix:///path, tcp://host:port,
// a bare path that begins with "/" or ".", host:port, or one of HAProxy's own
// spellings (unix@path, ipv4@host:port, ipv6@host:port, abns@name, abnsz@name).
// "master+" before any of them says that it is a master CLI.
//
// HAProxy Configuration Manual, "bind" and "stats socket"; Management Guide 9.4.
func ParseAddr(s string) (Addr, error) {
	rest, master := strings.CutPrefix(s, "master+")
	a, err := parseAddr(rest)
	if err != nil {
		return Addr{}, fmt.Errorf("address %q: %w", s, err)
	}
	if master {
		a.Master = true
		a.text = "master+" + a.text
	}
	return a, nil
}

func parseAddr(s string) (Addr, error) {
	if strings.HasPrefix(s, "/") || strings.HasPrefix(s, "./") || strings.HasPrefix(s, "../") {
		return unixAddr(s)
	}
	if path, ok := strings.CutPrefix(s, "unix://"); ok {
		return unixAddr(path)
	}
	if rest, ok := strings.CutPrefix(s, "tcp://"); ok {
		return tcpAddr(strings.TrimSuffix(rest, "/"), "")
	}
	if family, rest, ok := strings.Cut(s, "@"); ok && !strings.Contains(family, "://") {
		switch family {
		case "unix":
			return unixAddr(rest)
		case "ipv4", "ipv6":
			return tcpAddr(rest, family)
		case "abns", "abnsz":
			return abstractAddr(family, rest)
		case "fd", "sockpair":
			return Addr{}, fmt.Errorf("%s@ is for HAProxy's own side and cannot be connected to", family)
		}
		return Addr{}, fmt.Errorf("family %q is not known, %s", family+"@", addrForms)
	}
	if scheme, _, ok := strings.Cut(s, "://"); ok {
		return Addr{}, fmt.Errorf("scheme %q is not known, %s", scheme+"://", addrForms)
	}
	return tcpAddr(s, "")
}

func unixAddr(path string) (Addr, error) {
	switch {
	case path == "":
		return Addr{}, fmt.Errorf("the path is empty, %s", addrForms)
	case len(path) > maxPath:
		return Addr{}, fmt.Errorf("the path has %d bytes, a unix socket's at most %d", len(path), maxPath)
	case strings.ContainsRune(path, 0):
		return Addr{}, fmt.Errorf("the path has a NUL in it; for an abstract socket, want abns@name")
	case path[0] == '@': // abstract to package net
		return Addr{}, fmt.Errorf("the path begins with '@'; for an abstract socket, want abns@name")
	}
	return Addr{Network: "unix", Address: path, text: "unix://" + path}, nil
}

// abstractAddr spells an abstract socket as HAProxy binds it: "abns@" fills the
// whole sun_path with NULs behind the name, "abnsz@" does not.
func abstractAddr(family, name string) (Addr, error) {
	if name == "" || len(name) > maxPath || strings.ContainsRune(name, 0) {
		return Addr{}, fmt.Errorf("abstract name %q: want 1 to %d bytes, none of them NUL", name, maxPath)
	}
	a := Addr{Network: "unix", Address: "@" + name, text: family + "@" + name}
	if family == "abns" {
		a.Address += strings.Repeat("\x00", maxPath-len(name))
	}
	return a, nil
}

func tcpAddr(s, family string) (Addr, error) {
	host, port, err := splitHostPort(s)
	if err != nil {
		return Addr{}, err
	}
	if host == "" || host == "*" {
		return Addr{}, fmt.Errorf("host %q is where HAProxy listens, want the one to connect to, such as 127.0.0.1:%s", host, port)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return Addr{}, fmt.Errorf("port %q: want 1 to 65535", port)
	}
	address := net.JoinHostPort(host, strconv.FormatUint(n, 10))
	a := Addr{Network: "tcp", Address: address, text: "tcp://" + address}
	if ip, err := netip.ParseAddr(host); err == nil {
		if (family == "ipv4" && !ip.Is4()) || (family == "ipv6" && !ip.Is6()) {
			return Addr{}, fmt.Errorf("%s is not an %s address", host, family)
		}
		return a, nil
	}
	if i := strings.IndexFunc(host, notInHostname); i >= 0 {
		return Addr{}, fmt.Errorf("host %q: want a name or an IP address", host)
	}
	if family != "" { // only of a name does it say more than the address
		a.Network = "tcp" + strings.TrimPrefix(family, "ipv")
		a.text = family + "@" + address
	}
	return a, nil
}

func notInHostname(r rune) bool {
	letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
	return !letter && !strings.ContainsRune("-._", r)
}

// splitHostPort is net.SplitHostPort, and takes HAProxy's "::1:8800" too: the
// last colon is the port's.
func splitHostPort(s string) (host, port string, err error) {
	if host, port, err = net.SplitHostPort(s); err == nil {
		return host, port, nil
	}
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return "", "", fmt.Errorf("it has no port, %s", addrForms)
	}
	if _, ipErr := netip.ParseAddr(s[:i]); ipErr != nil {
		return "", "", fmt.Errorf("%q is not host:port, %s", s, addrForms)
	}
	return s[:i], s[i+1:], nil
}

// longestLine is what every HAProxy can take in one line: tune.bufsize is 16 kB
// by default, and 2.6 hangs for ever when a command does not fit it.
const longestLine = 12 << 10

// maxLine is how long a line of several commands may get. Over TCP it has to arrive in one segment
// and over a unix socket in one read: HAProxy 2.6.12 loses a slot of its CLI for
// good when a line arrives in three pieces.
func (a Addr) maxLine() int {
	if a.Network == "unix" {
		return longestLine
	}
	return 1400
}
