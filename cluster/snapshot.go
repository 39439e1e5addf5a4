package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
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
	// or has nothing to tell of ("disabled"). Proxies are then the ones it has.
	Missing []string
	Proxies []string

	backends  []backend
	frontends []*Row
	list      []any // backends, as expressions want them
	names     []Row // of Proxies
}

// A backend is its row and its servers'.
type backend struct {
	*Row
	servers []Row
}

// Snapshot asks every source at once, each with its own deadline. A source that
// fails is a report with its error.
func (c *Cluster) Snapshot(ctx context.Context, need Need) *Snapshot {
	s := &Snapshot{Taken: time.Now(), Reports: make([]Report, len(c.Sources))}
	timeout := c.Timeout
	if timeout == 0 {
		timeout = defaultTimeout
	}
	var all sync.WaitGroup
	for i, source := range c.Sources {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, timeout)
			defer cancel()
			begin := time.Now()
			r := &s.Reports[i]
			*r = ask(ctx, source, need)
			r.Source, r.Took = source.String(), time.Since(begin)
		})
	}
	all.Wait()
	return s
}

// ask asks one source. Where it does not have a proxy, it is asked for the names
// of those it has, and for the others again.
func ask(ctx context.Context, source Source, need Need) Report {
	r, err := scan(ctx, source, need)
	if err == nil || errors.Is(err, haproxysock.ErrNoBackend) {
		if err != nil || len(r.absent(need.Filters)) > 0 {
			r, err = askKnown(ctx, source, need)
		}
	}
	if err != nil {
		return Report{Err: fmt.Errorf("%s: %w", source, bare(err, source))}
	}
	r.group()
	r.findDisabled(ctx, source)
	return r
}

// findDisabled asks the state tables of those backends that may have servers that
// the file says "disabled", if the need was about capacity. Without an answer
// these servers count.
func (r *Report) findDisabled(ctx context.Context, source Source) {
	tables, ok := source.(interface {
		ScanServerStates(ctx context.Context, backend string, each func(*haproxysock.ServerState) error) error
	})
	if !ok {
		return
	}
	for _, b := range r.backends {
		at := capacityAt(b.Row, b.servers)
		oldest := at.oldest(b.Row, b.servers)
		unused := map[string]*Row{}
		for i := range b.servers {
			if s := &b.servers[i]; s.Status == "MAINT" && at.unused(s, oldest) {
				unused[s.Name] = s
			}
		}
		if len(unused) == 0 {
			continue
		}
		tables.ScanServerStates(ctx, b.Proxy, func(state *haproxysock.ServerState) error {
			if s := unused[state.Name.Server]; s != nil {
				s.disabled = state.Admin&haproxysock.ConfiguredMaint != 0
			}
			return nil
		})
	}
}

// bare is err as it stands; those of haproxysock begin with the address already.
func bare(err error, source Source) error {
	prefix := source.String() + ": "
	if text := err.Error(); len(text) > len(prefix) && text[:len(prefix)] == prefix {
		return &shorter{err, text[len(prefix):]}
	}
	return err
}

// shorter is an error without the address in front.
type shorter struct {
	error
	text string
}

func (e *shorter) Error() string { return e.text }
func (e *shorter) Unwrap() error { return e.error }

func askKnown(ctx context.Context, source Source, need Need) (Report, error) {
	names, err := scan(ctx, source, Need{Filters: []haproxysock.StatFilter{
		{Kinds: haproxysock.Frontends | haproxysock.Backends}}})
	if err != nil {
		return Report{}, err
	}
	var known, missing []haproxysock.StatFilter
	for _, f := range need.Filters {
		if f.Proxy == "" || names.has(ownerOf(f)) {
			known = append(known, f)
		} else {
			missing = append(missing, f)
		}
	}
	var r Report
	if len(known) > 0 {
		if r, err = scan(ctx, source, Need{Filters: known, Columns: need.Columns}); err != nil {
			return Report{}, err
		}
	}
	for _, f := range r.absent(known) {
		if f.Kinds&(haproxysock.Frontends|haproxysock.Backends) != 0 { // else it has no servers, or no listeners
			missing = append(missing, f)
		}
	}
	for _, f := range missing {
		r.Missing = append(r.Missing, f.Proxy)
	}
	r.names = names.Rows
	for _, row := range names.Rows {
		if !slices.Contains(r.Proxies, row.Proxy) {
			r.Proxies = append(r.Proxies, row.Proxy)
		}
	}
	if len(r.Proxies) == 0 {
		return Report{}, errors.New("an empty table: no frontend and no backend")
	}
	return r, nil
}

// scan asks once.
func scan(ctx context.Context, source Source, need Need) (Report, error) {
	b := newBuilder(need.Columns)
	defer b.release()
	err := source.ScanStats(ctx, need.Filters, append(slices.Clone(rowColumns), need.Columns...), b.add)
	if err != nil {
		return Report{}, err
	}
	rows := b.finish()
	if len(rows) == 0 && len(need.Filters) == 0 {
		return Report{}, errors.New("an empty table")
	}
	return Report{Rows: rows}, nil
}

// absent are the filters by name that no row came for.
func (r *Report) absent(filters []haproxysock.StatFilter) []haproxysock.StatFilter {
	var absent []haproxysock.StatFilter
	for _, f := range filters {
		if f.Proxy != "" && !r.has(f) {
			absent = append(absent, f)
		}
	}
	return absent
}

// ownerOf asks for what has the servers or listeners that f asks for alone.
func ownerOf(f haproxysock.StatFilter) haproxysock.StatFilter {
	switch f.Kinds {
	case haproxysock.Servers:
		f.Kinds = haproxysock.Backends
	case haproxysock.Listeners:
		f.Kinds = haproxysock.Frontends
	}
	return f
}

// has reports whether there is a frontend or backend such as f asks for.
func (r *Report) has(f haproxysock.StatFilter) bool {
	want := f.Kinds & (haproxysock.Frontends | haproxysock.Backends)
	if want == 0 {
		want = haproxysock.AllKinds
	}
	for i := range r.Rows {
		if row := &r.Rows[i]; row.Proxy == f.Proxy && row.Kind&want != 0 {
			return true
		}
	}
	return false
}

// group finds each backend with its servers. HAProxy tells of a proxy in one
// piece, the backend's row last.
func (r *Report) group() {
	first := 0
	for i := range r.Rows {
		row := &r.Rows[i]
		if first < i && row.Proxy != r.Rows[first].Proxy || row.Kind&haproxysock.Servers == 0 && row.Kind&haproxysock.Backends == 0 {
			first = i
		}
		switch row.Kind {
		case haproxysock.Frontends:
			r.frontends = append(r.frontends, row)
			first = i + 1
		case haproxysock.Listeners:
			first = i + 1
		case haproxysock.Backends:
			r.backends = append(r.backends, backend{row, r.Rows[first:i:i]})
			first = i + 1
		}
	}
	r.list = make([]any, len(r.backends))
	for i := range r.backends {
		r.list[i] = &r.backends[i]
	}
}

// backend finds a backend by its name.
func (r *Report) backend(name string) *backend {
	for i := range r.backends {
		if r.backends[i].Proxy == name {
			return &r.backends[i]
		}
	}
	return nil
}

// frontend finds a frontend by its name.
func (r *Report) frontend(name string) *Row {
	for _, f := range r.frontends {
		if f.Proxy == name {
			return f
		}
	}
	return nil
}

// Err says which sources did not answer, and why; nil if all did.
func (s *Snapshot) Err() error {
	var errs []error
	for i := range s.Reports {
		errs = append(errs, s.Reports[i].Err)
	}
	return errors.Join(errs...)
}
