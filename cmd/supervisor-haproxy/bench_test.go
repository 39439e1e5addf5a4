package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock/haproxytest"
	"github.com/supervisor-haproxy/supervisor-haproxy/listener/listenertest"
)

// build makes the program as it is released.
func build(b *testing.B) string {
	b.Helper()
	bin := filepath.Join(b.TempDir(), "supervisor-haproxy")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", bin, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	require.NoError(b, err, string(out))
	return bin
}

// A process is a listener that runs on its own, as under supervisord.
type process struct {
	*listenertest.Peer
	cmd *exec.Cmd
}

func run(b *testing.B, argv ...string) *process {
	b.Helper()
	p := &process{Peer: listenertest.NewPeer(b), cmd: exec.Command(argv[0], argv[1:]...)}
	p.cmd.Stdin, p.cmd.Stdout = p.Stdin, p.Stdout
	require.NoError(b, p.cmd.Start())
	b.Cleanup(func() {
		p.cmd.Process.Kill()
		p.cmd.Wait()
	})
	p.AwaitReady()
	return p
}

// resident is the process's resident memory in MB.
func (p *process) resident(b *testing.B) float64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	require.NoError(b, err)
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kB, err := strconv.Atoi(strings.Fields(rest)[0])
	require.NoError(b, err)
	return float64(kB) / 1024
}

// durations are of one thing, measured many times.
type durations []time.Duration

func (d *durations) time(f func()) {
	began := time.Now()
	f()
	*d = append(*d, time.Since(began))
}

func (d durations) quantile(q float64) time.Duration {
	slices.Sort(d)
	return d[int(q*float64(len(d)-1))]
}

func microseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

var stateEvents = []string{"STOPPING", "STOPPED", "STARTING", "RUNNING"}

// BenchmarkEvent measures from an event's first byte to the answer's last one,
// all members set and seen. The floor, in turns with it: a connection to each
// member at once, one write of the same line, its answer read and not looked at.
func BenchmarkEvent(b *testing.B) {
	bin := build(b)
	for _, network := range []string{"unix", "tcp"} {
		for _, members := range []int{1, 4, 16} {
			for _, servers := range []int{10, 1_000, 10_000} {
				b.Run(fmt.Sprintf("%s/members=%d/servers=%d", network, members, servers), func(b *testing.B) {
					lbs := startMany(b, network, members, servers)
					p := run(b, append([]string{bin}, append(lbs, "web:web/s2")...)...)
					p.State("STOPPED", "web", "web") // all numbers are learned
					var event, floor durations
					for i := 0; b.Loop(); i++ {
						event.time(func() { p.State(stateEvents[i%4], "web", "web") })
						floor.time(func() { askAll(b, lbs) })
					}
					b.ReportMetric(0, "ns/op")
					b.ReportMetric(microseconds(event.quantile(.5)), "event-p50-µs")
					b.ReportMetric(microseconds(event.quantile(.99)), "event-p99-µs")
					b.ReportMetric(microseconds(floor.quantile(.5)), "floor-p50-µs")
					b.ReportMetric(float64(event.quantile(.5))/float64(floor.quantile(.5)), "event/floor")
					b.ReportMetric(p.resident(b), "MB-resident")
				})
			}
		}
	}
}

// startMany runs HAProxys with so many servers that nobody checks, and gives
// their sockets as one writes them.
func startMany(b *testing.B, network string, members, servers int) []string {
	b.Helper()
	var all []string
	for range members {
		h := haproxytest.Start(b, fmt.Sprintf("backend web\n  server-template s 1-%d 127.0.0.1:9\n", servers))
		if network == "tcp" {
			all = append(all, h.TCP.String())
		} else {
			all = append(all, h.Unix.String())
		}
	}
	return all
}

// askAll is the floor: what any program must do that sets and sees.
func askAll(b *testing.B, lbs []string) {
	var all sync.WaitGroup
	for _, lb := range lbs {
		all.Go(func() {
			network, address, _ := strings.Cut(lb, "://")
			conn, err := net.Dial(network, address)
			if err != nil {
				b.Error(err)
				return
			}
			defer conn.Close()
			io.WriteString(conn, "set server web/s3 state drain;show stat web 4 3;show info\n")
			if n, err := io.Copy(io.Discard, conn); n == 0 || err != nil {
				b.Error("no answer: ", err)
			}
		})
	}
	all.Wait()
}

// BenchmarkEventTurns measures our listener, which verifies, in turns with one
// in Python that does not, over TCP and one HAProxy; and what the pipes and the
// scheduler take of it, with an event that is nobody's.
func BenchmarkEventTurns(b *testing.B) {
	python := haproxytest.NeedProgram(b, "python3")
	bin := build(b)
	lb := haproxytest.Start(b, "backend web\n  server-template s 1-10 127.0.0.1:9\n")
	host, port, err := net.SplitHostPort(strings.TrimPrefix(lb.TCP.String(), "tcp://"))
	require.NoError(b, err)
	tcp := run(b, bin, lb.TCP.String(), "web:web/s2")
	unix := run(b, bin, lb.Unix.String(), "web:web/s2")
	plain := run(b, python, "testdata/bench/unverified.py", host, port, "web/s2")
	var ours, local, theirs, pipes durations
	for i := 0; b.Loop(); i++ {
		state := stateEvents[i%4]
		ours.time(func() { tcp.State(state, "web", "web") })
		local.time(func() { unix.State(state, "web", "web") })
		theirs.time(func() { plain.State(state, "web", "web") })
		pipes.time(func() { unix.State(state, "nobody", "nobody") })
	}
	b.ReportMetric(0, "ns/op")
	for name, d := range map[string]durations{"tcp-verified": ours, "unix-verified": local, "python-tcp-unverified": theirs, "pipes": pipes} {
		b.ReportMetric(microseconds(d.quantile(.5)), name+"-p50-µs")
	}
	b.ReportMetric(tcp.resident(b), "MB-resident")
	b.ReportMetric(plain.resident(b), "MB-resident-python")
}

// BenchmarkStart measures from exec to the first READY.
func BenchmarkStart(b *testing.B) {
	bin := build(b)
	lb := haproxytest.Start(b, "backend web\n  server-template s 1-10 127.0.0.1:9\n")
	var starts durations
	for b.Loop() {
		cmd := exec.Command(bin, lb.Unix.String(), "web:web/s2")
		stdin, err := cmd.StdinPipe()
		require.NoError(b, err)
		stdout, err := cmd.StdoutPipe()
		require.NoError(b, err)
		ready := make([]byte, len("READY\n"))
		starts.time(func() {
			require.NoError(b, cmd.Start())
			_, err = io.ReadFull(stdout, ready)
		})
		require.NoError(b, err)
		require.True(b, bytes.Equal(ready, []byte("READY\n")))
		stdin.Close()
		cmd.Wait()
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(microseconds(starts.quantile(.5))/1e3, "p50-ms")
	b.ReportMetric(microseconds(starts.quantile(.99))/1e3, "p99-ms")
}
