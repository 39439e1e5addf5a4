package haproxysock

import (
	"context"
	"fmt"
)

// A Transition is a way to bring a server into an admin state.
type Transition int

const (
	// Look changes nothing.
	Look Transition = iota
	ToDrain
	ToMaint
	// ToReady takes effect at once, whether the server answers or not.
	ToReady
	// ToReadyWhenChecked puts a server that HAProxy checks back so that no
	// request reaches it before "rise" checks have passed: drain, health down,
	// ready, in one line. Other orders leak, because health is not heard in
	// maintenance, and because leaving maintenance makes a server UP at once.
	// It takes a server that is ready down first, and "health down" fires
	// "on-marked-down"; so it is only for one that is out, its old process gone.
	// Without a check it would leave the server down for good.
	ToReadyWhenChecked
	// ToReadyAndUp undoes a "health down" on a server that nothing checks.
	ToReadyAndUp
)

// words are what follows "set server <b>/<s>", command by command.
func (t Transition) words() []string {
	switch t {
	case ToDrain:
		return []string{"state drain"}
	case ToMaint:
		return []string{"state maint"}
	case ToReady:
		return []string{"state ready"}
	case ToReadyWhenChecked:
		return []string{"state drain", "health down", "state ready"}
	case ToReadyAndUp:
		return []string{"health up", "state ready"}
	}
	return nil
}

// A Change is one server and what is to be done with it.
type Change struct {
	Server ServerName
	ID     int // its number, from [ServerState] or [Stat]; 0 asks for the rows of all its backend
	To     Transition
}

// A Sight is a server's row read back behind its change, by the same process
// and before anything else that arrived on this connection.
type Sight struct {
	Stat  Stat
	Found bool  // false: no such server, ID is of another time, or its backend is disabled
	Err   error // a *CommandError: HAProxy refused the change, and the row tells how it is
}

// Apply makes the changes in their order and reads every server back, with the
// name of the process that answered; without changes, that alone. All of it is
// one line in one round trip, unless it gets too long for one; then it goes on in
// the next. The Sights are those of changes, in their order; with an error there
// are fewer, and what was said of the others may or may not have been heard. If
// one process answers the first part and another one the next, that is
// [ErrRestarted], with the new Process and no Sights.
func (c *Client) Apply(ctx context.Context, changes []Change) ([]Sight, Process, error) {
	var process Process
	sights := make([]Sight, 0, len(changes))
	for first := true; len(changes) > 0 || first; first = false {
		commands, n, err := c.pack(changes)
		if err != nil {
			return sights, process, err
		}
		var answered Process
		err = c.ask(ctx, commands, func(a *answer) error {
			seen := len(sights)
			for _, change := range changes[:n] {
				sight, err := a.sight(change)
				if err != nil {
					return err
				}
				sights = append(sights, sight)
			}
			err := a.info(&answered, nil)
			if err != nil {
				sights = sights[:seen] // whose they are is not known
			}
			return err
		})
		if err != nil {
			return sights, process, err
		}
		if !first && !process.Same(answered) {
			return nil, answered, fmt.Errorf("%s: process %d answered, and process %d behind it: %w", c.Addr, process.Pid, answered.Pid, ErrRestarted)
		}
		process, changes = answered, changes[n:]
	}
	return sights, process, nil
}

// pack makes commands out of as many changes as fit a line, and counts those.
func (c *Client) pack(changes []Change) (commands []string, n int, err error) {
	size := len("show info") + commandOverhead
	for _, change := range changes {
		added, err := change.commands()
		if err != nil {
			return nil, 0, err
		}
		for _, command := range added {
			size += len(command) + commandOverhead
		}
		if n > 0 && size > c.Addr.maxLine() {
			break
		}
		commands = append(commands, added...)
		n++
	}
	return append(commands, "show info"), n, nil
}

func (change Change) commands() ([]string, error) {
	look, err := StatFilter{Proxy: change.Server.Backend, Kinds: Servers, Server: change.ID}.command()
	if err != nil {
		return nil, err
	}
	var all []string
	for _, words := range change.To.words() {
		command, err := about(change.Server, "set server", words)
		if err != nil {
			return nil, err
		}
		all = append(all, command)
	}
	return append(all, look), nil
}

// sight reads the replies to one change: a yes or no for each command, and a
// table with one row.
func (a *answer) sight(change Change) (Sight, error) {
	var sight Sight
	for range change.To.words() {
		err := a.yes()
		if refusal, ok := err.(*CommandError); ok {
			if sight.Err == nil {
				sight.Err = refusal
			}
		} else if err != nil {
			return Sight{}, err
		}
	}
	err := a.statRows(change.Server.Backend, func(row Stat) {
		if row.Name == change.Server {
			sight.Stat, sight.Found = row, true
		}
	})
	if refusal, ok := err.(*CommandError); ok { // the backend is unknown
		if sight.Err == nil {
			sight.Err = refusal
		}
		err = nil
	}
	return sight, err
}
