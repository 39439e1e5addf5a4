package cluster

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/checker"
	"github.com/expr-lang/expr/compiler"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"
)

// A Scope says what an expression is about.
type Scope int

const (
	// PerMember expressions are computed once for each member, where backends
	// are names: "myapp.up >= 3".
	PerMember Scope = iota
	// OverMembers expressions are computed once: "sum(members, .myapp.rate)".
	OverMembers
)

// An Expression is a question, checked and ready to be asked. It is safe for
// concurrent use.
//
// The language is github.com/expr-lang/expr's. Its types are checked when it is
// read, with any name that it does not know as a backend's or a column's; its
// tree then tells what to ask for, and what it computes with are functions in
// place of those names. docs/expressions.md has the words.
type Expression struct {
	text    string
	scope   Scope
	need    Need
	program *vm.Program
	unknown []use // names that only the asked can know
}

// A use is a name in an expression that is a backend's, frontend's or column's.
type use struct {
	name   string
	kind   useKind
	offset int
}

type useKind int

const (
	useBackend useKind = iota
	useFrontend
	useColumn
)

// longest is how many bytes an expression may have.
const longest = 8192

// ParseExpression reads an expression. A mistake that can be seen without asking
// anybody is an *ExpressionError.
func ParseExpression(text string, scope Scope) (*Expression, error) {
	if len(text) > longest {
		return nil, &ExpressionError{Text: text[:40] + "…", Message: fmt.Sprintf("an expression of %d bytes: want at most %d", len(text), longest)}
	}
	x := &Expression{text: text, scope: scope}
	config := conf.CreateNew()
	tree, err := parser.ParseWithConfig(text, config)
	if err != nil {
		return nil, x.wrong(err, nil)
	}
	names := &nameCollector{}
	ast.Walk(&tree.Node, names)
	if names.forbidden != nil {
		return nil, x.mistake(names.forbidden.Location(), fmt.Sprintf("unknown name %q", "$env"), "")
	}
	unknown := names.candidates(knownVocabulary())
	if err := x.unknownCall(names, knownVocabulary()); err != nil {
		return nil, err
	}
	v := newVocabulary(names.known(), unknown, names.proxies(knownVocabulary()))
	if n := names.members(); n != nil && scope == PerMember {
		return nil, x.mistake(n.Location(), `"members" where each member is looked at by itself: it is known to query and watch`, "")
	}
	if scope == OverMembers {
		if name := names.strange(); name != nil {
			return nil, x.strangeName(name, v, tree.Node)
		}
	}
	config.WithEnv(v.env(scope))
	if _, err := checker.Check(tree, config); err != nil {
		near := dashed(tree.Node)
		if near == "" && strings.Contains(err.Error(), "has no field") {
			near = covered(tree.Node, v, scope)
		}
		if near == "" && scope == PerMember {
			near = names.misspelt(knownVocabulary())
		}
		return nil, x.wrong(errors.New(v.tell(plainMessage(err))), err, near)
	}
	r := &rewriter{x: x, v: v, config: conf.New(map[string]any{}), variables: names.variables,
		pending: map[ast.Node]*proxyUse{}, uncalled: map[ast.Node]string{}}
	ast.Walk(&tree.Node, r)
	for n, name := range r.uncalled {
		r.err = x.mistake(n.Location(), fmt.Sprintf("%q is a function", name), name+"()")
	}
	if r.err != nil {
		if r.err.Nearest == "" {
			r.err.Nearest = dashed(tree.Node)
		}
		return nil, r.err
	}
	x.need = r.finish()
	if x.program, err = compiler.Compile(tree, r.config); err != nil {
		return nil, x.wrong(err, nil)
	}
	return x, nil
}

// env is a value of the type of what an expression stands in.
func (v *vocabulary) env(scope Scope) any {
	if scope == PerMember {
		return reflect.Zero(v.member).Interface()
	}
	var s structType
	s.add("members", reflect.SliceOf(v.member))
	s.add("disagree", reflect.TypeFor[func() bool]())
	return reflect.Zero(s.make()).Interface()
}

// String is the expression as it was written.
func (x *Expression) String() string { return x.text }

// Need is what the expression has to know of each member.
func (x *Expression) Need() Need { return x.need }

// An ExpressionError is a mistake in an expression: it cannot be read, names what
// nobody knows, or computes with what cannot be computed with.
type ExpressionError struct {
	Text    string // the expression
	Offset  int    // of the mistake in Text, in characters
	Message string // `unknown backend "myap"`
	Nearest string // what may have been meant, ready to be written; may be empty
	err     error
}

// Error is the message and, below it, the expression with a caret.
func (e *ExpressionError) Error() string {
	message := e.Message
	if e.Nearest != "" {
		message += ", nearest is " + e.Nearest
	}
	f := file.Error{Location: file.Location{From: e.Offset, To: e.Offset}, Message: message}
	return f.Bind(file.NewSource(e.Text)).Error()
}

// Unwrap is what went wrong while computing, if that has a cause.
func (e *ExpressionError) Unwrap() error { return e.err }

func (x *Expression) mistake(at file.Location, message, nearest string) *ExpressionError {
	return &ExpressionError{Text: x.text, Offset: at.From, Message: message, Nearest: nearest}
}

// wrong makes an ExpressionError of err, at the place that located tells.
func (x *Expression) wrong(err, located error, nearest ...string) *ExpressionError {
	if located == nil {
		located = err
	}
	e := &ExpressionError{Text: x.text, Message: plainMessage(err)}
	if f := (*file.Error)(nil); errors.As(located, &f) {
		e.Offset, e.err = f.From, f.Prev
	}
	for _, n := range nearest {
		e.Nearest = n
	}
	return e
}

// plainMessage is an error of expr's without the caret.
func plainMessage(err error) string {
	message, _, _ := strings.Cut(err.Error(), "\n")
	if f := (*file.Error)(nil); errors.As(err, &f) {
		message, _, _ = strings.Cut(f.Message, "\n")
	}
	return strings.TrimSpace(message)
}

// dashed finds a subtraction that may have been meant as a name, and gives that
// as it has to be written.
func dashed(node ast.Node) string {
	f := &dashFinder{}
	ast.Walk(&node, f)
	return f.found
}

type dashFinder struct{ found string }

func (f *dashFinder) Visit(node *ast.Node) {
	minus, ok := (*node).(*ast.BinaryNode)
	if !ok || minus.Operator != "-" {
		return
	}
	left, right := lastName(minus.Left), firstName(minus.Right)
	if left != "" && right != "" {
		f.found = fmt.Sprintf("backend(%q)", left+"-"+right)
	}
}

// covered finds a name of which something is said, and which is a member's column
// or word, but may have been meant as a backend; it gives that as it has to be
// written.
func covered(node ast.Node, v *vocabulary, scope Scope) string {
	f := &coveredFinder{v: v, scope: scope}
	ast.Walk(&node, f)
	return f.found
}

type coveredFinder struct {
	v     *vocabulary
	scope Scope
	found string
}

func (f *coveredFinder) Visit(node *ast.Node) {
	said, ok := (*node).(*ast.MemberNode)
	if !ok {
		return
	}
	switch base := said.Node.(type) {
	case *ast.IdentifierNode:
		if f.scope == PerMember && f.v.on(f.v.member, base.Value) {
			f.found = fmt.Sprintf("backend(%q)", base.Value)
		}
	case *ast.MemberNode:
		if name := lastName(base); base.Node.Type() == f.v.member && f.v.on(f.v.member, name) {
			f.found = fmt.Sprintf(".backend(%q)", name)
		}
	}
}

func lastName(node ast.Node) string {
	switch n := node.(type) {
	case *ast.IdentifierNode:
		return n.Value
	case *ast.MemberNode:
		if name, ok := n.Property.(*ast.StringNode); ok {
			return name.Value
		}
	case *ast.BinaryNode:
		if left, right := lastName(n.Left), firstName(n.Right); n.Operator == "-" && left != "" && right != "" {
			return left + "-" + right
		}
	}
	return ""
}

func firstName(node ast.Node) string {
	switch n := node.(type) {
	case *ast.IdentifierNode:
		return n.Value
	case *ast.MemberNode:
		return firstName(n.Node)
	case *ast.CallNode:
		return firstName(n.Callee)
	case *ast.IntegerNode:
		return fmt.Sprint(n.Value)
	}
	return ""
}
