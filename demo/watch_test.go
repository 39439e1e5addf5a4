package main

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var epoch = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// at is what both load balancers said of web1, so many seconds after the epoch.
// "" is no answer.
func at(second float64, lb1, lb2 string) sample {
	s := sample{taken: epoch.Add(time.Duration(second * float64(time.Second))), lbs: map[string]states{}}
	for lb, status := range map[string]string{"lb1": lb1, "lb2": lb2} {
		s.lbs[lb] = nil
		if status != "" {
			s.lbs[lb] = states{"web1": status}
		}
	}
	return s
}

func TestDiffOnScreen(t *testing.T) {
	for _, tt := range []struct {
		name     string
		from, to sample
		want     string
	}{
		{"both at once", at(0, "UP", "UP"), at(1, "DRAIN", "DRAIN"),
			"  1.00s  web1           lb1 UP → DRAIN              lb2 UP → DRAIN\n"},
		{"one only", at(0, "UP", "UP"), at(1, "UP", "DOWN 1/2"),
			"  1.00s  web1           lb1 UP                      lb2 UP → DOWN 1/2\n"},
		{"nothing", at(0, "UP", "UP"), at(1, "UP", "UP"), ""},
		{"gone", at(0, "UP", "UP"), at(1, "UP", ""),
			"  1.00s  lb2            does not answer\n"},
		{"gone, and a change on the other", at(0, "UP", "UP"), at(1, "MAINT", ""),
			"  1.00s  lb2            does not answer\n" +
				"  1.00s  web1           lb1 UP → MAINT              lb2 –\n"},
		{"away, and a change on the other", at(0, "UP", ""), at(1, "MAINT", ""),
			"  1.00s  web1           lb1 UP → MAINT              lb2 –\n"},
		{"back", at(0, "UP", ""), at(1, "UP", "UP 1/3"),
			"  1.00s  lb2            answers: web1 UP 1/3\n"},
		{"the first sample", sample{}, at(1, "UP", ""),
			"  1.00s  lb1            answers: web1 UP\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			scr := &screen{out: &out, start: epoch}
			for _, c := range diff(tt.from, tt.to) {
				scr.change(tt.to.taken, c)
			}
			require.Equal(t, tt.want, out.String())
		})
	}
}

func TestConditions(t *testing.T) {
	require.NoError(t, isUp(lbNames, "web1")(at(0, "UP", "UP")))
	require.EqualError(t, isUp(lbNames, "web1")(at(0, "UP 1/3", "")),
		"lb1: web1 is UP 1/3, want UP; lb2: no answer")
	require.NoError(t, isMaint([]string{"lb1"}, "web1")(at(0, "MAINT", "")))
	require.NoError(t, isOut(lbNames, "web1")(at(0, "DRAIN", "DOWN")))
	require.Error(t, isOut(lbNames, "web1")(at(0, "DRAIN", "UP 2/3")))
	require.EqualError(t, isOut([]string{"lb1"}, "web9")(at(0, "UP", "UP")), "lb1: web9 is –, want out of rotation")
	require.NoError(t, answers("lb2", false)(at(0, "UP", "")))
	require.Error(t, answers("lb2", true)(at(0, "UP", "")))
}

func testWatch(samples ...sample) *watch {
	w := newWatch(nil, &screen{out: &bytes.Buffer{}})
	for _, s := range samples {
		w.record(s)
	}
	return w
}

func TestAwaitLooksBack(t *testing.T) {
	w := testWatch(at(0, "UP", "UP"), at(1, "DRAIN", "UP"), at(2, "DRAIN", "DRAIN"), at(3, "DRAIN", "DRAIN"), at(4, "UP", "UP"))
	require.Len(t, w.history, 4, "only changes are kept")

	out, err := w.await(t.Context(), epoch, time.Second, isOut(lbNames, "web1"))
	require.NoError(t, err)
	require.Equal(t, 2*time.Second, out.Sub(epoch))

	back, err := w.await(t.Context(), out, time.Second, isUp(lbNames, "web1"))
	require.NoError(t, err)
	require.Equal(t, 4*time.Second, back.Sub(epoch), "the UP before out does not count")

	now := epoch.Add(9 * time.Second)
	still, err := w.await(t.Context(), now, time.Second, isUp(lbNames, "web1"))
	require.NoError(t, err)
	require.Equal(t, now, still, "what has held since long holds at once")
}

func TestAwaitNews(t *testing.T) {
	w := testWatch(at(0, "UP", "UP"))
	_, news, err := w.when(epoch, isMaint(lbNames, "web1"))
	require.Error(t, err)
	done := make(chan error, 1)
	go func() {
		_, err := w.await(t.Context(), epoch, 10*time.Second, isMaint(lbNames, "web1"))
		done <- err
	}()
	w.record(at(1, "MAINT", "MAINT"))
	require.NoError(t, <-done)
	<-news
}

func TestAwaitGivesUp(t *testing.T) {
	w := testWatch(at(0, "UP", "MAINT"))
	_, err := w.await(t.Context(), epoch, 10*time.Millisecond, isMaint(lbNames, "web1"))
	require.EqualError(t, err, "lb1: web1 is UP, want MAINT after 10ms")

	ctx, cancel := context.WithCancelCause(t.Context())
	died := errors.New("lb1: ended by itself")
	cancel(died)
	_, err = w.await(ctx, epoch, time.Second, isMaint(lbNames, "web1"))
	require.Equal(t, died, err, "the reason, not its consequence")
}

func TestRetriesOutliveARestart(t *testing.T) {
	w := newWatch([]*lb{{name: "lb1"}, {name: "lb2"}}, nil)
	for _, n := range [][2]int{{0, 0}, {3, 1}, {3, 4}, {5, 0}, {5, 2}} { // lb2 starts anew
		w.countRetries(0, n[0])
		w.countRetries(1, n[1])
	}
	require.Equal(t, 5+4+2, w.retries())
}
