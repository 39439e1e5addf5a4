package haproxysock_test

import (
	"encoding/csv"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
)

// scan reads a table as a Client does and gives the fields of columns.
func scan(text string, columns ...string) (rows [][]string, err error) {
	err = haproxysock.ReadStats(strings.NewReader(text), columns, func(s *haproxysock.StatScanner) error {
		row := make([]string, len(columns))
		for i := range columns {
			row[i] = s.Text(i)
		}
		rows = append(rows, row)
		return nil
	})
	return rows, err
}

// headers are what versions of HAProxy put above the first and the last columns
// that we look at. The 99 columns of 2.2 lead all others.
func headers(t testing.TB) map[string]string {
	oldest, _, ok := strings.Cut(statTable(t)[0], ",uweight,")
	require.True(t, ok)
	require.Equal(t, 99, strings.Count(oldest, ",")+1)
	fill := func(before string, columns int) string {
		for n := columns - strings.Count(before, ",") - 2; n > 0; n-- {
			before += ",x" + strconv.Itoa(n)
		}
		return before + ",h3_total_streams,"
	}
	return map[string]string{
		"2.2, 99 columns":      oldest + ",",
		"2.6, 128 columns":     statTable(t)[0],
		"2.8, 135 columns":     fill(oldest+",uweight,agg_server_status,agg_server_check_status,agg_check_status,srid,sess_other,h1sess,h2sess,h3sess,req_other,h1req,h2req,h3req,(null),-,ssl_sess", 135),
		"3.5-dev, 141 columns": fill(oldest+",uweight,agg_server_status,agg_server_check_status,agg_check_status,srid,sess_other,h1sess,h2sess,h3sess,req_other,h1req,h2req,h3req,proto,priv_idle_cur,reqbin,reqbout,resbin,resbout,cache_hint_hits,-,ssl_sess", 141),
	}
}

func TestStatColumnsAreFoundByName(t *testing.T) {
	for version, header := range headers(t) {
		t.Run(version, func(t *testing.T) {
			columns, _, _ := strings.Cut(version[strings.Index(version, " ")+1:], " ")
			width, err := strconv.Atoi(columns)
			require.NoError(t, err)
			names := strings.Split(strings.TrimPrefix(header, "# "), ",")
			require.Len(t, names, width+1)
			var row []string // each field says which column it is
			for i := range width {
				row = append(row, "f"+strconv.Itoa(i))
			}
			text := header + "\n" + strings.Join(row, ",") + ",\n\n"
			wanted := append([]string{names[width-1], "type", "status", "pxname", "nonsense", "status"}, names[:99]...)
			rows, err := scan(text, wanted...)
			require.NoError(t, err)
			require.Len(t, rows, 1)
			require.Equal(t, []string{row[width-1], "f32", "f17", "f0", "", "f17"}, rows[0][:6])
			require.Equal(t, row[:99], rows[0][6:])
		})
	}
}

func TestStatRows(t *testing.T) {
	const header = "# pxname,svname,status,check_desc,scur,-,-,\n"
	for name, test := range map[string]struct {
		text string
		want [][]string // of svname, status, check_desc, scur
	}{
		"none":            {"\n", nil},
		"plain":           {"web,web01,UP,fine,3,-,-,\nweb,web02,,,,-,-,\n\n", [][]string{{"web01", "UP", "fine", "3"}, {"web02", "", "", ""}}},
		"minus":           {"web,web01,UP -1/3,,-4,-,-,\n\n", [][]string{{"web01", "UP -1/3", "", "-4"}}},
		"quoted commas":   {`web,web01,DOWN,"via agent : down (a, ""b""; c)",3,-,-,` + "\n\n", [][]string{{"web01", "DOWN", `via agent : down (a, "b"; c)`, "3"}}},
		"quotes alone":    {`web,web01,"","""",3,-,-,` + "\n\n", [][]string{{"web01", "", `"`, "3"}}},
		"quoted, plain":   {`web,"l,1",OPEN,,3,-,-,` + "\nweb,b,UP,,4,-,-,\n\n", [][]string{{"l,1", "OPEN", "", "3"}, {"b", "UP", "", "4"}}},
		"line break CRLF": {"web,web01,UP,,3,-,-,\r\n\r\n", [][]string{{"web01", "UP", "", "3"}}},
		"more columns":    {"web,web01,UP,,3,-,-,new,newer,\n\n", [][]string{{"web01", "UP", "", "3"}}},
	} {
		t.Run(name, func(t *testing.T) {
			rows, err := scan(header+test.text, "svname", "status", "check_desc", "scur")
			require.NoError(t, err)
			require.Equal(t, test.want, rows)
		})
	}
	t.Run("CRLF in the header", func(t *testing.T) {
		rows, err := scan("# pxname,svname,status,\r\nweb,web01,UP,\r\n\r\n", "status")
		require.NoError(t, err)
		require.Equal(t, [][]string{{"UP"}}, rows)
	})
}

func TestStatRowTooShort(t *testing.T) {
	for _, row := range []string{"web,web01,UP,", "web,web01,UP,3", "x", `web,web01,"UP,3,`, `web,"web01",UP,`} {
		rows, err := scan("# pxname,svname,status,scur,qcur,\nweb,web00,UP,3,0,\n"+row+"\nweb,web02,UP,3,0,\n\n", "svname", "scur")
		var garbled *haproxysock.ProtocolError
		require.ErrorAs(t, err, &garbled, "%q gave %q", row, rows)
		require.Equal(t, row, garbled.Got)
		require.Equal(t, "a row of 5 columns", garbled.Want)
		require.Equal(t, [][]string{{"web00", "3"}}, rows)
	}
}

// A Stat without one of its columns would say that a server has no sessions.
func TestStatNeedsItsColumns(t *testing.T) {
	const header = "# pxname,svname,type,sid,status,tracked,scur,qcur,"
	rows, err := haproxysock.ReadStatRows(strings.NewReader(header + "\nweb,web01,2,1,UP,,5,7,\n\n"))
	require.NoError(t, err)
	require.Equal(t, []haproxysock.Stat{{
		Name: haproxysock.ServerName{Backend: "web", Server: "web01"}, Kind: haproxysock.Servers, ID: 1, Status: "UP", Current: 5, Queued: 7,
	}}, rows)
	for _, column := range []string{"type", "sid", "status", "tracked", "scur", "qcur"} {
		text := strings.Replace(header, ","+column+",", ",other,", 1) + "\nweb,web01,2,1,UP,,5,7,\n\n"
		_, err := haproxysock.ReadStatRows(strings.NewReader(text))
		require.ErrorContains(t, err, "want a column "+column)
	}
	for _, row := range []string{"web,web01,2,1,UP,,,7,", "web,web01,2,1,UP,,5,x,", "web,web01,2,,UP,,5,7,", "web,web01,,1,UP,,5,7,"} {
		_, err := haproxysock.ReadStatRows(strings.NewReader(header + "\n" + row + "\n\n"))
		require.ErrorContains(t, err, "want a server's row with numbers in type, sid, scur and qcur", row)
	}
	rows, err = haproxysock.ReadStatRows(strings.NewReader(header + "\nfe,FRONTEND,0,0,OPEN,,5,,\n\n"))
	require.NoError(t, err)
	require.Equal(t, 5, rows[0].Current)
}

func TestScannerKeepsGoingOnNoText(t *testing.T) {
	text := string(busyStats(t, 3000)) // far more than the reader's buffer
	rows, err := scan(text, "svname", "addr")
	require.NoError(t, err)
	require.Len(t, rows, 3000)
	require.Equal(t, []string{"srv00000", "10.0.0.0:8080"}, rows[0])
	require.Equal(t, []string{"srv02999", "10.0.11.183:8080"}, rows[2999])
}

// Memory must not grow with the table.
func TestScannerAllocations(t *testing.T) {
	allocations := func(rows int) float64 {
		text := string(busyStats(t, rows))
		return testing.AllocsPerRun(5, func() {
			_, err := scanSixteen(strings.NewReader(text))
			require.NoError(t, err)
		})
	}
	require.InDelta(t, allocations(10), allocations(2000), 5)
}

func TestFindCommas(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 20000 {
		row := make([]byte, random.IntN(60))
		for i := range row {
			row[i] = ",,-,+,\xac\x2b\x2d\x00,ab"[random.IntN(13)]
		}
		var stops []int
		for n := 1; n < 40; n++ {
			if random.IntN(3) == 0 {
				stops = append(stops, n)
			}
		}
		var want []int
		for i, seen := 0, 0; i < len(row) && len(want) < len(stops); i++ {
			if row[i] == ',' {
				if seen++; seen == stops[len(want)] {
					want = append(want, i)
				}
			}
		}
		pos := make([]int, len(stops))
		found := haproxysock.FindCommas(row, stops, pos)
		require.Equal(t, len(want), found, "%q %v", row, stops)
		require.ElementsMatch(t, want, pos[:found], "%q %v", row, stops)
	}
}

// intOf reads text as a field, with and without room for eight bytes before it.
func intOf(t *testing.T, text string) (n int64, ok bool) {
	t.Helper()
	for _, before := range []string{"", "x", "12345678"} {
		err := haproxysock.ReadStats(strings.NewReader("# pxname,svname,n,\n"+before+",9,"+text+",\n\n"), []string{"n"}, func(s *haproxysock.StatScanner) error {
			n, ok = s.Int(0)
			return nil
		})
		require.NoError(t, err)
		plain, plainOK := haproxysock.ParseInt([]byte(text))
		require.Equal(t, plainOK, ok, "%q behind %q", text, before)
		if ok {
			require.Equal(t, plain, n, "%q behind %q", text, before)
		}
	}
	return n, ok
}

func TestStatInt(t *testing.T) {
	numbers := []int64{0, 1, -1, 9, 10, 99, 12345678, 87654321, 123456789, -12345678, math.MaxInt64, math.MinInt64}
	random := rand.New(rand.NewPCG(5, 6))
	for range 2000 {
		numbers = append(numbers, random.Int64()>>random.IntN(64))
	}
	for _, n := range numbers {
		got, ok := intOf(t, strconv.FormatInt(n, 10))
		require.True(t, ok, n)
		require.Equal(t, n, got)
	}
	for _, bad := range []string{"", "-", "x", "1x", "x1", "1 ", " 1", "+1", "--1", "1-", "0x10", "1.5", "12/4", "12:4", "1\x8a", "\xb1", "9223372036854775808", "-9223372036854775809", "99999999999999999999", "UP 1/3"} {
		_, ok := intOf(t, bad)
		require.False(t, ok, bad)
	}
}

// FuzzStatScanner compares the scanner with encoding/csv on whatever both can
// read.
func FuzzStatScanner(f *testing.F) {
	const header = "# pxname,svname,a,b,c,d,e,f,"
	f.Add("web,web01,1,2,3,4,5,6,")
	f.Add("web,web01,1,2,3,4,5,6,\nweb,web02,\"x,\"\"y\",,,,-7,12345678,")
	f.Add("\"a\",\"b\",\"\",\"\"\"\",\",\",,,,\nshort,row")
	f.Fuzz(func(t *testing.T, body string) {
		columns := []string{"pxname", "svname", "a", "b", "c", "d", "e", "f"}
		var rows [][]string
		err := haproxysock.ReadStats(strings.NewReader(header+"\n"+body+"\n\n"), columns, func(s *haproxysock.StatScanner) error {
			row := make([]string, len(columns))
			for i := range columns {
				row[i] = s.Text(i)
				n, ok := s.Int(i)
				plain, plainErr := strconv.ParseInt(row[i], 10, 64)
				require.Equal(t, plainErr == nil && !strings.HasPrefix(row[i], "+") && len(row[i]) < 20, ok && len(row[i]) < 20, "%q", row[i])
				if ok {
					require.Equal(t, plain, n)
				}
			}
			rows = append(rows, row)
			return nil
		})
		if body == "" || strings.HasPrefix(body, "\n") || strings.HasSuffix(body, "\n") || strings.Contains(body, "\n\n") || strings.Contains(body, "\r") {
			return // the reply ends early, or a line does
		}
		r := csv.NewReader(strings.NewReader(header + "\n" + body))
		records, csvErr := r.ReadAll()
		if csvErr != nil {
			return
		}
		var want [][]string
		for _, record := range records[1:] {
			if strings.Contains(strings.Join(record, ""), "\n") {
				return // HAProxy has no line breaks in fields
			}
			want = append(want, record[:len(columns)])
		}
		require.NoError(t, err)
		require.Equal(t, want, rows)
	})
}
