package haproxysock

import (
	"bytes"
	"context"
	"fmt"
	"strings"
)

// A ServerState is a line of "show servers state", the only place that tells a
// server's administrative state for certain. HAProxy lists the servers of
// disabled backends here too, as running.
//
// Management Guide, 9.3, "show servers state".
type ServerState struct {
	Name          ServerName
	ID            int       // "srv_id", as "sid" in statistics
	Addr          string    // an IP address, a socket's path, or "" for none
	Port          int       // 0 where there is none
	FQDN          string    // the name that Addr was resolved from, or ""
	Op            OpState   // what health makes of it
	Admin         AdminBits // what people, configuration, tracking and DNS make of it
	Weight        int       // "srv_uweight", as set now
	InitialWeight int       // "srv_iweight", as configured
	SinceChange   int       // seconds since Op changed
	CheckStatus   int       // HAProxy's number for the last check's result
	CheckResult   int       // 0 unknown, 1 neutral, 2 failed, 3 passed, 4 passed with conditions
	CheckHealth   int       // consecutive checks, 0 to rise+fall-1
	Check         CheckBits
	Agent         CheckBits
}

// tableRow reads fields of a line by their columns' names.
type tableRow struct {
	columns map[string]int
	fields  [][]byte
}

func (r tableRow) text(column string) string {
	i, ok := r.columns[column]
	if !ok || i >= len(r.fields) || string(r.fields[i]) == "-" {
		return ""
	}
	return string(r.fields[i])
}

// int is 0 where the column or the number is missing.
func (r tableRow) int(column string) int {
	n, _ := r.number(column)
	return n
}

func (r tableRow) number(column string) (int, bool) {
	i, ok := r.columns[column]
	if !ok || i >= len(r.fields) {
		return 0, false
	}
	n, ok := parseInt(r.fields[i])
	return int(n), ok
}

// columnsOf reads a table's header line. The "#" stands alone or leads the
// first name.
func columnsOf(header []byte) map[string]int {
	columns := map[string]int{}
	for i, name := range strings.Fields(strings.TrimPrefix(string(header), "#")) {
		columns[name] = i
	}
	return columns
}

// The columns that a server's state is told by. A table without them, or with
// something else in them, would tell of servers that are ready.
const (
	adminStateColumn = "srv_admin_state"
	opStateColumn    = "srv_op_state"
)

// serverStates reads one reply as the table of "show servers state".
func (a *answer) serverStates(each func(*ServerState) error) error {
	if _, err := a.head("1"); err != nil { // the format's version
		return err
	}
	header, err := a.head("# ")
	if err != nil {
		return err
	}
	columns := columnsOf(header)
	for _, needed := range []string{"be_name", "srv_name", opStateColumn, adminStateColumn} {
		if _, ok := columns[needed]; !ok {
			return a.garbled(string(header), "a column "+needed)
		}
	}
	fields := make([][]byte, 0, 32)
	var s ServerState
	for {
		line, err := a.line()
		if err == errReplyEnd {
			return nil
		}
		if err != nil {
			return err
		}
		fields = splitFields(fields[:0], line)
		if len(fields) < len(columns) {
			return a.garbled(string(line), fmt.Sprintf("%d columns", len(columns)))
		}
		r := tableRow{columns, fields}
		op, ok := r.number(opStateColumn)
		admin, ok2 := r.number(adminStateColumn)
		if !ok || !ok2 {
			return a.garbled(string(line), "numbers in "+opStateColumn+" and "+adminStateColumn)
		}
		s = ServerState{
			Name:          ServerName{Backend: r.text("be_name"), Server: r.text("srv_name")},
			ID:            r.int("srv_id"),
			Addr:          r.text("srv_addr"),
			Port:          r.int("srv_port"),
			FQDN:          r.text("srv_fqdn"),
			Op:            OpState(op),
			Admin:         AdminBits(admin),
			Weight:        r.int("srv_uweight"),
			InitialWeight: r.int("srv_iweight"),
			SinceChange:   r.int("srv_time_since_last_change"),
			CheckStatus:   r.int("srv_check_status"),
			CheckResult:   r.int("srv_check_result"),
			CheckHealth:   r.int("srv_check_health"),
			Check:         CheckBits(r.int("srv_check_state")),
			Agent:         CheckBits(r.int("srv_agent_state")),
		}
		if err := each(&s); err != nil {
			return err
		}
	}
}

// ScanServerStates asks for the servers of one backend, or of all where backend
// is empty, and calls each with every one of them; the value is overwritten.
//
// Management Guide, 9.3, "show servers state".
func (c *Client) ScanServerStates(ctx context.Context, backend string, each func(*ServerState) error) error {
	command, err := maybeAbout("show servers state", backend)
	if err != nil {
		return err
	}
	return c.ask(ctx, []string{command}, func(a *answer) error { return a.serverStates(each) })
}

// ServerStates asks for the servers of one backend, or of all where backend is
// empty.
func (c *Client) ServerStates(ctx context.Context, backend string) ([]ServerState, error) {
	var all []ServerState
	err := c.ScanServerStates(ctx, backend, func(s *ServerState) error {
		all = append(all, *s)
		return nil
	})
	return all, err
}

// A ServerConn is a line of "show servers conn": the connections that HAProxy
// holds to a server.
//
// Management Guide, 9.3, "show servers conn" (2.2).
type ServerConn struct {
	Name       ServerName
	Addr       string // as the table has it, "" for none
	Used       int    // "used_cur": connections in use
	IdleUnsafe int    // "unsafe_nb"
	IdleSafe   int    // "safe_nb"
	Idle       int    // "idle_cur"
}

// ServerConns asks for the servers of one backend, or of all where backend is
// empty.
func (c *Client) ServerConns(ctx context.Context, backend string) ([]ServerConn, error) {
	command, err := maybeAbout("show servers conn", backend)
	if err != nil {
		return nil, err
	}
	var all []ServerConn
	err = c.ask(ctx, []string{command}, func(a *answer) error {
		header, err := a.head("# ")
		if err != nil {
			return err
		}
		columns := columnsOf(header)
		for {
			line, err := a.line()
			if err == errReplyEnd {
				return nil
			}
			if err != nil {
				return err
			}
			r := tableRow{columns, splitFields(nil, line)}
			backend, server, ok := strings.Cut(r.text("bkname/svname"), "/")
			if !ok {
				return a.garbled(string(line), "backend/server in the first column")
			}
			all = append(all, ServerConn{
				Name:       ServerName{Backend: backend, Server: server},
				Addr:       r.text("addr"),
				Used:       r.int("used_cur"),
				IdleUnsafe: r.int("unsafe_nb"),
				IdleSafe:   r.int("safe_nb"),
				Idle:       r.int("idle_cur"),
			})
		}
	})
	return all, err
}

// maybeAbout names a backend in a command, or none.
func maybeAbout(command, backend string) (string, error) {
	if backend == "" {
		return command, nil
	}
	if err := checkName(backend); err != nil {
		return "", fmt.Errorf("backend name %q: %w", backend, err)
	}
	return command + " " + backend, nil
}

// splitFields splits at single blanks: what HAProxy has nothing to say on is
// "-", but an empty word keeps its place too.
func splitFields(fields [][]byte, line []byte) [][]byte {
	line = bytes.TrimRight(line, " \r")
	for {
		i := bytes.IndexByte(line, ' ')
		if i < 0 {
			return append(fields, line)
		}
		fields = append(fields, line[:i])
		line = line[i+1:]
	}
}
