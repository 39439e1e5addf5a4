package cluster

import (
	"context"
	"errors"
	"fmt"
)

// An Answer is what an expression came to.
type Answer struct {
	Snapshot *Snapshot
	// Results are one a member, in their order, of a [PerMember] expression, and
	// exactly one of an [OverMembers] expression.
	Results []Result
}

// A Result is a value: nil, bool, int, float64, string, []any, map[string]any or
// what JSON can show of rows.
type Result struct {
	Member string // address of the member; empty over members
	Value  any
	// Err says that the member could not be asked, or that the value cannot be
	// computed there. Over members, a Value that stands beside it is about those
	// members that answered.
	Err error
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
	return nil, errors.New("cluster: not built yet")
}
