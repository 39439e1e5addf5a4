package cluster

import (
	"context"
	"time"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
)

// A Source is asked for one HAProxy's statistics: an admin socket
// (*[haproxysock.Client]), a statistics page, a saved file. It is safe for
// concurrent use.
type Source interface {
	// String is its address as people write it, without passwords.
	String() string

	// ScanStats calls row for each row that one of filters matches (for all,
	// without a filter), with the fields of columns in that order. A proxy that
	// does not exist is an error for which errors.Is(err,
	// [haproxysock.ErrNoBackend]) holds. See [haproxysock.Client.ScanStats].
	ScanStats(ctx context.Context, filters []haproxysock.StatFilter, columns []string, row func(*haproxysock.StatScanner) error) error
}

// A Cluster is several HAProxys that are asked as one. It is safe for concurrent
// use as long as its fields stay as they are.
type Cluster struct {
	Sources []Source
	Timeout time.Duration // of one source in one snapshot; 0 means 5 s

	// AllDownOK lets rolling_restartable, survives and survives_without say yes
	// of a backend with nothing in rotation: nothing is lost there.
	AllDownOK bool
}

const defaultTimeout = 5 * time.Second

// A Need says what a snapshot is to hold; what is not needed is not asked for.
type Need struct {
	Filters []haproxysock.StatFilter // none: all rows
	Columns []string                 // beside proxy, name, kind and status, which every row has
}
