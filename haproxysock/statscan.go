package haproxysock

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
	"strings"
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
	order   []int // wanted columns as the table has them, ascending
	slot    []int // for each of order, which of wanted it is; two may share a column
	fields  [][]byte
	width   int
	row     []byte
	decoded []byte // a row that has quotes, without them
	err     error
}

const statHead = "# pxname,svname,"

// newStatScanner reads the header line and looks for the columns by name. A
// column the table does not have has empty fields.
func newStatScanner(header []byte, next func() ([]byte, error), columns []string) *StatScanner {
	s := &StatScanner{next: next, wanted: columns, fields: make([][]byte, len(columns))}
	names := strings.Split(strings.TrimPrefix(strings.TrimRight(string(header), "\r"), "# "), ",")
	s.width = len(names) - 1 // a comma stands behind the last name too
	for at, name := range names[:s.width] {
		for slot, column := range columns {
			if column == name && !slices.Contains(s.slot, slot) {
				s.order = append(s.order, at)
				s.slot = append(s.slot, slot)
			}
		}
	}
	return s
}

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
	s.row = row
	if bytes.IndexByte(row, '"') >= 0 {
		return s.scanQuoted(row)
	}
	pos, column := 0, 0
	for i, at := range s.order {
		if skip := at - column; skip > 0 {
			n := afterCommas(row[pos:], skip)
			if n < 0 {
				return s.tooShort()
			}
			pos, column = pos+n, at
		}
		n := bytes.IndexByte(row[pos:], ',')
		if n < 0 {
			return s.tooShort()
		}
		s.fields[s.slot[i]] = row[pos : pos+n : pos+n]
	}
	return true
}

func (s *StatScanner) tooShort() bool {
	s.err = errShortRow
	return false
}

// afterCommas gives the index behind the n-th comma of b, or -1, looking at
// eight bytes at a time.
func afterCommas(b []byte, n int) int {
	const (
		low7   = 0x7f7f7f7f7f7f7f7f
		commas = 0x2c2c2c2c2c2c2c2c
	)
	i := 0
	for ; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:]) ^ commas
		found := ^((x&low7 + low7) | x | low7) // the high bit of each byte that is a comma
		count := bits.OnesCount64(found)
		if count < n {
			n -= count
			continue
		}
		for ; n > 1; n-- {
			found &= found - 1
		}
		return i + bits.TrailingZeros64(found)/8 + 1
	}
	for ; i < len(b); i++ {
		if b[i] == ',' {
			if n--; n == 0 {
				return i + 1
			}
		}
	}
	return -1
}

// scanQuoted reads a row in which a field is quoted: it may hold commas, and
// doubled quotes stand for one. RFC 4180 without line breaks.
func (s *StatScanner) scanQuoted(row []byte) bool {
	s.decoded = s.decoded[:0]
	ends := make([]int, 0, s.width)
	for quoted, i := false, 0; i < len(row); i++ {
		switch c := row[i]; {
		case c == '"' && quoted && i+1 < len(row) && row[i+1] == '"':
			s.decoded = append(s.decoded, '"')
			i++
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			ends = append(ends, len(s.decoded))
		default:
			s.decoded = append(s.decoded, c)
		}
	}
	for i, at := range s.order {
		if at >= len(ends) {
			return s.tooShort()
		}
		begin := 0
		if at > 0 {
			begin = ends[at-1]
		}
		s.fields[s.slot[i]] = s.decoded[begin:ends[at]:ends[at]]
	}
	return true
}

// Bytes is the field of the i-th wanted column, empty if HAProxy has nothing to
// say there. It is valid until the next Scan.
func (s *StatScanner) Bytes(i int) []byte { return s.fields[i] }

// Text is a copy of the field of the i-th wanted column.
func (s *StatScanner) Text(i int) string { return string(s.fields[i]) }

// Int is the field of the i-th wanted column as a number, and false if it is
// empty or not one.
func (s *StatScanner) Int(i int) (int64, bool) { return parseInt(s.fields[i]) }

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
