package cluster_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/supervisor-haproxy/supervisor-haproxy/cluster"
	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock/haproxytest"
)

// go test ./cluster -run '^$' -bench Query -benchtime 20x
//
// Each benchmark stands beside "bytes", which reads the same replies and looks at
// nothing.

// A standIn replays what a HAProxy 2.6.12 said of a frontend, of the backend
// myapp and of its servers, with busy servers' numbers, and honours filters of
// proxies and kinds.
type standIn struct {
	client  *haproxysock.Client
	replies map[string][]byte
}

// busyTable is the reply to "show stat" with so many servers, some 450 bytes a
// row, and the header and each row by kind.
func busyTable(t testing.TB, servers int) (header string, rows map[haproxysock.Kind][]string) {
	t.Helper()
	text, err := os.ReadFile("../haproxysock/testdata/show-stat-2.6.12.csv")
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	names := strings.Split(strings.TrimPrefix(lines[0], "# "), ",")
	fields := map[string][]string{}
	for _, line := range lines[1:] {
		f := strings.Split(line, ",")
		fields[f[0]+"/"+f[1]] = f
	}
	// Whatever small numbers stand for (states, ids, limits) stays.
	keep := " pid iid sid type act bck weight uweight check_rise check_fall check_health check_code "
	random := rand.New(rand.NewPCG(1, 2))
	busy := func(like []string, proxy, server, addr string) string {
		f := append([]string(nil), like...)
		for i, name := range names {
			_, err := strconv.Atoi(f[i])
			switch {
			case name == "pxname":
				f[i] = proxy
			case name == "svname":
				f[i] = server
			case name == "addr":
				f[i] = addr
			case err == nil && name != "" && !strings.Contains(keep, " "+name+" "):
				digits := 3 + random.IntN(4)
				if strings.HasSuffix(name, "in") || strings.HasSuffix(name, "out") || strings.HasSuffix(name, "tot") {
					digits += 4
				}
				f[i] = strconv.Itoa(random.IntN(9) + 1)
				for range digits - 1 {
					f[i] += strconv.Itoa(random.IntN(10))
				}
			}
		}
		return strings.Join(f, ",")
	}
	rows = map[haproxysock.Kind][]string{
		haproxysock.Frontends: {busy(fields["fe/FRONTEND"], "www", "FRONTEND", "")},
		haproxysock.Backends:  {busy(fields["app/BACKEND"], "myapp", "BACKEND", "")},
	}
	for i := range servers {
		row := busy(fields["app/app02"], "myapp", fmt.Sprintf("srv%05d", i), fmt.Sprintf("10.%d.%d.%d:8080", i>>16, i>>8&255, i&255))
		rows[haproxysock.Servers] = append(rows[haproxysock.Servers], row)
	}
	return lines[0], rows
}

// busyReplies are the replies by command.
func busyReplies(t testing.TB, servers int) map[string][]byte {
	header, rows := busyTable(t, servers)
	table := func(kinds ...haproxysock.Kind) []byte {
		all := []string{header}
		for _, k := range kinds {
			all = append(all, rows[k]...)
		}
		return []byte(strings.Join(all, "\n") + "\n\n")
	}
	return map[string][]byte{
		"show stat":            table(haproxysock.Frontends, haproxysock.Servers, haproxysock.Backends),
		"show stat -1 1 -1":    table(haproxysock.Frontends),
		"show stat -1 6 -1":    table(haproxysock.Servers, haproxysock.Backends),
		"show stat myapp 2 -1": table(haproxysock.Backends),
		"show stat myapp 6 -1": table(haproxysock.Servers, haproxysock.Backends),
	}
}

// newStandIn serves replies on a socket of its own until the test ends.
func newStandIn(t testing.TB, path string, replies map[string][]byte) *standIn {
	t.Helper()
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	haproxytest.Serve(t, l, func(conn net.Conn) {
		defer conn.Close()
		line, _ := bufio.NewReaderSize(conn, 256).ReadString('\n')
		for command := range strings.SplitSeq(strings.TrimSpace(line), ";") {
			reply, ok := replies[command]
			if !ok {
				reply = []byte("No such proxy.\n\n")
			}
			conn.Write(reply)
		}
	})
	return &standIn{client: &haproxysock.Client{Addr: haproxytest.Addr(t, "unix://"+path)}, replies: replies}
}

// readBytes asks line of the stand-in and reads the reply.
func (s *standIn) readBytes(line string) (int64, error) {
	conn, err := net.Dial("unix", s.client.Addr.Address)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, line+"\n"); err != nil {
		return 0, err
	}
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	return io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{conn}, *buf)
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 64<<10); return &b }}

func BenchmarkQuery(b *testing.B) {
	dir := haproxytest.ShortDir(b)
	for _, size := range []struct{ members, servers int }{{1, 10}, {1, 1000}, {1, 10000}, {100, 1000}} {
		replies := busyReplies(b, size.servers)
		c := cluster.Cluster{Timeout: time.Minute}
		var peers []*standIn
		for i := range size.members {
			s := newStandIn(b, fmt.Sprintf("%s/%d.%d.%d", dir, size.members, size.servers, i), replies)
			peers, c.Sources = append(peers, s), append(c.Sources, s.client)
		}
		for _, q := range []struct{ name, line, text string }{
			{"backend", "show stat myapp 2 -1", "sum(members, .myapp.rate)"},
			{"capacity", "show stat myapp 6 -1", "all(members, .myapp.survives(2))"},
			{"rows", "show stat -1 6 -1", "sum(members, sum(.servers(), .scur))"},
		} {
			name := fmt.Sprintf("%dx%d/%s", size.members, size.servers, q.name)
			bytesOfAll := int64(len(replies[q.line]) * size.members)
			b.Run(name+"/bytes", func(b *testing.B) {
				b.SetBytes(bytesOfAll)
				b.ReportAllocs()
				for b.Loop() {
					var all sync.WaitGroup
					for _, p := range peers {
						all.Go(func() {
							if n, err := p.readBytes(q.line); err != nil || n != int64(len(replies[q.line])) {
								b.Error(n, err)
							}
						})
					}
					all.Wait()
				}
			})
			b.Run(name+"/answer", func(b *testing.B) {
				b.SetBytes(bytesOfAll)
				b.ReportAllocs()
				heap := &peakHeap{}
				for b.Loop() {
					x, err := cluster.ParseExpression(q.text, cluster.OverMembers)
					if err != nil {
						b.Fatal(err)
					}
					a, err := c.Ask(b.Context(), x)
					if err != nil || a.Results[0].Err != nil {
						b.Fatal(err, a)
					}
					heap.look()
				}
				b.ReportMetric(float64(heap.most)/1e6, "heapMB")
			})
		}
	}
}

// peakHeap is the most memory that was in the heap at the end of an answer.
type peakHeap struct{ most uint64 }

func (p *peakHeap) look() {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	p.most = max(p.most, m.HeapInuse)
}

func BenchmarkParseExpression(b *testing.B) {
	for _, text := range []string{"sum(members, .myapp.rate)", "all(members, .myapp.survives(2))"} {
		b.Run(text, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := cluster.ParseExpression(text, cluster.OverMembers); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestStandInsAreAskedOnlyWhatIsNeeded(t *testing.T) {
	replies := busyReplies(t, 10)
	require.Less(t, len(replies["show stat myapp 2 -1"]), len(replies["show stat"])/3)
	s := newStandIn(t, haproxytest.ShortDir(t)+"/s", replies)
	c := cluster.Cluster{Sources: []cluster.Source{s.client}}
	for text, rows := range map[string]int{"sum(members, .myapp.rate)": 1, "sum(members, .scur)": 1, "all(members, .myapp.survives(2))": 11} {
		x, err := cluster.ParseExpression(text, cluster.OverMembers)
		require.NoError(t, err)
		a, err := c.Ask(t.Context(), x)
		require.NoError(t, err)
		require.NoError(t, a.Results[0].Err)
		require.Len(t, a.Snapshot.Reports[0].Rows, rows, text)
	}
	require.True(t, bytes.HasPrefix(replies["show stat"], []byte("# pxname")))
}
