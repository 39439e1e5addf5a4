package cluster

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
type Expression struct {
	text  string
	scope Scope
	need  Need
}

// ParseExpression reads an expression. A mistake that can be seen without asking
// anybody is an *ExpressionError.
func ParseExpression(text string, scope Scope) (*Expression, error) {
	return &Expression{text: text, scope: scope}, nil
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
	Message string // "unknown backend \"myap\""
	Nearest string // what may have been meant, ready to be written; may be empty
}

// Error is the message and, below it, the expression with a caret.
func (e *ExpressionError) Error() string { return e.Message }
