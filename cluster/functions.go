package cluster

import (
	"errors"
	"fmt"
	"path"

	"github.com/expr-lang/expr/vm/runtime"
)

// A scene is what an expression's functions can see beside what they are said of.
type scene struct {
	snapshot  *Snapshot
	allDownOK bool
}

// describe names a member, backend or row in messages.
func describe(of any) string {
	switch v := of.(type) {
	case *Report:
		return v.Source
	case *backend:
		return v.Proxy
	case *Row:
		return v.String()
	}
	return fmt.Sprint(of)
}

// The functions below are what a rewriter puts into an expression's tree. Their
// first argument is what they are said of, and their types have been checked
// where they were known.

// columnOf gives a row's i-th column.
func columnOf(i int) func(...any) (any, error) {
	return func(args ...any) (any, error) {
		switch v := args[0].(type) {
		case *Row:
			return v.at(i), nil
		case *backend:
			return v.at(i), nil
		}
		return nil, fmt.Errorf("%s has no columns", describe(args[0]))
	}
}

// total adds up a column over a member's frontends; it is empty where all are.
func total(i int) func(...any) (any, error) {
	return func(args ...any) (any, error) {
		r, ok := args[0].(*Report)
		if !ok {
			return nil, fmt.Errorf("%s is no member", describe(args[0]))
		}
		sum, any := 0, false
		for _, f := range r.frontends {
			if n, ok := f.number(i); ok {
				sum, any = sum+n, true
			}
		}
		if !any {
			return nil, nil
		}
		return sum, nil
	}
}

func backendNamed(name string) func(...any) (any, error) {
	return func(args ...any) (any, error) {
		r, ok := args[0].(*Report)
		if !ok {
			return nil, fmt.Errorf("%s is no member", describe(args[0]))
		}
		if b := r.backend(name); b != nil {
			return b, nil
		}
		return nil, fmt.Errorf("%s: no backend %q", r.Source, name)
	}
}

// wordOf gives what a word says of a server, backend, frontend or member.
func wordOf(word string) func(...any) (any, error) {
	return func(args ...any) (any, error) {
		switch v := args[0].(type) {
		case *Report:
			if word == "address" {
				return v.Source, nil
			}
		case *backend:
			if word == "name" {
				return v.Proxy, nil
			}
			if count := backendWords[word]; count != nil {
				return count(CapacityOf(v.Row, v.servers)), nil
			}
		case *Row:
			if word == "name" {
				return v.label(), nil
			}
			if is := serverWords[word]; is != nil {
				return is(columnPlaces{weight: v.table.place("weight"), bck: v.table.place("bck")}, v), nil
			}
		}
		return nil, fmt.Errorf("%s has no %q", describe(args[0]), word)
	}
}

// label is how people call a row.
func (r *Row) label() string {
	if r.Name == "FRONTEND" || r.Name == "BACKEND" {
		return r.Proxy
	}
	return r.Name
}

// backendWords count a backend's servers.
var backendWords = map[string]func(Capacity) int{
	"total":       func(c Capacity) int { return c.Servers },
	"in_rotation": func(c Capacity) int { return c.InRotation },
	"up":          func(c Capacity) int { return c.Up },
	"down":        func(c Capacity) int { return c.Down },
	"drained":     func(c Capacity) int { return c.Drained },
	"maint":       func(c Capacity) int { return c.Maint },
	"backups":     func(c Capacity) int { return c.Backups },
}

// dynamic is for values of which only now is seen what they are.
func dynamic(name string, column int) func(...any) (any, error) {
	word := wordOf(name)
	return func(args ...any) (any, error) {
		var row *Row
		switch v := args[0].(type) {
		case *Row:
			row = v
		case *backend:
			row = v.Row
		case *Report:
			return nil, fmt.Errorf("%q of a member that was not known to be one when the expression was read", name)
		default:
			return runtime.Fetch(v, name), nil
		}
		if column < 0 {
			return word(args...)
		}
		if !row.table.has[column] && columnTypes()[name] == nil {
			return nil, fmt.Errorf("%s has no column %q", row, name)
		}
		return row.at(column), nil
	}
}

// functions are the words with arguments; these follow the scene.
var functions = map[string]func(...any) (any, error){
	"backend": func(args ...any) (any, error) {
		name, err := text(args[2])
		if err != nil {
			return nil, err
		}
		return backendNamed(name)(args[0])
	},
	"frontend": func(args ...any) (any, error) {
		name, err := text(args[2])
		r, ok := args[0].(*Report)
		if err != nil || !ok {
			return nil, errors.Join(err, errNoMember(args[0], ok))
		}
		if f := r.frontend(name); f != nil {
			return f, nil
		}
		return nil, fmt.Errorf("%s: no frontend %q", r.Source, name)
	},
	"backends": func(args ...any) (any, error) {
		r, ok := args[0].(*Report)
		if !ok {
			return nil, errNoMember(args[0], ok)
		}
		return r.list, nil
	},
	"frontends": func(args ...any) (any, error) {
		r, ok := args[0].(*Report)
		if !ok {
			return nil, errNoMember(args[0], ok)
		}
		list := make([]any, len(r.frontends))
		for i, f := range r.frontends {
			list[i] = f
		}
		return list, nil
	},
	"servers":             serversOf,
	"server":              serverOf,
	"rolling_restartable": rollingRestartable,
	"survives":            survives,
	"survives_without":    survivesWithout,
	"disagree": func(args ...any) (any, error) {
		s := args[1].(*scene).snapshot
		if len(s.Disagreements()) > 0 {
			return true, nil
		}
		return false, s.Err()
	},
}

func errNoMember(v any, ok bool) error {
	if ok {
		return nil
	}
	return fmt.Errorf("%s is no member", describe(v))
}

// backendsOf are a backend itself, or all of a member.
func backendsOf(v any) ([]*backend, error) {
	switch v := v.(type) {
	case *backend:
		return []*backend{v}, nil
	case *Report:
		all := make([]*backend, len(v.backends))
		for i := range v.backends {
			all[i] = &v.backends[i]
		}
		return all, nil
	}
	return nil, fmt.Errorf("%s has no servers", describe(v))
}

// serversOf are the servers whose names match one of the patterns.
func serversOf(args ...any) (any, error) {
	backends, err := backendsOf(args[0])
	if err != nil {
		return nil, err
	}
	var patterns []string
	for _, a := range args[2:] {
		p, err := text(a)
		if err != nil {
			return nil, err
		}
		if _, err := path.Match(p, ""); err != nil {
			return nil, fmt.Errorf("pattern %q: %w", p, err)
		}
		patterns = append(patterns, p)
	}
	n := 0
	for _, b := range backends {
		n += len(b.servers)
	}
	list := make([]any, 0, n)
	for _, b := range backends {
		for i := range b.servers {
			matched := len(patterns) == 0
			for _, p := range patterns {
				ok, _ := path.Match(p, b.servers[i].Name)
				matched = matched || ok
			}
			if matched {
				list = append(list, &b.servers[i])
			}
		}
	}
	return list, nil
}

func serverOf(args ...any) (any, error) {
	name, err := text(args[2])
	b, ok := args[0].(*backend)
	if err != nil || !ok {
		return nil, errors.Join(err, fmt.Errorf("server(%q) of %s", name, describe(args[0])))
	}
	for i := range b.servers {
		if b.servers[i].Name == name {
			return &b.servers[i], nil
		}
	}
	return nil, noServer(b.Proxy, name, b.servers)
}

func noServer(backend, name string, servers []Row) error {
	var names []string
	for i := range servers {
		names = append(names, servers[i].Name)
	}
	if near := nearest(name, names); near != "" {
		return fmt.Errorf("%s: no server %q, nearest is %q", backend, name, near)
	}
	return fmt.Errorf("%s: no server %q", backend, name)
}

// eachBackend asks holds of a backend, or of all of a member that have servers.
func eachBackend(args []any, holds func(Capacity) (bool, error)) (any, error) {
	backends, err := backendsOf(args[0])
	if err != nil {
		return nil, err
	}
	_, one := args[0].(*backend)
	for _, b := range backends {
		c := CapacityOf(b.Row, b.servers)
		if !one && c.Servers == 0 {
			continue
		}
		if ok, err := holds(c); err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}

func rollingRestartable(args ...any) (any, error) {
	percent := 80
	if len(args) > 3 {
		return nil, fmt.Errorf("rolling_restartable of %d numbers: want one", len(args)-2)
	}
	if len(args) == 3 {
		var err error
		if percent, err = whole(args[2]); err != nil {
			return nil, err
		}
	}
	return eachBackend(args, func(c Capacity) (bool, error) {
		return c.RollingRestartable(percent, args[1].(*scene).allDownOK)
	})
}

func survives(args ...any) (any, error) {
	n, err := whole(args[2])
	if err != nil {
		return nil, err
	}
	return eachBackend(args, func(c Capacity) (bool, error) { return c.Survives(n, args[1].(*scene).allDownOK) })
}

// survivesWithout asks every backend that has one of the servers.
func survivesWithout(args ...any) (any, error) {
	backends, err := backendsOf(args[0])
	if err != nil {
		return nil, err
	}
	var names []string
	found := map[string]bool{}
	for _, a := range args[2:] {
		name, err := text(a)
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		return nil, errors.New("survives_without of nobody: want a server's name")
	}
	holds := true
	var all []Row
	for _, b := range backends {
		ok, unknown := SurvivesWithout(b.servers, names, args[1].(*scene).allDownOK)
		if len(unknown) == len(names) && len(backends) > 1 {
			all = append(all, b.servers...)
			continue
		}
		all = append(all, b.servers...)
		holds = holds && ok
		missing := map[string]bool{}
		for _, name := range unknown {
			missing[name] = true
		}
		for _, name := range names {
			found[name] = found[name] || !missing[name]
		}
	}
	for _, name := range names {
		if !found[name] {
			return nil, noServer(describe(args[0]), name, all)
		}
	}
	return holds, nil
}

func text(v any) (string, error) {
	if s, ok := v.(string); ok {
		return s, nil
	}
	return "", fmt.Errorf("%v: want a text", v)
}

func whole(v any) (int, error) {
	if n, ok := v.(int); ok {
		return n, nil
	}
	return 0, fmt.Errorf("%v: want a whole number", v)
}
