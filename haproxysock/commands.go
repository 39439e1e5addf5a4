package haproxysock

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// SetServerState asks HAProxy to put srv into state and returns once HAProxy
// has said yes. That is not yet a proof (a tracked server, an agent or a missing
// address may hold it elsewhere), open sessions may still run, and no other
// member knows. After a *CommandError asking again is useless; after any other
// error the command may or may not have been heard, and asking again is harmless.
//
// Management Guide, 9.3, "set server <b>/<s> state".
func (c *Client) SetServerState(ctx context.Context, srv ServerName, state AdminState) error {
	if _, err := ParseAdminState(string(state)); err != nil {
		return err
	}
	return c.obeyAbout(ctx, srv, "set server", "state "+string(state))
}

// SetServerWeight sets the weight of srv, 0 to 256. A backend with a static
// algorithm takes only 0 % and 100 %: see [Client.SetServerWeightPercent].
//
// Management Guide, 9.3, "set server <b>/<s> weight".
func (c *Client) SetServerWeight(ctx context.Context, srv ServerName, weight int) error {
	if weight < 0 || weight > 256 {
		return fmt.Errorf("weight %d: want 0 to 256", weight)
	}
	return c.obeyAbout(ctx, srv, "set server", fmt.Sprintf("weight %d", weight))
}

// SetServerWeightPercent sets the weight of srv to a share of the configured
// one, 0 or more; HAProxy refuses what comes out above 256.
func (c *Client) SetServerWeightPercent(ctx context.Context, srv ServerName, percent int) error {
	if percent < 0 {
		return fmt.Errorf("weight %d%%: want 0%% or more", percent)
	}
	return c.obeyAbout(ctx, srv, "set server", fmt.Sprintf("weight %d%%", percent))
}

// SetServerHealth overrides what checks have found. With an active check,
// HealthDown lasts until "rise" checks have passed; without one, until HealthUp
// or until maintenance ends. It is heard but has no effect in maintenance.
//
// Management Guide, 9.3, "set server <b>/<s> health".
func (c *Client) SetServerHealth(ctx context.Context, srv ServerName, health Health) error {
	switch health {
	case HealthUp, HealthStopping, HealthDown:
		return c.obeyAbout(ctx, srv, "set server", "health "+string(health))
	}
	return fmt.Errorf("health %q: want up, stopping or down", health)
}

// SetServerAddr moves srv to another address and port (0 leaves the port), and
// reads back until it is there: HAProxy answers with a text either way.
//
// Management Guide, 9.3, "set server <b>/<s> addr".
func (c *Client) SetServerAddr(ctx context.Context, srv ServerName, ip netip.Addr, port int) error {
	if !ip.IsValid() || ip.Zone() != "" {
		return fmt.Errorf("address %q: want an IPv4 or IPv6 address without a zone", ip)
	}
	if port < 0 || port > 65535 { // HAProxy itself would take it modulo 65536
		return fmt.Errorf("port %d: want 1 to 65535, or 0 to leave it", port)
	}
	after := "addr " + ip.String()
	if port != 0 {
		after += fmt.Sprintf(" port %d", port)
	}
	command, err := about(srv, "set server", after)
	if err != nil {
		return err
	}
	there := false
	look := func(s *ServerState) error {
		at, err := netip.ParseAddr(s.Addr)
		there = there || s.Name == srv && err == nil && at == ip && (port == 0 || s.Port == port)
		return nil
	}
	var said string
	err = c.ask(ctx, []string{command, "show servers state " + srv.Backend}, func(a *answer) (err error) {
		if said, err = a.text(); err != nil {
			return err
		}
		return a.serverStates(look)
	})
	for wait := time.Millisecond; err == nil && !there && strings.Contains(said, "changed") && wait < moveTime; wait *= 2 {
		select {
		case <-ctx.Done():
			return c.unanswered(ctx, command, ctx.Err())
		case <-time.After(wait):
			err = c.ScanServerStates(ctx, srv.Backend, look)
		}
	}
	if err == nil && !there || errors.Is(err, ErrNoBackend) {
		return &CommandError{Addr: c.Addr.String(), Command: command, Reply: cutSeverity(said)}
	}
	return err
}

// moveTime is longer than HAProxy takes to move a server once it has said so:
// since 3.0 that is some time after.
const moveTime = 500 * time.Millisecond

// EnableHealth starts the health check of srv, which its configuration must have.
// Management Guide, 9.3, "enable health".
func (c *Client) EnableHealth(ctx context.Context, srv ServerName) error {
	return c.obeyAbout(ctx, srv, "enable health", "")
}

// DisableHealth stops the health check of srv: it counts as up from then on.
// Management Guide, 9.3, "disable health".
func (c *Client) DisableHealth(ctx context.Context, srv ServerName) error {
	return c.obeyAbout(ctx, srv, "disable health", "")
}

// EnableAgent starts the agent check of srv. Management Guide, 9.3, "enable agent".
func (c *Client) EnableAgent(ctx context.Context, srv ServerName) error {
	return c.obeyAbout(ctx, srv, "enable agent", "")
}

// DisableAgent stops the agent check of srv; what the agent has set stays.
// Management Guide, 9.3, "disable agent".
func (c *Client) DisableAgent(ctx context.Context, srv ServerName) error {
	return c.obeyAbout(ctx, srv, "disable agent", "")
}

// ShutdownSessions cuts all sessions of srv; requests in flight fail.
// Management Guide, 9.3, "shutdown sessions server".
func (c *Client) ShutdownSessions(ctx context.Context, srv ServerName) error {
	return c.obeyAbout(ctx, srv, "shutdown sessions server", "")
}

// DelServer removes srv, which must be in maintenance and without connections,
// idle ones included. It removes configured servers too.
// Management Guide, 9.3, "del server" (2.6; experimental in 2.4 and 2.5).
func (c *Client) DelServer(ctx context.Context, srv ServerName) error {
	return c.changeServers(ctx, srv, "del server", "", "Server deleted.")
}

// AddServer adds srv at address, with further words as in a "server" line. It
// starts in maintenance, and ignores "default-server". A check that is
// configured runs only after [Client.EnableHealth].
//
// On a backend that is "disabled" the command crashes HAProxy 3.4, so the
// backend is looked up first, over a connection of its own.
//
// Management Guide, 9.3, "add server" (2.6; experimental in 2.4 and 2.5).
func (c *Client) AddServer(ctx context.Context, srv ServerName, address netip.AddrPort, options ...string) error {
	if !address.IsValid() || address.Port() == 0 || address.Addr().Zone() != "" {
		return fmt.Errorf("server %s: address %q: want IP:port", srv, address)
	}
	if err := srv.Validate(); err != nil {
		return fmt.Errorf("server name %q: %w", srv, err)
	}
	for _, o := range options {
		if o == "" || strings.HasPrefix(o, "<<") || strings.ContainsFunc(o, breaksWord) {
			return fmt.Errorf("server %s: option %q: want one word without blanks, ';', '\\' or control characters", srv, o)
		}
	}
	if most := maxWords - len(strings.Fields("add server NAME ADDRESS")); len(options) > most {
		return fmt.Errorf("server %s: %d options: want at most %d", srv, len(options), most)
	}
	serves := false
	err := c.ScanStats(ctx, []StatFilter{{Proxy: srv.Backend, Kinds: Backends}}, []string{"type"}, func(*StatScanner) error {
		serves = true
		return nil
	})
	if err != nil {
		return err
	}
	if !serves {
		return fmt.Errorf("%s: backend %q is disabled and cannot be given servers: %w", c.Addr, srv.Backend, ErrDisabled)
	}
	after := strings.Join(append([]string{address.String()}, options...), " ")
	return c.changeServers(ctx, srv, "add server", after, "New server registered.")
}

// maxWords is how many words a command may have. Until 3.1 HAProxy drops the
// others without a word.
const maxWords = 64

// breaksWord tells what would end a word or a command inside of an option.
func breaksWord(r rune) bool { return r <= ' ' || r == ';' || r == '\\' || r == 0x7f }

// changeServers sends one command whose yes is the text done, alone on its
// connection, because old versions leave out the empty line behind the reply.
func (c *Client) changeServers(ctx context.Context, srv ServerName, before, after, done string) error {
	command, err := about(srv, before, after)
	if err != nil {
		return err
	}
	read := func(a *answer) error {
		reply, err := a.lastText()
		if err != nil {
			return err
		}
		last := reply[strings.LastIndexByte(reply, '\n')+1:] // warnings may stand above
		if cutSeverity(last) == done {
			return nil
		}
		return a.refused(strings.TrimLeft(reply, "\n"))
	}
	err = c.ask(ctx, []string{command}, read)
	if refusal := (*CommandError)(nil); errors.As(err, &refusal) && strings.Contains(refusal.Reply, "experimental mode") { // 2.4 and 2.5
		err = c.ask(ctx, []string{"experimental-mode on", command}, read)
	}
	return err
}

// Version is what "show version" says, such as 2.6.12-1+deb12u4. Before 2.6
// there is no such command, and "show info" is asked over a second connection.
func (c *Client) Version(ctx context.Context) (string, error) {
	version, err := c.do(ctx, "show version")
	if err == nil && strings.Contains(version, "\n") { // a usage text
		var info Info
		info, err = c.Info(ctx)
		version = info.Version
	}
	return version, err
}

// Level is what the socket lets us do: "user", "operator" or "admin"; only the
// last one can change a server. Management Guide, 9.3, "show cli level".
func (c *Client) Level(ctx context.Context) (string, error) {
	level, err := c.do(ctx, "show cli level")
	if err != nil {
		return "", err
	}
	switch level {
	case "user", "operator", "admin":
		return level, nil
	}
	return "", &ProtocolError{Addr: c.Addr.String(), Command: "show cli level", Got: firstLine(level), Want: "user, operator or admin"}
}
