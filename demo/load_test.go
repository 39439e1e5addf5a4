package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPercentile(t *testing.T) {
	var hundred []time.Duration
	for i := range 100 {
		hundred = append(hundred, time.Duration(100-i)*time.Millisecond)
	}
	for _, tt := range []struct {
		name      string
		latencies []time.Duration
		p         float64
		want      time.Duration
	}{
		{"none", nil, 99, 0},
		{"one", hundred[:1], 50, 100 * time.Millisecond},
		{"median", hundred, 50, 50 * time.Millisecond},
		{"p99 is not the worst of a hundred", hundred, 99, 99 * time.Millisecond},
		{"p99 of few is the worst", hundred[:10], 99, 100 * time.Millisecond},
		{"all", hundred, 100, 100 * time.Millisecond},
		{"least", hundred, 0, 1 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.want, counts{latencies: tt.latencies}.percentile(tt.p))
		})
	}
}

func TestCountsAdd(t *testing.T) {
	a := counts{sent: 2, latencies: []time.Duration{1}, answers: map[string]int{"web1": 1}, failures: map[string]int{"x": 1}}
	b := counts{sent: 3, latencies: []time.Duration{2, 3, 4}, answers: map[string]int{"web1": 1, "web2": 2}}
	sum := a.add(b)
	require.Equal(t, 5, sum.sent)
	require.Len(t, sum.latencies, 4)
	require.Equal(t, map[string]int{"web1": 2, "web2": 2}, sum.answers)
	require.Equal(t, 1, sum.failed())
	require.Equal(t, map[string]int{"web1": 1}, a.answers, "a is as it was")
}

// Failures belong to the period in which their request was sent, however late
// they show.
func TestLoadCutsByTimeOfSending(t *testing.T) {
	arrived, release := make(chan struct{}, 1000), make(chan struct{})
	var good atomic.Bool
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if good.Load() {
			w.Write([]byte("web1\n"))
			return
		}
		arrived <- struct{}{}
		<-release
		w.WriteHeader(http.StatusBadGateway)
	}))
	defer srv.Close()

	l := newLoad(200, map[string]string{"lb1": srv.URL})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { l.run(ctx); close(ended) }()
	defer func() { cancel(); <-ended }()

	l.use("lb1")
	<-arrived
	good.Store(true)
	time.AfterFunc(50*time.Millisecond, func() { close(release) })
	first := l.cut() // waits for the failures
	require.Equal(t, map[string]int{"lb1: 502 Bad Gateway": first.failed()}, first.failures)
	require.Positive(t, first.failed())

	pause(ctx, 50*time.Millisecond)
	second := l.cut()
	require.Zero(t, second.failed(), "%v", second.failures)
	require.Equal(t, second.sent, second.answers["web1"])

	l.use()
	l.cut()
	pause(ctx, 50*time.Millisecond)
	require.Zero(t, l.cut().sent, "nobody is in use")
}
