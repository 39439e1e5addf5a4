package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// A load sends requests at a fixed rate, each on a connection of its own,
// whether or not the ones before it have been answered. A slow answer
// therefore never makes the load lighter, and latencies count from the moment
// at which the request was due.
type load struct {
	rate   int
	client *http.Client

	mu     sync.Mutex
	all    []*target
	inUse  []*target // the load balancers in turn; none: send nothing
	turn   int
	period *period
}

type target struct {
	name, url string
	inFlight  sync.WaitGroup
}

// A period counts the requests that were sent between two cuts.
type period struct {
	inFlight sync.WaitGroup

	mu        sync.Mutex
	sent      int
	latencies []time.Duration // of the answered ones
	answers   map[string]int  // server → requests it answered
	failures  map[string]int  // what went wrong → how often
}

func newPeriod() *period {
	return &period{answers: map[string]int{}, failures: map[string]int{}}
}

// newLoad returns a load of rate requests a second. It sends nothing before
// use says where to.
func newLoad(rate int, urls map[string]string) *load {
	l := &load{
		rate:   rate,
		client: &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}},
		period: newPeriod(),
	}
	for name, url := range urls {
		l.all = append(l.all, &target{name: name, url: url})
	}
	slices.SortFunc(l.all, func(a, b *target) int { return strings.Compare(a.name, b.name) })
	return l
}

// run sends until ctx ends. The requests under way end with it.
func (l *load) run(ctx context.Context) {
	var inFlight sync.WaitGroup
	defer inFlight.Wait()
	gap := time.Second / time.Duration(l.rate)
	t := time.NewTicker(gap)
	defer t.Stop()
	due := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-t.C:
			// A ticker drops ticks that nobody took; the schedule does not.
			for ; !due.After(now); due = due.Add(gap) {
				l.send(ctx, due, &inFlight)
			}
		}
	}
}

func (l *load) send(ctx context.Context, due time.Time, inFlight *sync.WaitGroup) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.inUse) == 0 {
		return
	}
	to, p := l.inUse[l.turn%len(l.inUse)], l.period
	l.turn++
	p.inFlight.Add(1)
	to.inFlight.Add(1)
	inFlight.Go(func() {
		defer to.inFlight.Done()
		defer p.inFlight.Done()
		server, err := l.get(ctx, to)
		p.count(server, time.Since(due), err)
	})
}

// get asks one load balancer and returns which server has answered.
func (l *load) get(ctx context.Context, to *target) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, to.url, nil)
	if err != nil {
		return "", err
	}
	resp, err := l.client.Do(req)
	if err != nil {
		return "", fmt.Errorf("%s: %w", to.name, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err != nil {
		return "", fmt.Errorf("%s: %w", to.name, err)
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", to.name, resp.Status)
	}
	return strings.TrimSpace(string(body)), nil
}

func (p *period) count(server string, took time.Duration, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent++
	if err != nil {
		p.failures[err.Error()]++
		return
	}
	p.answers[server]++
	p.latencies = append(p.latencies, took)
}

// use sends what comes from now on to the named load balancers only, in turn,
// and returns when nothing is under way to the others any more.
func (l *load) use(names ...string) {
	l.mu.Lock()
	l.inUse = nil
	var left []*target
	for _, t := range l.all {
		if slices.Contains(names, t.name) {
			l.inUse = append(l.inUse, t)
		} else {
			left = append(left, t)
		}
	}
	l.mu.Unlock()
	for _, t := range left {
		t.inFlight.Wait()
	}
}

// cut begins a new period and returns the counts of the old one, once all that
// was sent in it has been answered or has failed.
func (l *load) cut() counts {
	l.mu.Lock()
	p := l.period
	l.period = newPeriod()
	l.mu.Unlock()
	p.inFlight.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return counts{sent: p.sent, latencies: p.latencies, answers: p.answers, failures: p.failures}
}

// counts are what became of the requests that were sent in one period.
type counts struct {
	sent      int
	latencies []time.Duration
	answers   map[string]int
	failures  map[string]int
}

func (c counts) failed() int {
	n := 0
	for _, k := range c.failures {
		n += k
	}
	return n
}

// add returns the counts of both.
func (c counts) add(d counts) counts {
	sum := counts{
		sent:      c.sent + d.sent,
		latencies: slices.Concat(c.latencies, d.latencies),
		answers:   map[string]int{},
		failures:  map[string]int{},
	}
	for _, from := range []counts{c, d} {
		for k, n := range from.answers {
			sum.answers[k] += n
		}
		for k, n := range from.failures {
			sum.failures[k] += n
		}
	}
	return sum
}

// percentile returns the smallest latency that p percent of the answered
// requests did not exceed (nearest rank), and 0 if none was answered.
func (c counts) percentile(p float64) time.Duration {
	if len(c.latencies) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(c.latencies))
	rank := int(p/100*float64(len(sorted)) + 0.999999)
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// shown is a percentile for people: there is none where nothing was answered.
func (c counts) shown(p float64) string {
	if len(c.latencies) == 0 {
		return "–"
	}
	return millis(c.percentile(p))
}

// String says it in one line.
func (c counts) String() string {
	s := fmt.Sprintf("%d requests, %d failed, p50 %s, p99 %s",
		c.sent, c.failed(), c.shown(50), c.shown(99))
	for i, name := range sortedKeys(c.answers) {
		sep := ", "
		if i == 0 {
			sep = "; answered by "
		}
		s += fmt.Sprintf("%s%s %d", sep, name, c.answers[name])
	}
	return s
}
