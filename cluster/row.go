package cluster

import (
	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
)

// A Row is what one source says of a frontend, backend, server or listener.
type Row struct {
	Kind   haproxysock.Kind
	Proxy  string // the frontend or backend that it belongs to
	Name   string // FRONTEND, BACKEND, or the server's or listener's name
	Status haproxysock.Status
}

// Column is what stands in a column, by HAProxy's name: an int, a string, or nil
// where it is empty, was not asked for or is not known to this HAProxy.
func (r *Row) Column(name string) any { return nil }

// Columns names the columns that were asked for and that this HAProxy has.
func (r *Row) Columns() []string { return nil }
