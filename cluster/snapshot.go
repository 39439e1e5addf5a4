package cluster

import (
	"context"
	"time"
)

// A Snapshot is what every source said when asked once, at about the same time.
// It is never written again, so share it and keep it.
type Snapshot struct {
	Taken   time.Time
	Reports []Report // one a source, in the order given
}

// A Report is what one source said.
type Report struct {
	Source string        // its address, see [Source]
	Took   time.Duration // until it had answered, or failed
	Err    error         // why Rows is empty
	Rows   []Row         // in the source's order
	// Missing are the proxies asked for by name that this source does not have,
	// or has nothing to tell of ("disabled").
	Missing []string
}

// Snapshot asks every source at once, each with its own deadline. A source that
// fails is a report with its error.
func (c *Cluster) Snapshot(ctx context.Context, need Need) *Snapshot { return &Snapshot{} }
