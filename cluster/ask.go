package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/expr-lang/expr/vm"
)

// An Answer is what an expression came to.
type Answer struct {
	Snapshot *Snapshot
	// Results are one a member, in their order, of a [PerMember] expression, and
	// exactly one of an [OverMembers] expression.
	Results []Result
}

// A Result is a value: nil, bool, int, float64, string, []any, map[string]any.
// A server, backend or frontend is a map of its name, status and those columns
// that the expression names; a member is a map of its address.
type Result struct {
	Member string // address of the member; empty over members
	Value  any
	// Err says that the member could not be asked, or that the value cannot be
	// computed there. Over members, a Value that stands beside it is about those
	// members that answered.
	Err error
	// AllDown says of a condition that does not hold that it would with
	// [Cluster.AllDownOK].
	AllDown bool
}

// Holds gives the value of a condition. Err, and a value that is no bool, are
// errors.
func (r Result) Holds() (bool, error) {
	if r.Err != nil {
		return false, r.Err
	}
	holds, ok := r.Value.(bool)
	if !ok {
		return false, fmt.Errorf("%v is no condition: want true or false", r.Value)
	}
	return holds, nil
}

// Ask takes a snapshot of what x needs and computes x. A member that cannot be
// asked is a Result with its error; an unknown name, found before anything is
// computed, is an *ExpressionError.
func (c *Cluster) Ask(ctx context.Context, x *Expression) (*Answer, error) {
	s := c.Snapshot(ctx, x.need)
	if err := x.verify(s); err != nil {
		return nil, err
	}
	a := &Answer{Snapshot: s}
	env := map[string]any{"scene": &scene{snapshot: s, allDownOK: c.AllDownOK}}
	if x.scope == PerMember {
		for i := range s.Reports {
			r := &s.Reports[i]
			result := Result{Member: r.Source, Err: r.Err}
			if r.Err == nil {
				env[selfName] = r
				var err error
				if result.Value, err = x.compute(env); err != nil {
					result.Err = fmt.Errorf("%s: %w", r.Source, err)
				}
				if result.Value == false && !c.AllDownOK {
					result.AllDown = x.holdsIfAllDownIsOK(s, r)
				}
			}
			a.Results = append(a.Results, result)
		}
		return a, nil
	}
	members := make([]any, 0, len(s.Reports))
	for i := range s.Reports {
		if s.Reports[i].Err == nil {
			members = append(members, &s.Reports[i])
		}
	}
	result := Result{Err: s.Err()}
	if len(members) > 0 || len(s.Reports) == 0 {
		env["members"] = members
		var err error
		result.Value, err = x.compute(env)
		result.Err = errors.Join(result.Err, err)
	}
	a.Results = []Result{result}
	return a, nil
}

func (x *Expression) holdsIfAllDownIsOK(s *Snapshot, r *Report) bool {
	v, err := x.compute(map[string]any{"scene": &scene{snapshot: s, allDownOK: true}, selfName: r})
	return err == nil && v == true
}

// memoryBudget is how many elements the lists that an expression makes may have.
const memoryBudget = 1e7

// compute runs the expression.
func (x *Expression) compute(env map[string]any) (any, error) {
	v, err := (&vm.VM{MemoryBudget: memoryBudget}).Run(x.program, env)
	if err != nil {
		e := x.wrong(err, nil)
		e.Message = strings.ReplaceAll(e.Message, "type <nil>", "type nil, as an empty column is")
		if r, ok := env[selfName].(*Report); ok { // who it is about stands in front already
			e.Message = strings.TrimPrefix(e.Message, r.Source+": ")
		}
		return nil, e
	}
	return plain(v), nil
}

// verify holds the names of x against what the members have. A name that one
// member has is no mistake.
func (x *Expression) verify(s *Snapshot) error {
	for _, u := range x.unknown {
		known, heard := false, false
		for i := range s.Reports {
			r := &s.Reports[i]
			if r.Err != nil {
				continue
			}
			switch u.kind {
			case useBackend:
				heard, known = true, known || r.backend(u.name) != nil
			case useFrontend:
				heard, known = true, known || r.frontend(u.name) != nil
			case useColumn:
				if len(r.Rows) > 0 {
					heard = true
					t := r.Rows[0].table
					known = known || t.has[t.place(u.name)]
				}
			}
		}
		if heard && !known {
			return x.unknownName(s, u)
		}
	}
	return nil
}

func (x *Expression) unknownName(s *Snapshot, u use) error {
	e := &ExpressionError{Text: x.text, Offset: u.offset}
	if u.kind == useColumn {
		v := knownVocabulary()
		e.Message = fmt.Sprintf("unknown column or word %q", u.name)
		e.Nearest = nearest(u.name, append(v.all(v.server), v.all(v.backend)...))
		return e
	}
	backends, frontends := s.proxies()
	names, others, what := backends, frontends, "backend"
	if u.kind == useFrontend {
		names, others, what = frontends, backends, "frontend"
	}
	e.Message = fmt.Sprintf("unknown %s %q", what, u.name)
	switch near := nearest(u.name, names); {
	case slices.Contains(others, u.name) && what == "backend":
		e.Nearest = fmt.Sprintf("frontend(%q)", u.name)
	case slices.Contains(others, u.name):
		e.Nearest = fmt.Sprintf("backend(%q)", u.name)
	case near == "":
	case what == "backend" && plainName.MatchString(near):
		e.Nearest = near
	default:
		e.Nearest = fmt.Sprintf("%s(%q)", what, near)
	}
	if v := knownVocabulary(); e.Nearest == "" && what == "backend" { // a word or a column, perhaps
		e.Nearest = nearestWord(u.name, v.all(v.member))
	}
	return e
}

// plain makes of a value one that everybody can print.
func plain(v any) any {
	switch v := v.(type) {
	case *Report:
		return map[string]any{"address": v.Source}
	case *backend:
		return v.Row.plain()
	case *Row:
		return v.plain()
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = plain(v[i])
		}
		return list
	case map[string]any:
		m := make(map[string]any, len(v))
		for key, value := range v {
			m[key] = plain(value)
		}
		return m
	}
	return plainReflect(v)
}

func (r *Row) plain() map[string]any {
	m := map[string]any{"proxy": r.Proxy, "name": r.label(), "status": string(r.Status)}
	for i, name := range r.table.columns {
		if r.table.has[i] {
			m[name] = r.at(i)
		}
	}
	return m
}
