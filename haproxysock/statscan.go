package haproxysock

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
)

// A StatScanner goes through the rows of "show stat" and keeps none of them: a
// row's fields are views into a buffer that the next row overwrites. Only the
// columns asked for are looked at.
//
// Columns are found by the names in the first line. Their number and order
// depend on HAProxy's version, its build and its modules.
//
// Management Guide, 9.1 "CSV format".
type StatScanner struct {
	next    func() ([]byte, error) // the next line, without its line break
	wanted  []string
	columns []span // of each of wanted
	width   int    // of the table
	stops   []int  // which commas of a row to find, counted from 1, ascending
	pos     []int  // where they are, behind a first one in front of the row
	row     []byte // as it came
	text    []byte // what pos is about: row, or decoded
	decoded []byte // row without its quotes
	err     error
}

// A span is a column: what lies between two of pos. The zero span is a column
// that the table does not have.
type span struct{ begin, end int }

const statHead = "# pxname,svname,"

// newStatScanner reads the header line and looks for the columns by name. A
// column the table does not have has empty fields. Of two columns with one name,
// such as "-", the first one counts.
func newStatScanner(header []byte, next func() ([]byte, error), columns []string) *StatScanner {
	s := &StatScanner{next: next, wanted: columns, columns: make([]span, len(columns))}
	s.stops = make([]int, 0, 2*len(columns))
	names := bytes.TrimSuffix(bytes.TrimPrefix(header, []byte("# ")), []byte(","))
	s.width = bytes.Count(names, []byte(",")) + 1
	left := len(columns)
	for at := 0; at < s.width && left > 0; at++ {
		var name []byte
		name, names, _ = bytes.Cut(names, []byte(","))
		for i, column := range columns {
			if s.columns[i].end == 0 && string(name) == column {
				s.columns[i] = span{s.stopAt(at), s.stopAt(at + 1)}
				left--
			}
		}
	}
	s.pos = make([]int, len(s.stops)+1)
	s.pos[0] = -1
	return s
}

// stopAt gives the place in pos of the n-th comma. Commas are asked for in
// ascending order.
func (s *StatScanner) stopAt(n int) int {
	if n == 0 {
		return 0
	}
	if i := slices.Index(s.stops, n); i >= 0 {
		return i + 1
	}
	s.stops = append(s.stops, n)
	return len(s.stops)
}

// missing names a column that was wanted and is not in the table, or none.
func (s *StatScanner) missing() string { return s.missingOf(len(s.columns)) }

// missingOf is missing among the first n.
func (s *StatScanner) missingOf(n int) string {
	for i, c := range s.columns[:n] {
		if c.end == 0 {
			return s.wanted[i]
		}
	}
	return ""
}

// Has reports whether the table has the i-th wanted column.
func (s *StatScanner) Has(i int) bool { return s.columns[i].end != 0 }

// Scan reads the next row, and says whether there was one.
func (s *StatScanner) Scan() bool {
	if s.err != nil {
		return false
	}
	row, err := s.next()
	if err != nil {
		s.err = err
		return false
	}
	s.row, s.text = row, row
	found := 0
	if bytes.IndexByte(row, '"') < 0 {
		found = findCommas(row, s.stops, s.pos[1:])
	} else {
		s.decoded, found = unquoteRow(s.decoded[:0], row, s.stops, s.pos[1:])
		s.text = s.decoded
	}
	if found < len(s.stops) {
		s.err = errShortRow
		return false
	}
	return true
}

// findCommas puts into pos where those commas of row are that stops names,
// counted from 1 and ascending, and returns how many of them there are. It looks
// at eight bytes at a time.
func findCommas(row []byte, stops, pos []int) int {
	const (
		low7   = 0x7f7f7f7f7f7f7f7f
		commas = 0x2c2c2c2c2c2c2c2c
	)
	pos = pos[:len(stops)]
	found, seen, i := 0, 0, 0
	for ; i+8 <= len(row) && found < len(stops); i += 8 {
		x := binary.LittleEndian.Uint64(row[i:]) ^ commas
		hits := ^((x&low7 + low7) | x | low7) // the high bit of each byte that is a comma
		here := seen + bits.OnesCount64(hits)
		for found < len(stops) && stops[found] <= here {
			for seen++; seen < stops[found]; seen++ {
				hits &= hits - 1
			}
			pos[found] = i + bits.TrailingZeros64(hits)/8
			hits &= hits - 1
			found++
		}
		seen = here
	}
	for ; i < len(row) && found < len(stops); i++ {
		if row[i] != ',' {
			continue
		}
		if seen++; seen == stops[found] {
			pos[found] = i
			found++
		}
	}
	return found
}

// unquoteRow appends to text a row in which fields are quoted, without the
// quotes: such a field may hold commas, and a doubled quote stands for one. As
// findCommas does, it tells where in text those commas are that end a field.
//
// RFC 4180, without line breaks.
func unquoteRow(text, row []byte, stops, pos []int) ([]byte, int) {
	found, seen, quoted := 0, 0, false
	for i := 0; i < len(row); i++ {
		c := row[i]
		switch {
		case c == '"' && quoted && i+1 < len(row) && row[i+1] == '"':
			i++
		case c == '"':
			quoted = !quoted
			continue
		case c == ',' && !quoted:
			if seen++; found < len(stops) && seen == stops[found] {
				pos[found] = len(text)
				found++
			}
		}
		text = append(text, c)
	}
	return text, found
}

// Bytes is the field of the i-th wanted column, empty if HAProxy has nothing to
// say there. It is valid until the next Scan.
func (s *StatScanner) Bytes(i int) []byte {
	c := s.columns[i]
	if c.end == 0 {
		return nil
	}
	begin, end := s.pos[c.begin]+1, s.pos[c.end]
	return s.text[begin:end:end]
}

// Text is a copy of the field of the i-th wanted column.
func (s *StatScanner) Text(i int) string { return string(s.Bytes(i)) }

// Int is the field of the i-th wanted column as a number, and false if it is
// empty or not one.
func (s *StatScanner) Int(i int) (int64, bool) {
	c := s.columns[i]
	if c.end == 0 {
		return 0, false
	}
	begin, end := s.pos[c.begin]+1, s.pos[c.end]
	if n := end - begin; 0 < n && n <= 8 && end >= 8 {
		if number, ok := lastDigits(s.text[end-8:end], n); ok {
			return number, true
		}
	}
	return parseInt(s.text[begin:end])
}

// lastDigits reads the last n of eight bytes as a number, all at once: most
// numbers are that short, and of lengths that no branch can foresee.
func lastDigits(eight []byte, n int) (int64, bool) {
	const each = 0x0101010101010101
	x := binary.LittleEndian.Uint64(eight) ^ '0'*each // the first byte is the lowest
	x = x >> (64 - 8*n) << (64 - 8*n)                 // zeros in front of the n
	if (x+(0x7f-9)*each|x)&(0x80*each) != 0 {
		return 0, false // a byte above 9
	}
	x = x*10 + x>>8 // two digits in every other byte
	x = (x&0x000000ff000000ff)*(100+1000000<<32) + (x>>16&0x000000ff000000ff)*(1+10000<<32)
	return int64(x >> 32), true
}

// parseInt is strconv.ParseInt for bytes, base 10, without an allocation.
func parseInt(b []byte) (int64, bool) {
	digits := b
	if len(b) > 0 && b[0] == '-' {
		digits = b[1:]
	}
	if len(digits) == 0 || len(digits) > 19 {
		return 0, false
	}
	var n uint64
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	if len(digits) < len(b) {
		return -int64(n), n <= 1<<63
	}
	return int64(n), n < 1<<63
}
