package cluster

import (
	"context"
	"errors"
	"time"
)

// Wait asks x every interval until it has held so many times in a row on every
// member, and returns the last answer. each, which may be nil, sees every answer.
// If ctx ends first, the error says what is missing, and by whom, and wraps the
// cause of ctx; the answer is the last one, or nil if there was none.
func (c *Cluster) Wait(ctx context.Context, x *Expression, interval time.Duration, times int, each func(*Answer)) (*Answer, error) {
	return nil, errors.New("cluster: not built yet")
}
