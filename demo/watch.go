package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// sampleEvery is how fine the demo's times are.
const sampleEvery = 50 * time.Millisecond

// A sample is what both HAProxys said when asked at the same time. It is never
// written again.
type sample struct {
	taken time.Time
	lbs   map[string]states
}

// A condition returns nil if a sample fulfils it, and what is missing if not.
type condition func(sample) error

// A watch samples the HAProxys, prints every change, and remembers it.
type watch struct {
	lbs   []*lb
	scr   *screen
	tails []*tail

	mu      sync.Mutex
	shown   bool          // changes are printed
	counted []int         // the retries that each HAProxy had counted when asked last
	retried int           // the sum of what they have counted while we looked
	history []sample      // one for every change
	changed chan struct{} // closed at the next change
}

func newWatch(lbs []*lb, scr *screen) *watch {
	return &watch{lbs: lbs, scr: scr, counted: make([]int, len(lbs)), changed: make(chan struct{})}
}

// follow prints the new lines of a log under a name. Call it before run.
func (w *watch) follow(who, path string, say wording) {
	w.tails = append(w.tails, &tail{who: who, path: path, say: say})
}

// run samples until ctx ends.
func (w *watch) run(ctx context.Context) {
	t := time.NewTicker(sampleEvery)
	defer t.Stop()
	defer func() {
		for _, tl := range w.tails {
			tl.close()
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			for _, tl := range w.tails {
				tl.print(w.scr)
			}
			w.record(w.sample(ctx))
		}
	}
}

func (w *watch) sample(ctx context.Context) sample {
	all := make([]view, len(w.lbs))
	var wg sync.WaitGroup
	for i, b := range w.lbs {
		wg.Go(func() { all[i], _ = askView(ctx, b.client()) }) // no states say enough
	}
	wg.Wait()
	s := sample{taken: time.Now(), lbs: map[string]states{}}
	for i, b := range w.lbs {
		s.lbs[b.name] = all[i].states
		w.countRetries(i, all[i].retries)
	}
	return s
}

// countRetries adds what an HAProxy has counted since it was asked last. Its
// count begins at 0 when it is started again, and is 0 while it is away.
func (w *watch) countRetries(lb, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.retried += max(0, n-w.counted[lb])
	w.counted[lb] = n
}

// retries returns how often, since the watch began, an HAProxy had to send a
// request elsewhere, for the server that it chose could not be reached.
func (w *watch) retries() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.retried
}

// show prints where things stand, and from now on every change. Before, each
// HAProxy's first look at programs that do not run yet would be in the way.
func (w *watch) show() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.shown = true
	if n := len(w.history); n > 0 {
		w.print(sample{}, w.history[n-1], time.Now())
	}
}

func (w *watch) print(from, to sample, at time.Time) {
	for _, c := range diff(from, to) {
		w.scr.change(at, c)
	}
}

// record keeps s if it differs from the last sample, and prints what does.
func (w *watch) record(s sample) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var last sample
	if len(w.history) > 0 {
		last = w.history[len(w.history)-1]
		if maps.EqualFunc(last.lbs, s.lbs, func(a, b states) bool { return maps.Equal(a, b) && (a == nil) == (b == nil) }) {
			return
		}
	}
	if w.shown {
		w.print(last, s, s.taken)
	}
	w.history = append(w.history, s)
	close(w.changed)
	w.changed = make(chan struct{})
}

// when returns the first time since which cond held, at or after since.
// Otherwise it returns what is missing now, and a channel that tells of news.
func (w *watch) when(since time.Time, cond condition) (time.Time, <-chan struct{}, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	missing := fmt.Errorf("no HAProxy has answered yet")
	for i, s := range w.history {
		if i+1 < len(w.history) && !w.history[i+1].taken.After(since) {
			continue // over before since
		}
		if missing = cond(s); missing == nil {
			if s.taken.Before(since) {
				return since, nil, nil
			}
			return s.taken, nil, nil
		}
	}
	return time.Time{}, w.changed, missing
}

// await waits until cond holds, looking back as far as since, and returns the
// time at which it first did. If limit passes first, the error says what is
// still missing.
func (w *watch) await(ctx context.Context, since time.Time, limit time.Duration, cond condition) (time.Time, error) {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		at, news, missing := w.when(since, cond)
		if missing == nil {
			return at, nil
		}
		select {
		case <-news:
		case <-limited.Done():
			if ctx.Err() != nil {
				return time.Time{}, context.Cause(ctx)
			}
			return time.Time{}, fmt.Errorf("%w after %s", missing, limit)
		}
	}
}

// each is fulfilled if ok holds for the status of every named server on every
// named load balancer.
func each(lbs, names []string, want string, ok func(status string) bool) condition {
	return func(s sample) error {
		var missing []string
		for _, lb := range lbs {
			if s.lbs[lb] == nil {
				missing = append(missing, lb+": no answer")
				continue
			}
			for _, name := range names {
				if got := s.lbs[lb][name]; !ok(got) {
					missing = append(missing, fmt.Sprintf("%s: %s is %s, want %s", lb, name, orDash(got), want))
				}
			}
		}
		if missing != nil {
			return fmt.Errorf("%s", strings.Join(missing, "; "))
		}
		return nil
	}
}

func isUp(lbs []string, names ...string) condition {
	return each(lbs, names, "UP", func(s string) bool { return s == "UP" })
}

func isMaint(lbs []string, names ...string) condition {
	return each(lbs, names, "MAINT", func(s string) bool { return s == "MAINT" })
}

func isOut(lbs []string, names ...string) condition {
	return each(lbs, names, "out of rotation", func(s string) bool { return s != "" && !inRotation(s) })
}

// answers is fulfilled if the load balancer answers at all, or does not.
func answers(lb string, want bool) condition {
	return func(s sample) error {
		if got := s.lbs[lb] != nil; got != want {
			return fmt.Errorf("%s: answers is %t, want %t", lb, got, want)
		}
		return nil
	}
}

// A change is one line about what differs between two samples: a server and
// where it stands on each load balancer, or a load balancer and a remark.
type change struct {
	who    string
	cells  []cell
	remark string
}

// A cell is a server's status on one load balancer; from equals to if it is
// as it was.
type cell struct{ lb, from, to string }

// diff returns the changes from one sample to the next. A load balancer that
// went or came is one change, not one for each of its servers.
func diff(a, b sample) []change {
	var changes []change
	lbs := slices.Sorted(maps.Keys(b.lbs))
	var both []string // had and have an answer
	for _, lb := range lbs {
		switch was, is := a.lbs[lb], b.lbs[lb]; {
		case was == nil && is != nil:
			changes = append(changes, change{who: lb, remark: "answers: " + is.String()})
		case was != nil && is == nil:
			changes = append(changes, change{who: lb, remark: "does not answer"})
		case was != nil:
			both = append(both, lb)
		}
	}
	for _, name := range names(a, b) {
		c := change{who: name}
		moved := false
		for _, lb := range lbs {
			from, to := a.lbs[lb][name], b.lbs[lb][name]
			if !slices.Contains(both, lb) {
				from = to
			}
			c.cells = append(c.cells, cell{lb, orDash(from), orDash(to)})
			moved = moved || from != to
		}
		if moved {
			changes = append(changes, c)
		}
	}
	return changes
}

// names returns all servers that the samples know.
func names(samples ...sample) []string {
	all := map[string]bool{}
	for _, s := range samples {
		for _, st := range s.lbs {
			for name := range st {
				all[name] = true
			}
		}
	}
	return sortedKeys(all)
}

func (s states) String() string {
	var parts []string
	for _, name := range sortedKeys(s) {
		parts = append(parts, name+" "+s[name])
	}
	return strings.Join(parts, ", ")
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}
