package cluster

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
)

// A Row is what one source says of a frontend, backend, server or listener.
//
// Management Guide, 9.1 "CSV format".
type Row struct {
	Kind   haproxysock.Kind
	Proxy  string // the frontend or backend that it belongs to
	Name   string // FRONTEND, BACKEND, or the server's or listener's name
	Status haproxysock.Status
	cells  []cell // one a column of the table
	table  *table
}

// A table is what the rows of one report share.
type table struct {
	columns []string
	has     []bool // whether the source's table has the column
	text    string // of all cells that are no numbers, one behind the other
}

// A cell is one field: a number, or a part of its table's text.
type cell struct {
	kind cellKind
	size uint32 // of the text
	n    int64  // the number, or where the text begins
}

type cellKind uint8

const (
	emptyCell cellKind = iota
	numberCell
	textCell
)

// Column is what stands in a column, by HAProxy's name: an int, a string (where
// it is no whole number), or nil where it is empty, was not asked for or is not
// known to this HAProxy.
func (r *Row) Column(name string) any {
	if r.table == nil {
		return nil
	}
	if i := slices.Index(r.table.columns, name); i >= 0 {
		return r.at(i)
	}
	return nil
}

// Columns are the names of those columns that were asked for and that this
// HAProxy has, in the order of [Need.Columns].
func (r *Row) Columns() []string {
	var names []string
	if r.table != nil {
		for i, name := range r.table.columns {
			if r.table.has[i] {
				names = append(names, name)
			}
		}
	}
	return names
}

func (r *Row) at(i int) any {
	switch c := r.cells[i]; c.kind {
	case numberCell:
		return int(c.n)
	case textCell:
		return r.table.text[c.n : c.n+int64(c.size)]
	}
	return nil
}

// number is the i-th column, 0 where it is no number.
func (r *Row) number(i int) (int, bool) {
	if i < 0 || r.cells[i].kind != numberCell {
		return 0, false
	}
	return int(r.cells[i].n), true
}

// String is the row's name, for messages.
func (r *Row) String() string { return r.Proxy + "/" + r.Name }

// The columns that a builder scans in front of those that were asked for.
var rowColumns = []string{"pxname", "svname", "type", "status"}

// everywhere are columns that every HAProxy has, and without which capacity would
// be told wrongly.
var everywhere = []string{"weight", "bck"}

// A builder makes rows of what a scanner sees. It copies what it keeps.
type builder struct {
	table    *table
	rows     []Row
	cells    []cell
	text     []byte
	names    []uint32 // lengths of the rows' names, whose bytes stand in nameText
	nameText []byte
	statuses []haproxysock.Status // few are different
	seen     bool
}

func newBuilder(columns []string) *builder {
	return &builder{table: &table{columns: columns, has: make([]bool, len(columns))}}
}

// add takes in the scanner's row.
func (b *builder) add(s *haproxysock.StatScanner) error {
	if !b.seen {
		b.seen = true
		for i, name := range rowColumns {
			if !s.Has(i) {
				return fmt.Errorf("statistics without a column %q", name)
			}
		}
		for i, name := range b.table.columns {
			b.table.has[i] = s.Has(len(rowColumns) + i)
			if !b.table.has[i] && slices.Contains(everywhere, name) {
				return fmt.Errorf("statistics without a column %q", name)
			}
		}
	}
	kind, ok := s.Int(2)
	if !ok || kind < 0 || kind > 3 {
		return fmt.Errorf("row %q of type %q: want a number from 0 to 3", s.Text(0)+"/"+s.Text(1), s.Text(2))
	}
	row := Row{Kind: haproxysock.Kind(1) << kind, Proxy: b.proxy(s.Bytes(0)), Status: b.status(s.Bytes(3)), table: b.table}
	name := s.Bytes(1)
	b.names = append(b.names, uint32(len(name)))
	b.nameText = append(b.nameText, name...)
	for i := range b.table.columns {
		c := cell{}
		at := len(rowColumns) + i
		if n, ok := s.Int(at); ok {
			c = cell{kind: numberCell, n: n}
		} else if text := s.Bytes(at); len(text) > 0 {
			c = cell{kind: textCell, n: int64(len(b.text)), size: uint32(len(text))}
			b.text = append(b.text, text...)
		}
		b.cells = append(b.cells, c)
	}
	b.rows = append(b.rows, row)
	return nil
}

// proxy is name as a string, the last row's where it is the same.
func (b *builder) proxy(name []byte) string {
	if n := len(b.rows); n > 0 && b.rows[n-1].Proxy == string(name) {
		return b.rows[n-1].Proxy
	}
	return string(name)
}

func (b *builder) status(text []byte) haproxysock.Status {
	text = bytes.TrimSpace(text)
	for _, s := range b.statuses {
		if string(s) == string(text) {
			return s
		}
	}
	s := haproxysock.Status(text)
	if len(b.statuses) < 16 { // a hostile table may have as many as rows
		b.statuses = append(b.statuses, s)
	}
	return s
}

// finish gives the rows. The builder is used up.
func (b *builder) finish() []Row {
	b.table.text = string(b.text)
	names, width := string(b.nameText), len(b.table.columns)
	for i := range b.rows {
		r := &b.rows[i]
		r.Name, names = names[:b.names[i]], names[b.names[i]:]
		r.cells = b.cells[i*width : (i+1)*width : (i+1)*width]
	}
	return b.rows
}
