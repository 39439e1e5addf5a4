package cluster

import (
	"bytes"
	"fmt"
	"slices"
	"sync"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
)

// rowColumns are scanned in front of those that were asked for.
var rowColumns = []string{"pxname", "svname", "type", "status"}

// everywhere are columns that every HAProxy has, and without which capacity would
// be told wrongly.
var everywhere = []string{"weight", "bck"}

// A builder makes rows of what a scanner sees. It copies what it keeps, first
// into memory that the next builder gets.
type builder struct {
	table *table
	*scratch
	proxies  []string
	statuses []haproxysock.Status
	seen     bool
}

// A scratch holds rows that are still coming: how many is known at the end.
type scratch struct {
	rows  []rawRow
	cells []cell
	names []byte
	text  []byte
}

type rawRow struct {
	kind          haproxysock.Kind
	proxy, status uint32 // places in the builder's
	name          uint32 // its length
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

func newBuilder(columns []string) *builder {
	b := &builder{table: &table{columns: columns, has: make([]bool, len(columns))}, scratch: scratches.Get().(*scratch)}
	b.rows, b.cells, b.names, b.text = b.rows[:0], b.cells[:0], b.names[:0], b.text[:0]
	return b
}

// release hands the memory on. The builder is used up.
func (b *builder) release() {
	scratches.Put(b.scratch)
	b.scratch = nil
}

// add takes in the scanner's row.
func (b *builder) add(s *haproxysock.StatScanner) error {
	if !b.seen {
		b.seen = true
		if err := b.head(s); err != nil {
			return err
		}
	}
	kind, ok := s.Int(2)
	if !ok || kind < 0 || kind > 3 {
		return fmt.Errorf("row %q of type %q: want a number from 0 to 3", s.Text(0)+"/"+s.Text(1), s.Text(2))
	}
	name := s.Bytes(1)
	b.rows = append(b.rows, rawRow{
		kind:   haproxysock.Kind(1) << kind,
		proxy:  intern(&b.proxies, s.Bytes(0)),
		status: intern(&b.statuses, bytes.TrimSpace(s.Bytes(3))),
		name:   uint32(len(name)),
	})
	b.names = append(b.names, name...)
	for i := range b.table.columns {
		c := cell{}
		if n, ok := s.Int(len(rowColumns) + i); ok {
			c = cell{kind: numberCell, n: n}
		} else if text := s.Bytes(len(rowColumns) + i); len(text) > 0 {
			c = cell{kind: textCell, n: int64(len(b.text)), size: uint32(len(text))}
			b.text = append(b.text, text...)
		}
		b.cells = append(b.cells, c)
	}
	return nil
}

// head looks which columns there are.
func (b *builder) head(s *haproxysock.StatScanner) error {
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
	return nil
}

// intern gives the place of text in list, whose last words are looked at first:
// rows of one proxy stand together, and few statuses are different.
func intern[S ~string](list *[]S, text []byte) uint32 {
	all := *list
	for i := len(all) - 1; i >= 0 && i > len(all)-16; i-- {
		if string(all[i]) == string(text) {
			return uint32(i)
		}
	}
	*list = append(all, S(text))
	return uint32(len(all))
}

// finish gives the rows.
func (b *builder) finish() []Row {
	t := b.table
	t.cells, t.text = slices.Clone(b.cells), string(b.text)
	rows, names := make([]Row, len(b.rows)), string(b.names)
	for i, raw := range b.rows {
		rows[i] = Row{
			Kind:   raw.kind,
			Proxy:  b.proxies[raw.proxy],
			Name:   names[:raw.name],
			Status: b.statuses[raw.status],
			table:  t,
			first:  i * len(t.columns),
		}
		names = names[raw.name:]
	}
	return rows
}
