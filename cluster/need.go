package cluster

import (
	"reflect"
	"slices"

	"github.com/expr-lang/expr/ast"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
)

// serverNeeds are the columns that a word has to know of servers, beside their
// status.
var serverNeeds = map[string][]string{
	"total":               capacityColumns,
	"in_rotation":         capacityColumns,
	"up":                  capacityColumns,
	"down":                capacityColumns,
	"drained":             capacityColumns,
	"maint":               capacityColumns,
	"backups":             capacityColumns,
	"rolling_restartable": capacityColumns,
	"survives":            capacityColumns,
	"survives_without":    {"weight", "bck"},
	"backup":              {"bck"},
	"servers":             nil,
	"server":              nil,
}

// column gives the place of a column in the rows.
func (r *rewriter) column(name string) int {
	if i := slices.Index(r.columns, name); i >= 0 {
		return i
	}
	r.columns = append(r.columns, name)
	return len(r.columns) - 1
}

// need notes the columns of a word.
func (r *rewriter) need(word string) {
	for _, name := range serverNeeds[word] {
		r.column(name)
	}
}

// use notes that a proxy is named.
func (r *rewriter) use(node *ast.Node, name string, kinds haproxysock.Kind, as useKind) *proxyUse {
	r.x.unknown = append(r.x.unknown, use{name, as, (*node).Location().From})
	u := &proxyUse{name: name, kinds: kinds}
	r.uses = append(r.uses, u)
	return u
}

// took notes that kinds are wanted of base, and that base is not handed around.
func (r *rewriter) took(base ast.Node, kinds haproxysock.Kind) {
	if u := r.pending[base]; u != nil {
		u.kinds |= kinds & serverKinds
		delete(r.pending, base)
	} else {
		r.loose |= kinds
	}
}

// wordNeeds notes what a word that is said of base needs.
func (r *rewriter) wordNeeds(base ast.Node, typ reflect.Type, name string) {
	switch typ {
	case r.v.server:
		switch name {
		case "in_rotation":
			r.column("weight")
		case "backup":
			r.column("bck")
		}
	case r.v.backend:
		kinds := haproxysock.Backends
		if _, ok := serverNeeds[name]; ok {
			kinds = serverKinds
			r.need(name)
		}
		r.took(base, kinds)
	case r.v.member:
		switch name {
		case "backends":
			r.kinds |= haproxysock.Backends
			r.pending[&ast.NilNode{}] = &proxyUse{} // its backends are handed around
		case "frontends":
			r.kinds |= haproxysock.Frontends
		case "servers", "survives", "survives_without", "rolling_restartable", "disagree":
			r.kinds |= serverKinds
			r.need(name)
		}
	}
}

// finish gives what the expression needs: each row once.
func (r *rewriter) finish() Need {
	for _, u := range r.pending { // handed around: anything that is taken of any backend
		u.kinds |= r.loose & serverKinds
		if u.name == "" {
			r.kinds |= u.kinds
		}
	}
	need := Need{Columns: r.columns}
	if r.kinds != 0 {
		need.Filters = append(need.Filters, haproxysock.StatFilter{Kinds: r.kinds})
	}
	at := map[string]int{}
	for _, u := range r.uses {
		kinds := u.kinds &^ r.kinds
		if kinds == 0 {
			continue
		}
		i, ok := at[u.name]
		if !ok {
			i = len(need.Filters)
			at[u.name] = i
			need.Filters = append(need.Filters, haproxysock.StatFilter{Proxy: u.name})
		}
		need.Filters[i].Kinds |= kinds
	}
	if len(need.Filters) == 0 { // "1 + 1": the answer is only who answers
		need.Filters = []haproxysock.StatFilter{{Kinds: haproxysock.Frontends}}
	}
	return need
}
