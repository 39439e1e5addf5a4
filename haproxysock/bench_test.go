package haproxysock_test

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
)

// sixteen are the columns a poller looks at: words first, then numbers.
var sixteen = []string{
	"pxname", "svname", "status", "check_status", "addr",
	"qcur", "scur", "smax", "stot", "bin", "bout", "econ", "eresp", "weight", "type", "rate",
}

const sixteenWords = 5

// statTable gives the header and rows that HAProxy 2.6.12 wrote, line by line.
func statTable(t testing.TB) []string {
	t.Helper()
	text, err := os.ReadFile("testdata/show-stat-2.6.12.csv")
	require.NoError(t, err)
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// busyStats is the reply to "show stat" of a backend that has been busy for
// long: a real server's row, so many times, with numbers of a size that busy
// servers have, some 450 bytes a row.
func busyStats(t testing.TB, rows int) []byte {
	t.Helper()
	table := statTable(t)
	names := strings.Split(strings.TrimPrefix(table[0], "# "), ",")
	var server []string
	for _, row := range table {
		if strings.HasPrefix(row, "app,app02,") {
			server = strings.Split(row, ",")
		}
	}
	require.Len(t, server, len(names))
	// Whatever small numbers stand for (states, ids, limits) stays.
	keep := "pid iid sid type act bck weight uweight check_rise check_fall check_health check_code"
	random := rand.New(rand.NewPCG(1, 2))
	var b bytes.Buffer
	b.WriteString(table[0] + "\n")
	for i := range rows {
		for at, field := range server[:len(server)-1] {
			_, err := strconv.Atoi(field)
			switch {
			case names[at] == "svname":
				field = fmt.Sprintf("srv%05d", i)
			case names[at] == "addr":
				field = fmt.Sprintf("10.%d.%d.%d:8080", i>>16, i>>8&255, i&255)
			case err == nil && !strings.Contains(" "+keep+" ", " "+names[at]+" "):
				digits := 3 + random.IntN(4)
				if strings.HasSuffix(names[at], "in") || strings.HasSuffix(names[at], "out") || strings.HasSuffix(names[at], "tot") {
					digits += 4
				}
				field = strconv.Itoa(random.IntN(9) + 1)
				for range digits - 1 {
					field += strconv.Itoa(random.IntN(10))
				}
			}
			b.WriteString(field + ",")
		}
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
	return b.Bytes()
}

var sizes = []int{10, 1000, 10000}

func BenchmarkStatParse(b *testing.B) {
	for _, rows := range sizes {
		text := busyStats(b, rows)
		b.Run(fmt.Sprintf("scanner/%drows", rows), func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			from := bytes.NewReader(text)
			for b.Loop() {
				from.Reset(text)
				seen, err := scanSixteen(from)
				if seen != rows || err != nil {
					b.Fatal(seen, err)
				}
			}
		})
		b.Run(fmt.Sprintf("csv/%drows", rows), func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			from := bytes.NewReader(text)
			for b.Loop() {
				from.Reset(text)
				seen, err := csvSixteen(from)
				if seen != rows || err != nil {
					b.Fatal(seen, err)
				}
			}
		})
	}
}

// total keeps the compiler from leaving work out.
var total int64

func scanSixteen(r io.Reader) (rows int, err error) {
	sum := int64(0)
	err = haproxysock.ReadStats(r, sixteen, func(s *haproxysock.StatScanner) error {
		for i := range sixteenWords {
			sum += int64(len(s.Bytes(i)))
		}
		for i := sixteenWords; i < len(sixteen); i++ {
			n, _ := s.Int(i)
			sum += n
		}
		rows++
		return nil
	})
	total = sum
	return rows, err
}

func csvSixteen(from io.Reader) (rows int, err error) {
	r := csv.NewReader(from)
	r.ReuseRecord = true
	header, err := r.Read()
	if err != nil {
		return 0, err
	}
	var at [16]int
	for i, name := range header {
		for k, column := range sixteen {
			if strings.TrimPrefix(name, "# ") == column {
				at[k] = i
			}
		}
	}
	sum := int64(0)
	for {
		record, err := r.Read()
		if err == io.EOF {
			total = sum
			return rows, nil
		}
		if err != nil {
			return rows, err
		}
		for _, i := range at[:sixteenWords] {
			sum += int64(len(record[i]))
		}
		for _, i := range at[sixteenWords:] {
			n, _ := strconv.ParseInt(record[i], 10, 64)
			sum += n
		}
		rows++
	}
}

// TestBusyStatsAreTheSame keeps the two sides of the benchmark comparable.
func TestBusyStatsAreTheSame(t *testing.T) {
	text := busyStats(t, 100)
	t.Logf("%d bytes a row", len(text)/100)
	rows, err := scanSixteen(bytes.NewReader(text))
	require.NoError(t, err)
	require.Equal(t, 100, rows)
	sum := total
	rows, err = csvSixteen(bytes.NewReader(text))
	require.NoError(t, err)
	require.Equal(t, 100, rows)
	require.Equal(t, total, sum)
}
