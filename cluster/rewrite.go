package cluster

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/builtin"
	"github.com/expr-lang/expr/conf"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
)

// A rewriter goes through a checked tree, children first. It puts functions where
// columns, backends and words are, and notes what these have to know.
type rewriter struct {
	x      *Expression
	v      *vocabulary
	config *conf.Config // of the functions
	err    *ExpressionError

	variables []string
	columns   []string
	uses      []*proxyUse
	uncalled  map[ast.Node]string    // functions that no call has been seen of
	pending   map[ast.Node]*proxyUse // those whose parent has not been seen
	loose     haproxysock.Kind       // kinds for backends that are handed around
	kinds     haproxysock.Kind       // of all proxies
}

// A proxyUse is a proxy, or all for an empty name, and what is asked of it.
type proxyUse struct {
	name  string
	kinds haproxysock.Kind
}

const selfName = "self"

// Visit is for [ast.Walk].
func (r *rewriter) Visit(node *ast.Node) {
	if r.err != nil {
		return
	}
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		r.identifier(node, n)
	case *ast.MemberNode:
		r.member(node, n)
	case *ast.CallNode:
		r.call(node, n)
	case *ast.BinaryNode:
		switch n.Operator {
		case "??", "==", "!=", "in", "not in":
		case "contains", "startsWith", "endsWith", "matches":
			r.textual(n.Left)
			r.textual(n.Right)
		default:
			r.strict(n.Left)
			r.strict(n.Right)
		}
	case *ast.UnaryNode:
		r.strict(n.Node)
	case *ast.BuiltinNode:
		if len(n.Arguments) == 2 && (n.Name == "sum" || n.Name == "sortBy") {
			if p, ok := n.Arguments[1].(*ast.PredicateNode); ok {
				r.strict(p.Node)
			}
		}
	}
}

// identifier is a name that stands alone: a column or a backend of the member, or
// the list of members. Variables are of neither.
func (r *rewriter) identifier(node *ast.Node, n *ast.IdentifierNode) {
	if r.x.scope == OverMembers || slices.Contains(r.variables, n.Value) {
		return // members is in the environment by that name
	}
	r.property(node, &ast.IdentifierNode{Value: selfName}, r.v.member, n.Value)
}

func (r *rewriter) member(node *ast.Node, n *ast.MemberNode) {
	name, ok := n.Property.(*ast.StringNode)
	if !ok {
		return
	}
	if base := n.Node.Type(); r.v.words[base] != nil {
		r.property(node, n.Node, base, name.Value)
	} else if base == anyType {
		r.dynamic(node, n, name.Value)
	}
}

// property puts a function where name is said of base, which is one of ours.
func (r *rewriter) property(node *ast.Node, base ast.Node, typ reflect.Type, name string) {
	loc := (*node).Location()
	if word, ok := r.v.words[typ][name]; ok {
		r.wordNeeds(base, typ, name)
		if word.Kind() == reflect.Func {
			r.uncalled[*node] = name
			return // call puts the function there
		}
		r.put(node, word, "@"+name, wordOf(name), base)
		return
	}
	column, known := columnTypes()[name]
	switch {
	case typ == r.v.member && column != intType:
		use := r.use(node, name, haproxysock.Backends, useBackend)
		r.put(node, r.v.backend, "@backend:"+name, backendNamed(name), base)
		r.pending[*node] = use
	case typ == r.v.member:
		r.kinds |= haproxysock.Frontends
		r.put(node, nil, "@total:"+name, total(r.column(name)), base)
	default:
		if !known && !slices.ContainsFunc(r.x.unknown, func(u use) bool { return u.name == name && u.kind == useColumn }) {
			r.x.unknown = append(r.x.unknown, use{name, useColumn, loc.From})
		}
		if typ == r.v.backend {
			r.took(base, haproxysock.Backends)
		}
		r.put(node, nil, "@column:"+name, columnOf(r.column(name)), base)
	}
}

// dynamic is a name said of a value whose type is not known before it is there.
func (r *rewriter) dynamic(node *ast.Node, n *ast.MemberNode, name string) {
	at := -1
	if _, isWord := serverNeeds[name]; isWord {
		r.need(name)
		r.loose |= serverKinds
	} else if name != "name" && haproxyName.MatchString(name) {
		at = r.column(name)
		r.loose |= haproxysock.Backends
	}
	r.put(node, nil, "@dynamic:"+name, dynamic(name, at), n.Node)
}

// call puts a function where a word is called.
func (r *rewriter) call(node *ast.Node, n *ast.CallNode) {
	var base ast.Node
	var name string
	switch callee := n.Callee.(type) {
	case *ast.IdentifierNode:
		if _, ok := r.v.words[r.v.member][callee.Value]; !ok || slices.Contains(r.variables, callee.Value) {
			return
		}
		base, name = &ast.IdentifierNode{Value: selfName}, callee.Value
		if r.x.scope == OverMembers { // identifier has let it pass
			r.wordNeeds(base, r.v.member, name)
		}
	case *ast.MemberNode:
		property, ok := callee.Property.(*ast.StringNode)
		if !ok || r.v.words[callee.Node.Type()] == nil {
			return
		}
		base, name = callee.Node, property.Value
	case *ast.CallNode:
		ident, ok := callee.Callee.(*ast.IdentifierNode)
		if !ok {
			return
		}
		kind, called, _ := strings.Cut(ident.Value, ":")
		if _, isWord := serverNeeds[called]; kind == "@dynamic" && isWord {
			base, name = callee.Arguments[0], called
			break
		}
		return
	default:
		return
	}
	delete(r.uncalled, n.Callee)
	args := append([]ast.Node{base, &ast.IdentifierNode{Value: "scene"}}, n.Arguments...)
	result := (*node).Type()
	if name == "backend" || name == "frontend" {
		kind, useKind := haproxysock.Backends, useBackend
		if name == "frontend" {
			kind, useKind = haproxysock.Frontends, useFrontend
		}
		if text, ok := n.Arguments[0].(*ast.StringNode); ok {
			use := r.use(node, text.Value, kind, useKind)
			r.put(node, result, "@call "+name, functions[name], args...)
			r.pending[*node] = use
			return
		}
		r.kinds |= kind
	}
	r.put(node, result, "@call "+name, functions[name], args...)
}

// put replaces node by a call of fn with args. typ is nil for what may be empty.
func (r *rewriter) put(node *ast.Node, typ reflect.Type, name string, fn func(...any) (any, error), args ...ast.Node) {
	if m, ok := (*node).(*ast.MemberNode); ok && m.Optional {
		name += "?"
		sure := fn
		fn = func(args ...any) (any, error) {
			if args[0] == nil {
				return nil, nil
			}
			return sure(args...)
		}
	}
	r.config.Functions[name] = &builtin.Function{Name: name, Func: fn}
	call := &ast.CallNode{Callee: &ast.IdentifierNode{Value: name}, Arguments: args}
	for _, a := range args {
		if i, ok := a.(*ast.IdentifierNode); ok && i.Location().From == 0 {
			i.SetLocation((*node).Location())
		}
	}
	ast.Patch(node, call)
	call.Callee.SetLocation(call.Location())
	if typ != nil {
		call.SetType(typ)
	}
}

// strict makes a column that is computed with an error where it is empty.
func (r *rewriter) strict(node ast.Node) {
	r.whereEmpty(node, "@strict ", func(of any, column string) (any, error) {
		return nil, fmt.Errorf("%s: column %q is empty", describe(of), column)
	})
}

// textual makes a column that is looked through for a text one without letters
// where it is empty.
func (r *rewriter) textual(node ast.Node) {
	r.whereEmpty(node, "@text ", func(any, string) (any, error) { return "", nil })
}

// whereEmpty puts another value where node is a column that is empty.
func (r *rewriter) whereEmpty(node ast.Node, prefix string, other func(of any, column string) (any, error)) {
	call, ok := node.(*ast.CallNode)
	if !ok {
		return
	}
	callee, ok := call.Callee.(*ast.IdentifierNode)
	if !ok || !strings.HasPrefix(callee.Value, "@column:") && !strings.HasPrefix(callee.Value, "@total:") {
		return
	}
	f := r.config.Functions[callee.Value]
	_, column, _ := strings.Cut(callee.Value, ":")
	name := prefix + callee.Value
	r.config.Functions[name] = &builtin.Function{Name: name, Func: func(args ...any) (any, error) {
		v, err := f.Func(args...)
		if v == nil && err == nil {
			return other(args[0], column)
		}
		return v, err
	}}
	callee.Value = name
}
