package haproxypage

import (
	"context"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
)

// A Server is what the table says of a server, as far as putting it in and out of
// rotation goes.
type Server struct {
	haproxysock.Stat
	// Checked means that HAProxy's check runs; a server in maintenance does not
	// show whether it will.
	Checked bool
	Agent   bool // an agent has a say in the server's state; hidden in maintenance too
}

var serverColumns = []string{"pxname", "svname", "type", "sid", "status", "tracked", "scur", "qcur", "check_status", "agent_status"}

// Servers asks for the servers of a backend.
func (p *Page) Servers(ctx context.Context, backend string) ([]Server, error) {
	var all []Server
	filter := []haproxysock.StatFilter{{Proxy: backend, Kinds: haproxysock.Servers}}
	err := p.ScanStats(ctx, filter, serverColumns, func(s *haproxysock.StatScanner) error {
		id, _ := s.Int(3)
		current, ok := s.Int(6)
		queued, ok2 := s.Int(7)
		if !ok || !ok2 || !s.Has(4) { // else it would tell of a server without sessions
			return &haproxysock.ProtocolError{Addr: p.String(), Command: "GET", Got: s.Text(0) + "/" + s.Text(1), Want: "a server's row with status, scur and qcur"}
		}
		all = append(all, Server{
			Stat: haproxysock.Stat{
				Name:    haproxysock.ServerName{Backend: s.Text(0), Server: s.Text(1)},
				Kind:    haproxysock.Servers,
				ID:      int(id),
				Status:  haproxysock.Status(s.Text(4)),
				Tracked: s.Text(5),
				Current: int(current),
				Queued:  int(queued),
			},
			Checked: len(s.Bytes(8)) > 0,
			Agent:   len(s.Bytes(9)) > 0,
		})
		return nil
	})
	return all, err
}

// Server asks for one server. That there is none, or no such backend, is a
// *haproxysock.CommandError.
func (p *Page) Server(ctx context.Context, name haproxysock.ServerName) (Server, error) {
	all, err := p.Servers(ctx, name.Backend)
	if err != nil {
		return Server{}, err
	}
	for _, s := range all {
		if s.Name == name {
			return s, nil
		}
	}
	return Server{}, p.refused("server "+name.String(), "No such server.")
}

// SetServerState brings a server into state, and returns its row behind that. A
// server that HAProxy checks becomes ready through that check: drained, told that
// it is down, and made ready, so that only a good check lets requests in; in three
// requests, so that persistent clients may come in between the first two. A
// server that is ready already is left alone.
//
// HAProxy's yes and the row are all the proof there is: the row of a server that
// is down hides a drain.
func (p *Page) SetServerState(ctx context.Context, name haproxysock.ServerName, state haproxysock.AdminState) (Server, error) {
	if err := name.Validate(); err != nil {
		return Server{}, err
	}
	if _, err := haproxysock.ParseAdminState(string(state)); err != nil {
		return Server{}, err
	}
	act := func(actions ...Action) error {
		for _, action := range actions {
			if err := p.Act(ctx, name.Backend, []string{name.Server}, action); err != nil {
				return err
			}
		}
		return nil
	}
	s, err := p.Server(ctx, name) // a name that is missing is told better here than by ERRP
	if err != nil {
		return Server{}, err
	}
	switch {
	case state != haproxysock.Ready:
		err = act(Action(state))
	case s.Tracked != "" || s.Agent:
		err = act(Ready) // another server's check, or the agent, has the say
	case s.Status.Up():
	case s.Checked:
		err = act(Drain, HealthDown, Ready)
	case s.Status.Word() == "MAINT": // the row shows only now whether it is checked
		if err = act(Drain, HealthDown); err != nil {
			break
		}
		if s, err = p.Server(ctx, name); err != nil {
			break
		}
		if s.Checked && !s.Agent {
			err = act(Ready)
		} else {
			err = act(HealthUp, Ready)
		}
	default: // nothing would raise it if it was told to be down
		err = act(HealthUp, Ready)
	}
	if err != nil {
		return Server{}, err
	}
	return p.Server(ctx, name)
}
