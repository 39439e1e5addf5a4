package haproxypage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
)

// maxTable is what a table may have at most, unpacked: 300,000 servers and more.
const maxTable = 64 << 20

// ScanStats asks for the page's table and calls row for each row that filters
// let through (for all, without one); the scanner has the fields of columns, in
// that order. Filters of one proxy have HAProxy leave the others out. An error
// of row ends it and comes back. A page that refuses, and a proxy that does not
// exist, is a *haproxysock.CommandError; whatever is not a whole table is a
// *haproxysock.ProtocolError, or the network's error where it broke off.
//
// Management Guide, 9.1 "CSV format".
func (p *Page) ScanStats(ctx context.Context, filters []haproxysock.StatFilter, columns []string, row func(*haproxysock.StatScanner) error) error {
	ctx, cancel := context.WithTimeout(ctx, p.timeout())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.table(scopeOf(filters)), nil)
	if err != nil {
		return fmt.Errorf("%s: %w", p, err)
	}
	resp, err := p.do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return p.refusedWith(resp)
	}
	body := &body{r: http.MaxBytesReader(nil, resp.Body, maxTable), wrap: func(err error) error {
		if tooLong := (*http.MaxBytesError)(nil); errors.As(err, &tooLong) {
			return &haproxysock.ProtocolError{Addr: p.String(), Command: req.Method, Got: "too long a table", Want: fmt.Sprintf("at most %d bytes", maxTable)}
		}
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = fmt.Errorf("the table was cut off: %w", err)
		}
		return p.unanswered(ctx, req.Method, err)
	}}
	return haproxysock.ScanCSV(body, p.String(), filters, columns, row)
}

// scopeOf is the proxy that all filters are about, or none.
func scopeOf(filters []haproxysock.StatFilter) string {
	if len(filters) == 0 {
		return ""
	}
	for _, f := range filters {
		// A name that no proxy can have is left to the table, where it is not.
		if f.Proxy != filters[0].Proxy || (haproxysock.ServerName{Backend: f.Proxy, Server: "x"}).Validate() != nil {
			return ""
		}
	}
	return filters[0].Proxy
}

// A body makes its errors ours, so that they are told from those of a row.
type body struct {
	r    io.Reader
	wrap func(error) error
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if err != nil && err != io.EOF {
		err = b.wrap(err)
	}
	return n, err
}

func (p *Page) refused(what, reply string) error {
	return &haproxysock.CommandError{Addr: p.String(), Command: what, Reply: reply}
}

// refusedWith tells of an answer whose status is not the wanted one.
func (p *Page) refusedWith(resp *http.Response) error {
	reply := fmt.Sprintf("%d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	switch {
	case resp.StatusCode == http.StatusServiceUnavailable: // HAProxy's word where no page is
		return fmt.Errorf("%s: %q unanswered: %s: want the path that stands at \"stats uri\"", p, resp.Request.Method, reply)
	case resp.StatusCode > 500: // somebody's on the way, who may find HAProxy the next time
		return fmt.Errorf("%s: %q unanswered: %s", p, resp.Request.Method, reply)
	}
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		if p.hasUser {
			reply += ": wrong user or password"
		} else {
			reply += ": the page wants a user and a password, as user:password and an \"@\" in front of the host"
		}
	case http.StatusNotFound:
		reply += ": want the path that stands at \"stats uri\""
	}
	return p.refused(resp.Request.Method, reply)
}
