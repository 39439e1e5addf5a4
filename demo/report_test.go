package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func someResults() []result {
	ms := time.Millisecond
	return []result{
		{title: "steady state", counts: counts{sent: 10, latencies: []time.Duration{40 * ms, 50 * ms}}},
		{title: "stop web1", out: "0.15 s", counts: counts{sent: 200, latencies: []time.Duration{45 * ms}}},
		{title: "crash", out: "0.05 s", back: "3.20 s", retried: 7, crash: true, counts: counts{sent: 1000, failures: map[string]int{"lb1: EOF": 2, "x": 1}}},
	}
}

func TestSummaryTable(t *testing.T) {
	require.Equal(t, ""+
		"step          out of rotation    back  sent  retried  failed    p50    p99\n"+
		"──────────────────────────────────────────────────────────────────────────\n"+
		"steady state                –       –    10        0       0  40 ms  50 ms\n"+
		"stop web1              0.15 s       –   200        0       0  45 ms  45 ms\n"+
		"crash                  0.05 s  3.20 s  1000        7       3      –      –\n"+
		"──────────────────────────────────────────────────────────────────────────\n"+
		"total                       –       –  1210        7       3  45 ms  50 ms\n",
		(&screen{}).table(summary(someResults())))
}

func TestVerdict(t *testing.T) {
	results := someResults()
	require.NoError(t, verdict(results), "a crash may cost requests")
	results[1].failures = map[string]int{"lb2: 503 Service Unavailable": 4}
	require.EqualError(t, verdict(results), "stop web1: 4 of 200 requests failed, want 0")
}
