package haproxysock

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
)

// ScanCSV reads statistics that somebody else has fetched: from a statistics
// page with ";csv", or from a file that "show stat" was saved in. The table ends
// with r, or at an empty line, and behind whole lines only. name says in errors
// where it is from; filters, columns and row are as for [Client.ScanStats].
//
// Management Guide, 9.1 "CSV format".
func ScanCSV(r io.Reader, name string, filters []StatFilter, columns []string, row func(*StatScanner) error) error {
	a := newAnswer(r, name, []string{"the table"})
	defer a.release()
	wanted := append([]string{"pxname", "type", "sid"}, columns...)
	header, err := a.line()
	if network := (*readError)(nil); errors.As(err, &network) {
		return network.err
	}
	if cut := (*ProtocolError)(nil); errors.As(err, &cut) {
		if strings.HasPrefix(cut.Got, statHead) {
			return a.garbled(cut.Got, "statistics; these were cut off in the names of the columns")
		}
		header = []byte(cut.Got) // a page of HTML may be one line without an end
	}
	if !bytes.HasPrefix(header, []byte(statHead)) {
		return a.garbled(string(header), "statistics, which begin with "+statHead)
	}
	found, empty := make([]bool, len(filters)), true
	s := newStatScanner(header, a.lineOrEnd, wanted)
	if missing := s.missingOf(3); missing != "" {
		return a.garbled(string(header), "a column "+missing)
	}
	shown := s.behind(3)
	err = a.statTable(s, "", func(s *StatScanner) error {
		empty = false
		matched := len(filters) == 0
		for i, f := range filters {
			if f.matchesProxy(s) {
				found[i] = true
				matched = matched || f.matches(s)
			}
		}
		if !matched {
			return nil
		}
		shown.pos, shown.text, shown.row = s.pos, s.text, s.row
		return row(shown)
	})
	if i := slices.Index(found, false); err == nil && i >= 0 && filters[i].Proxy != "" {
		return &CommandError{Addr: name, Command: "proxy " + filters[i].Proxy, Reply: "No such proxy."}
	}
	if err == nil && empty { // no HAProxy is without any proxy
		return a.garbled(string(header), "rows below the names of the columns")
	}
	return unwrapRead(err)
}

// unwrapRead gives the error of the reader itself.
func unwrapRead(err error) error {
	if network := (*readError)(nil); errors.As(err, &network) {
		return network.err
	}
	return err
}

// lineOrEnd is line where a table may also end with the stream.
func (a *answer) lineOrEnd() ([]byte, error) {
	if _, err := a.r.Peek(1); err == io.EOF {
		return nil, errReplyEnd
	}
	return a.line()
}

// behind is a scanner of the same rows without the first n wanted columns.
func (s *StatScanner) behind(n int) *StatScanner {
	return &StatScanner{wanted: s.wanted[n:], columns: s.columns[n:], width: s.width}
}

// matchesProxy and matches hold a row against f; the scanner's first columns are
// pxname, type and sid.
func (f StatFilter) matchesProxy(s *StatScanner) bool {
	return f.Proxy == "" || string(s.Bytes(0)) == f.Proxy
}

func (f StatFilter) matches(s *StatScanner) bool {
	kind, _ := s.Int(1)
	id, _ := s.Int(2)
	return (f.Kinds == 0 || f.Kinds == AllKinds || f.Kinds&rowKind(kind) != 0) && (f.Server == 0 || int64(f.Server) == id)
}
