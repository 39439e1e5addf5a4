package cluster

import "github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"

// A Disagreement is a server of which the members do not say the same.
type Disagreement struct {
	Server haproxysock.ServerName
	Says   []Says // one a member that answered, in their order
}

// Says is what one member says of a server.
type Says struct {
	Member string
	Status haproxysock.Status // empty: the server is missing there
}

// Disagreements are the servers whose status differs between those members that
// answered, in the first word ("UP", "MAINT", see [haproxysock.Status.Word]; "no
// check" is as good as UP), and those that one has and another has not, in the
// order in which they are first told of. Members that could not be asked agree
// with nobody and differ from nobody: see [Snapshot.Err].
func (s *Snapshot) Disagreements() []Disagreement {
	var answered []*Report
	for i := range s.Reports {
		if s.Reports[i].Err == nil {
			answered = append(answered, &s.Reports[i])
		}
	}
	type key struct{ proxy, name string }
	lines := map[key][]haproxysock.Status{}
	var order []key
	for at, r := range answered {
		for i := range r.Rows {
			row := &r.Rows[i]
			if row.Kind != haproxysock.Servers {
				continue
			}
			k := key{row.Proxy, row.Name}
			l := lines[k]
			if l == nil {
				l = make([]haproxysock.Status, len(answered))
				lines[k] = l
				order = append(order, k)
			}
			l[at] = row.Status
		}
	}
	var found []Disagreement
	for _, k := range order {
		words := lines[k]
		same := true
		for _, w := range words[1:] {
			same = same && agreeing(w) == agreeing(words[0])
		}
		if same {
			continue
		}
		d := Disagreement{Server: haproxysock.ServerName{Backend: k.proxy, Server: k.name}}
		for at, w := range words {
			d.Says = append(d.Says, Says{Member: answered[at].Source, Status: w})
		}
		found = append(found, d)
	}
	return found
}

// agreeing is what has to be the same of a status on all members.
func agreeing(s haproxysock.Status) string {
	if s.Up() {
		return "UP"
	}
	return s.Word()
}
