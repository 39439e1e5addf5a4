package cluster

import (
	"fmt"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
)

// A Capacity is how much of one backend is there, as one member sees it. Backups
// count nowhere but in Backups.
type Capacity struct {
	// Servers are 100 %: all but backups and Free ones.
	Servers int
	// Free are those that the file says "disabled" and that were never enabled,
	// such as spare slots of a server-template: in maintenance, never with a
	// session, and for as long as anything of the backend has been in its state.
	// Of slots that wait for DNS, "MAINT (resolution)", that is enough; of others
	// the state table has to say "disabled" as well, because a server that was put
	// into maintenance in HAProxy's first second looks the same. Pages and files
	// have no such table: there these servers count.
	Free int
	// InRotation are those that take new requests: UP in any stage or not checked,
	// not draining, not in maintenance, with a weight above 0.
	InRotation int
	Up         int // UP in any stage or not checked, whatever the weight
	Down       int // DOWN in any stage
	Drained    int // DRAIN; one that is down as well is Down
	Maint      int // MAINT for any reason, without Free ones
	Backups    int
}

// capacityColumns are what CapacityOf needs beside the status. Of these,
// weight and bck have to be there.
var capacityColumns = []string{"weight", "bck", "stot", "lastchg"}

// CapacityOf is the capacity of one backend, from its own row, which may be
// missing, and those of its servers. The rows need the columns weight, bck, stot
// and lastchg.
func CapacityOf(backendRow *Row, servers []Row) Capacity {
	at := capacityAt(backendRow, servers)
	oldest := at.oldest(backendRow, servers)
	var c Capacity
	for i := range servers {
		s := &servers[i]
		switch {
		case at.backup(s):
			c.Backups++
			continue
		case at.free(s, oldest):
			c.Free++
			continue
		}
		c.Servers++
		switch word := s.Status.Word(); {
		case s.Status.Up():
			c.Up++
			if at.inRotation(s) {
				c.InRotation++
			}
		case word == "DOWN":
			c.Down++
		case word == "DRAIN":
			c.Drained++
		case word == "MAINT":
			c.Maint++
		}
	}
	return c
}

// places are where the capacity's columns are in a table, -1 for nowhere.
type columnPlaces struct{ weight, bck, stot, lastchg int }

func capacityAt(backendRow *Row, servers []Row) columnPlaces {
	var t *table
	if len(servers) > 0 {
		t = servers[0].table
	} else if backendRow != nil {
		t = backendRow.table
	}
	return columnPlaces{t.place("weight"), t.place("bck"), t.place("stot"), t.place("lastchg")}
}

func (t *table) place(column string) int {
	if t != nil {
		for i, name := range t.columns {
			if name == column {
				return i
			}
		}
	}
	return -1
}

func (at columnPlaces) backup(s *Row) bool {
	n, _ := s.number(at.bck)
	return n > 0
}

// inRotation says whether a server takes new requests. A weight that is not told
// is no weight.
func (at columnPlaces) inRotation(s *Row) bool {
	weight, _ := s.number(at.weight)
	return s.Status.Up() && weight > 0
}

// oldest is the most seconds that anything of the backend has been in its state:
// HAProxy's age, if something has not changed since it started.
func (at columnPlaces) oldest(backendRow *Row, servers []Row) int {
	oldest := 0
	if backendRow != nil {
		oldest, _ = backendRow.number(at.lastchg)
	}
	for i := range servers {
		n, _ := servers[i].number(at.lastchg)
		oldest = max(oldest, n)
	}
	return oldest
}

func (at columnPlaces) free(s *Row, oldest int) bool {
	return at.unused(s, oldest) && (s.disabled || s.Status == "MAINT (resolution)")
}

// unused reports whether a server has been in maintenance since HAProxy began, as
// far as its row tells.
func (at columnPlaces) unused(s *Row, oldest int) bool {
	sessions, known := s.number(at.stot)
	age, aged := s.number(at.lastchg)
	return (s.Status == "MAINT" || s.Status == "MAINT (resolution)") && known && sessions == 0 && aged && age >= oldest
}

// RollingRestartable reports whether at least percent of a hundred servers are in
// rotation, rounded up: of 3 servers, 80 % are 3. With nothing in rotation it is
// allDownOK.
func (c Capacity) RollingRestartable(percent int, allDownOK bool) (bool, error) {
	if percent < 0 || percent > 100 {
		return false, fmt.Errorf("%d %%: want 0 to 100", percent)
	}
	if c.InRotation == 0 {
		return allDownOK, nil
	}
	return c.InRotation >= c.Percent(percent), nil
}

// Percent is so many percent of the servers, rounded up.
func (c Capacity) Percent(percent int) int { return (c.Servers*percent + 99) / 100 }

// Survives reports whether any n servers in rotation can go and at least one is
// left. With nothing in rotation it is allDownOK.
func (c Capacity) Survives(n int, allDownOK bool) (bool, error) {
	if n < 0 {
		return false, fmt.Errorf("%d servers: want 0 or more", n)
	}
	if c.InRotation == 0 {
		return allDownOK, nil
	}
	return c.InRotation-n >= 1, nil
}

// SurvivesWithout reports whether at least one server is in rotation without
// those named: one that is out already costs nothing. With nothing in rotation it
// is allDownOK. It tells which of the names are no servers of this backend.
func SurvivesWithout(servers []Row, names []string, allDownOK bool) (ok bool, unknown []string) {
	at := capacityAt(nil, servers)
	gone := map[string]bool{}
	for _, name := range names {
		gone[name] = false
	}
	all, left := 0, 0
	for i := range servers {
		s := &servers[i]
		_, named := gone[s.Name]
		if named {
			gone[s.Name] = true
		}
		if at.backup(s) || !at.inRotation(s) {
			continue
		}
		all++
		if !named {
			left++
		}
	}
	for _, name := range names {
		if !gone[name] {
			unknown = append(unknown, name)
		}
	}
	return left >= 1 || all == 0 && allDownOK, unknown
}

// serverWords are the words of expressions for one server.
var serverWords = map[string]func(columnPlaces, *Row) bool{
	"in_rotation": columnPlaces.inRotation,
	"up":          func(_ columnPlaces, s *Row) bool { return s.Status.Up() },
	"down":        func(_ columnPlaces, s *Row) bool { return s.Status.Word() == "DOWN" },
	"drained":     func(_ columnPlaces, s *Row) bool { return s.Status.Word() == "DRAIN" },
	"maint":       func(_ columnPlaces, s *Row) bool { return s.Status.Word() == "MAINT" },
	"backup":      func(at columnPlaces, s *Row) bool { return at.backup(s) },
}

// serverKinds is what a backend is asked for where its servers count.
const serverKinds = haproxysock.Backends | haproxysock.Servers
