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

	// Apply brings each target into its state, in their order, and reads it
	// back. The Report has an Observed for each target. An error means that the
	// member was not reached or made no sense; what was asked may or may not
	// have been heard, and asking again is harmless.
	Apply(ctx context.Context, targets []Target) (Report, error)
}

// A Target is a server of one member and what is wanted of it.
type Target struct {
	Server haproxysock.ServerName
	// State is what to bring it into; empty only looks. A server that HAProxy
	// checks becomes ready by the sequence that lets no request through before
	// a check has passed; so ask Ready only of one that is out of rotation.
	State haproxysock.AdminState
	// Certain asks for a proof of what was asked of the server, even where its
	// row does not tell and the whole backend's state has to be read for it.
	Certain bool
}

// A Report is what one member said in one exchange.
type Report struct {
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
	// Err says why the state was refused, or that there is no such server.
	Err error
}

// askedBy tells from a row what was asked of a server, as far as the row tells.
// DOWN and NOLB hide a drain, "MAINT (via …)" and "MAINT (resolution)" hide what
// was asked of the server itself, and one that tracks another shows the other's.
func askedBy(row haproxysock.Stat) (haproxysock.AdminState, bool) {
	switch {
	case row.Tracked != "":
		return "", false
	case row.Status == "MAINT":
		return haproxysock.Maint, true
	case row.Status.Word() == "DRAIN":
		return haproxysock.Drain, true
	case row.Status.Up():
		return haproxysock.Ready, true
	}
	return "", false
}
