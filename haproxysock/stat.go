package haproxysock

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
)

// A Kind says what a row of "show stat" is about; the values are HAProxy's bits
// and can be joined. Management Guide, 9.3, "show stat".
type Kind int

const (
	Frontends Kind = 1
	Backends  Kind = 2
	Servers   Kind = 4
	Listeners Kind = 8
	AllKinds  Kind = -1
)

// rowKind translates the column "type" (0 frontend, 1 backend, 2 server, 3
// listener).
func rowKind(n int64) Kind {
	if n < 0 || n > 3 {
		return 0
	}
	return Kind(1 << n)
}

// A StatFilter says which rows HAProxy is to send; what is not asked for costs
// nothing. The zero value asks for all rows.
type StatFilter struct {
	Proxy  string // name of a frontend or backend; empty means all
	Kinds  Kind   // 0 means all
	Server int    // the server's number in its backend (column "sid"); 0 means all
}

func (f StatFilter) command() (string, error) {
	if f == (StatFilter{}) {
		return "show stat", nil
	}
	proxy, kinds, server := "-1", f.Kinds, "-1"
	if f.Proxy != "" {
		if err := checkName(f.Proxy); err != nil {
			return "", fmt.Errorf("proxy name %q: %w", f.Proxy, err)
		}
		proxy = f.Proxy
	}
	if kinds == 0 {
		kinds = AllKinds
	}
	if f.Server != 0 {
		server = fmt.Sprint(f.Server)
	}
	// All three or none: with less, HAProxy sends everything.
	return fmt.Sprintf("show stat %s %d %s", proxy, kinds, server), nil
}

// ScanStats asks for the rows of each filter in turn (of all, without one), in
// one round trip as far as a line is long enough, and calls row for each; the
// scanner has the fields of columns, in that order. An error of row ends it and
// comes back. A proxy that does not exist is a *CommandError.
//
// Management Guide, 9.3, "show stat".
func (c *Client) ScanStats(ctx context.Context, filters []StatFilter, columns []string, row func(*StatScanner) error) error {
	if len(filters) == 0 {
		filters = []StatFilter{{}}
	}
	for len(filters) > 0 {
		var commands []string
		size := 0
		for _, f := range filters {
			command, err := f.command()
			if err != nil {
				return err
			}
			if size += len(command) + commandOverhead; size > c.Addr.maxLine() && len(commands) > 0 {
				break
			}
			commands = append(commands, command)
		}
		asked := filters[:len(commands)]
		filters = filters[len(commands):]
		err := c.ask(ctx, commands, func(a *answer) error {
			for _, f := range asked {
				if err := a.stats(f.Proxy, columns, row); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

var errShortRow = errors.New("row too short")

// stats reads one reply as a table of statistics, of one proxy or of all where
// proxy is empty.
func (a *answer) stats(proxy string, columns []string, row func(*StatScanner) error) error {
	header, err := a.head(statHead)
	if err != nil {
		return err
	}
	s := newStatScanner(header, a.line, columns)
	return a.statTable(s, proxy, row)
}

// statTable goes through the rows of s. HAProxy takes a name that no proxy has
// for a number where it can, "5xx" for 5 and "-1" for all, and tells of others
// than we asked for; to us that proxy is then as unknown as any.
func (a *answer) statTable(s *StatScanner, proxy string, row func(*StatScanner) error) error {
	begins, others := []byte(proxy+","), false
	for s.Scan() {
		if proxy != "" && !bytes.HasPrefix(s.row, begins) {
			others = true
			continue
		}
		if err := row(s); err != nil {
			return err
		}
	}
	switch {
	case s.err == errShortRow:
		return a.garbled(string(s.row), fmt.Sprintf("a row of %d columns", s.width))
	case s.err != errReplyEnd:
		return s.err
	case others:
		return a.refused("No such proxy.")
	}
	return nil
}

// A Status is what HAProxy shows of a server's health and administration in one
// word or more: "UP", "UP 1/3", "no check", "DOWN", "NOLB", "DRAIN", "MAINT (via
// b/s)", "MAINT (resolution)", "DRAIN (agent)" and so on.
//
// It hides the admin state where the server is down: a draining server that is
// down shows DOWN.
//
// Management Guide, 9.1, "status".
type Status string

// Word is the status without health counters and reasons: UP, DOWN, NOLB, DRAIN,
// MAINT or "no check".
func (s Status) Word() string {
	if s == "no check" {
		return string(s)
	}
	word, _, _ := strings.Cut(string(s), " ")
	return word
}

// Up reports whether the server takes new requests: UP in any stage, or not
// checked at all.
func (s Status) Up() bool { return s.Word() == "UP" || s == "no check" }

// A Stat is what one row of "show stat" says of a server, as far as putting it
// in and out of rotation goes. Counters are of one process: a reload begins anew.
type Stat struct {
	Name    ServerName
	Kind    Kind
	ID      int // "sid", the server's number in its backend
	Status  Status
	Tracked string // "tracked": the server whose checks this one follows, or ""
	Current int    // "scur": sessions or requests attached now
	Queued  int    // "qcur": requests queued for this server
}

// Asked tells from a row what was asked of a server, or "" where the row does not
// tell: DOWN and NOLB hide a drain, "MAINT (via …)" and "MAINT (resolution)" hide
// what was asked of the server itself, and one that tracks another shows the
// other's health and drain.
func (s Stat) Asked() AdminState {
	switch {
	case s.Status == "MAINT":
		return Maint
	case s.Tracked != "":
		return ""
	case s.Status.Word() == "DRAIN":
		return Drain
	case s.Status.Up():
		return Ready
	}
	return ""
}

var statColumns = []string{"pxname", "svname", "type", "sid", "status", "tracked", "scur", "qcur"}

// statRows reads one reply as a table of statistics of proxy. A table without
// one of the columns would tell of servers that have no sessions, and worse.
func (a *answer) statRows(proxy string, each func(Stat)) error {
	header, err := a.head(statHead)
	if err != nil {
		return err
	}
	s := newStatScanner(header, a.line, statColumns)
	if missing := s.missing(); missing != "" {
		return a.garbled(string(header), "a column "+missing)
	}
	return a.statTable(s, proxy, func(s *StatScanner) error {
		row, ok := s.stat()
		if !ok {
			return a.garbled(string(s.row), "a server's row with numbers in type, sid, scur and qcur")
		}
		each(row)
		return nil
	})
}

// stat reads a row scanned with statColumns. It is not ok if a number is
// missing that a server's row always has; others' rows may leave them empty.
func (s *StatScanner) stat() (row Stat, ok bool) {
	kind, ok := s.Int(2)
	server := !ok || rowKind(kind) == Servers
	number := func(i int) int {
		n, there := s.Int(i)
		ok = ok && (there || !server)
		return int(n)
	}
	row = Stat{
		Name:    ServerName{Backend: s.Text(0), Server: s.Text(1)},
		Kind:    rowKind(kind),
		ID:      number(3),
		Status:  Status(s.Text(4)),
		Tracked: s.Text(5),
		Current: number(6),
		Queued:  number(7),
	}
	return row, ok
}

// Stats asks for the rows of filter.
func (c *Client) Stats(ctx context.Context, filter StatFilter) ([]Stat, error) {
	command, err := filter.command()
	if err != nil {
		return nil, err
	}
	var rows []Stat
	err = c.ask(ctx, []string{command}, func(a *answer) error {
		return a.statRows(filter.Proxy, func(row Stat) { rows = append(rows, row) })
	})
	return rows, err
}
