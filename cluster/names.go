package cluster

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/builtin"
)

// A nameCollector collects the names in a tree that may be a proxy's or a
// column's.
type nameCollector struct {
	names     []string
	bases     []string // those of which something is said
	bare      []*ast.IdentifierNode
	variables []string
	called    []calledName
	forbidden ast.Node
}

// A calledName is a function's name where it is called.
type calledName struct {
	name string
	at   ast.Node
}

var haproxyName = regexp.MustCompile(`^[A-Za-z0-9_.:-]*[A-Za-z0-9_.:][A-Za-z0-9_.:-]*$`)

// Visit is for [ast.Walk].
func (c *nameCollector) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		if n.Value == "$env" {
			c.forbidden = n
			return
		}
		c.bare = append(c.bare, n)
		c.add(n.Value)
	case *ast.VariableDeclaratorNode:
		c.variables = append(c.variables, n.Name)
	case *ast.CallNode:
		switch callee := n.Callee.(type) {
		case *ast.IdentifierNode:
			c.called = append(c.called, calledName{callee.Value, callee})
		case *ast.MemberNode:
			if name, ok := callee.Property.(*ast.StringNode); ok {
				c.called = append(c.called, calledName{name.Value, name})
			}
		}
	case *ast.MemberNode:
		if name, ok := n.Property.(*ast.StringNode); ok {
			c.add(name.Value)
		}
		if base := lastName(n.Node); haproxyName.MatchString(base) {
			c.bases = append(c.bases, base)
		}
	}
}

func (c *nameCollector) add(name string) {
	if haproxyName.MatchString(name) {
		c.names = append(c.names, name)
	}
}

// candidates are those names that v does not know, each once.
func (c *nameCollector) candidates(v *vocabulary) []string {
	unknown := slices.DeleteFunc(slices.Clone(c.names), func(name string) bool {
		return v.known(name) || slices.Contains(c.variables, name)
	})
	slices.Sort(unknown)
	return slices.Compact(unknown)
}

// proxies are those names of which something is said, and that v knows, but not on
// a member: there "down" in "down.scur" can only be a backend.
func (c *nameCollector) proxies(v *vocabulary) []string {
	proxies := slices.DeleteFunc(slices.Clone(c.bases), func(name string) bool {
		return !v.known(name) || v.on(v.member, name) || slices.Contains(c.variables, name)
	})
	slices.Sort(proxies)
	return slices.Compact(proxies)
}

// known are the names of columns among those in the tree, each once.
func (c *nameCollector) known() []string {
	known := slices.DeleteFunc(slices.Clone(c.names), func(name string) bool { return columnTypes()[name] == nil })
	slices.Sort(known)
	return slices.Compact(known)
}

// unknownCall is a call of a function that nobody knows.
func (x *Expression) unknownCall(c *nameCollector, v *vocabulary) error {
	for _, call := range c.called {
		if v.known(call.name) {
			continue
		}
		names := slices.Clone(builtin.Names)
		for typ := range v.words {
			names = append(names, v.functions(typ)...)
		}
		slices.Sort(names)
		return x.mistake(call.at.Location(), fmt.Sprintf("unknown function %q", call.name), nearest(call.name, names))
	}
	return nil
}

// misspelt is what may have been meant by a name that stands alone and is not
// known, but near to one that is.
func (c *nameCollector) misspelt(v *vocabulary) string {
	for _, n := range c.bare {
		if !v.on(v.member, n.Value) {
			if near := nearestWord(n.Value, v.all(v.member)); near != "" {
				return near
			}
		}
	}
	return ""
}

// strange is a name that stands alone where only members can.
func (c *nameCollector) strange() *ast.IdentifierNode {
	for _, n := range c.bare {
		if n.Value != "members" && n.Value != "disagree" && !slices.Contains(c.variables, n.Value) {
			return n
		}
	}
	return nil
}

// members is where the list of members is named, or nil.
func (c *nameCollector) members() ast.Node {
	for _, n := range c.bare {
		if n.Value == "members" && !slices.Contains(c.variables, n.Value) {
			return n
		}
	}
	return nil
}

func (x *Expression) strangeName(n *ast.IdentifierNode, v *vocabulary, tree ast.Node) *ExpressionError {
	near := dashed(tree)
	if near == "" {
		near = nearest(n.Value, []string{"members", "disagree"})
	} else {
		near = "." + near
	}
	if near == "" {
		near = "." + n.Value + " of one of the members, as in sum(members, ." + n.Value + ")"
		if !v.on(v.member, n.Value) {
			near = "." + n.Value + " of one of the members, as in sum(members, ." + n.Value + ".rate)"
		}
	}
	return x.mistake(n.Location(), fmt.Sprintf("unknown name %q", n.Value), near)
}
