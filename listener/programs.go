package listener

import (
	"fmt"
	"maps"
	"slices"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
)

// ParseMapping reads the specs of one listener and refuses two that say the same.
func ParseMapping(texts []string) ([]Spec, error) {
	var specs []Spec
	written := map[Spec]string{}
	for _, text := range texts {
		s, err := ParseSpec(text)
		if err != nil {
			return nil, err
		}
		key := s
		key.text = ""
		if first, ok := written[key]; ok {
			return nil, fmt.Errorf("mapping %q: says the same as %q, want each program and server once", text, first)
		}
		written[key] = text
		specs = append(specs, s)
	}
	return specs, nil
}

// programs knows which servers each program stands for and what its last event
// wished of them.
type programs struct {
	specs  []Spec
	serial map[string]int64                                             // of each program's last event
	wished map[haproxysock.ServerName]map[string]haproxysock.AdminState // by each program of a server
	groups map[string]string                                            // of each process that a spec names without one
}

func newPrograms(specs []Spec) *programs {
	return &programs{
		specs:  specs,
		serial: map[string]int64{},
		wished: map[haproxysock.ServerName]map[string]haproxysock.AdminState{},
		groups: map[string]string{},
	}
}

// fixed lists the servers that are known before any event.
func (ps *programs) fixed() []haproxysock.ServerName {
	var all []haproxysock.ServerName
	for _, s := range ps.specs {
		if name, ok := s.Fixed(); ok && !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}

// stale reports whether the event is older than one that was dealt with: when
// another listener has rejected an event, supervisord sends it to us once more.
func (ps *programs) stale(e *Event, p ProcessState) bool {
	if last, ok := ps.serial[p.Program()]; ok && e.Serial >= 0 && e.Serial <= last {
		return true
	}
	ps.serial[p.Program()] = e.Serial
	return false
}

// servers lists the servers that p stands for, and what is wrong with specs that
// match it. A name that could mean two processes touches neither.
func (ps *programs) servers(p ProcessState) ([]haproxysock.ServerName, []error) {
	found := map[haproxysock.ServerName]bool{}
	var errs []error
	groups := map[string]bool{}
	for _, s := range ps.specs {
		if !s.Matches(p) {
			continue
		}
		groups[s.group] = true
		name, err := s.Server(p.Process)
		if err == nil && s.group == "" {
			err = ps.onlyGroup(s, p)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		found[name] = true
	}
	delete(groups, "")
	if p.Group == "" && len(groups) > 1 {
		return nil, []error{fmt.Errorf("process %q: supervisord does not tell its group, and mappings name it in %d groups: none of its servers is touched", p.Process, len(groups))}
	}
	return slices.SortedFunc(maps.Keys(found), compareNames), errs
}

func compareNames(a, b haproxysock.ServerName) int {
	if a.String() < b.String() {
		return -1
	}
	return 1
}

// onlyGroup makes sure that a spec without a group means one process only.
func (ps *programs) onlyGroup(s Spec, p ProcessState) error {
	first, ok := ps.groups[p.Process]
	if !ok {
		ps.groups[p.Process] = p.Group
		return nil
	}
	if first == p.Group {
		return nil
	}
	ps.groups[p.Process] = ambiguous
	return fmt.Errorf("mapping %q: more than one group has a process %q, so it is not touched: want %s:%s=%s, and the listener started anew", s, p.Process, p.Group, p.Process, s.server)
}

// ambiguous is no group's name.
const ambiguous = ":"

// wish records what an event of program wishes of its server and gives what
// follows for the server: it is ready only if none of its programs is known not
// to run.
func (ps *programs) wish(server haproxysock.ServerName, program string, state haproxysock.AdminState) haproxysock.AdminState {
	all := ps.wished[server]
	if all == nil {
		all = map[string]haproxysock.AdminState{}
		ps.wished[server] = all
	}
	all[program] = state
	for _, other := range all {
		if other.Tighter(state) {
			state = other
		}
	}
	return state
}
