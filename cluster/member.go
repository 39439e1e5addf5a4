// Package cluster makes many HAProxys one: members that are asked and told
// alike, and what counts as seen.
//
// A [Member] sets and sees in one call. What should be set where, and what to do
// about a member that does not answer, is package reconcile's.
package cluster

import (
	"context"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
)

// A Member is one HAProxy.
type Member interface {
	// String is the member's address, as people write it.
	String() string

	// Apply brings each target into its state and reads it back. Applied has
	// an Observed for each target, in their order. What one server is refused
	// leaves the others alone. After a restart of HAProxy since the last call,
	// which Applied.Process tells, the servers may only have been looked at:
	// what was wanted of them was thought out for another process.
	//
	// An error means that the member was not reached or made no sense; what was
	// asked may or may not have been heard, and asking again is harmless.
	Apply(ctx context.Context, targets []Target) (Applied, error)
}

// A Target is a server of one member and what is wanted of it.
type Target struct {
	Server haproxysock.ServerName
	// State is what to bring it into; empty only looks. A server that HAProxy
	// checks becomes ready by the sequence that lets no request through before
	// a check has passed, unless it is ready already: then nothing happens to it.
	State haproxysock.AdminState
	// Certain asks for a proof of what was asked of the server, even where its
	// row does not tell and the whole backend's state has to be read for it. A
	// server sent through the check, see [Observed.Gated], is not proven.
	Certain bool
}

// An Applied is what one member said in one exchange.
type Applied struct {
	Process haproxysock.Process
	Servers []Observed // one a target, in their order
}

// An Observed is a server as one member showed it.
type Observed struct {
	Server haproxysock.ServerName
	Status haproxysock.Status
	// Asked is the admin state that was last asked of the server; empty where
	// its row does not tell and [Target.Certain] was not set.
	Asked haproxysock.AdminState
	// Gated means that the server was sent through HAProxy's own check: it is
	// ready, and down until the check has passed.
	Gated bool
	// Stuck means that the server is ready and down and no check will raise it;
	// known only where [Target.Certain] was set. Asking Ready again raises it.
	Stuck bool
	// Unchecked means that nothing tells HAProxy whether the server answers: no
	// check, no agent, no other server that it tracks.
	Unchecked bool
	// Err says why the state was refused, or that there is no such server.
	Err error
}
