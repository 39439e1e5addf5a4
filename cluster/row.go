package cluster

import (
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
	table  *table
	first  int // of its cells, one a column
	// disabled means that the file says "disabled", as far as was asked.
	disabled bool
}

// A table is what the rows of one report share.
type table struct {
	columns []string
	has     []bool // whether the source's table has the column
	cells   []cell // of all rows
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
	switch c := r.table.cells[r.first+i]; c.kind {
	case numberCell:
		return int(c.n)
	case textCell:
		return r.table.text[c.n : c.n+int64(c.size)]
	}
	return nil
}

// number is the i-th column, and false where it is no number or i is negative.
func (r *Row) number(i int) (int, bool) {
	if i < 0 {
		return 0, false
	}
	c := &r.table.cells[r.first+i]
	return int(c.n), c.kind == numberCell
}

// String is the row's name, for messages.
func (r *Row) String() string { return r.Proxy + "/" + r.Name }
