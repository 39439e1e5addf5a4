package reconcile_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAHungMemberIsWaitedForOnce(t *testing.T) {
	bubble(t, 3, []string{"a", "b"}, func(t *testing.T, r *rig) {
		f := r.fakes[1]
		f.fault(func() { f.hung = true })
		began := time.Now()
		err := r.wait(r.wish("a", maint))
		require.ErrorContains(t, err, "lb2: web/a is not seen in maint")
		require.NotContains(t, err.Error(), "lb1")
		require.Equal(t, patience, time.Since(began))
		r.requireState(r.fakes[0], "a", maint)
		r.requireState(r.fakes[2], "a", maint)

		for range 20 { // and never again
			for _, server := range []string{"a", "b"} {
				began := time.Now()
				require.ErrorContains(t, r.wait(r.wish(server, drain)), "lb2: ")
				require.ErrorContains(t, r.wait(r.wish(server, ready)), "lb2: ")
				require.Zero(t, time.Since(began))
			}
			r.pass(700 * time.Millisecond)
		}
		require.Len(t, r.Pending(), 2)
		require.Equal(t, 1, r.log.count(tellsAway))

		f.calls()
		f.fault(func() { f.hung = false })
		r.pass(3 * time.Second)
		r.requireState(f, "a", ready) // although it has heard of maint by now
		r.requireState(f, "b", ready)
		require.Empty(t, r.Pending())
		require.Equal(t, 1, r.log.count(tellsAnswers))
		r.done("a", drain) // and it is waited for again
	})
}

func TestAHangIsNoticedWithoutAWish(t *testing.T) {
	bubble(t, 1, []string{"a"}, func(t *testing.T, r *rig) {
		r.fakes[0].fault(func() { r.fakes[0].hung = true })
		r.pass(3500 * time.Millisecond) // a poll, and the two seconds that it may take
		began := time.Now()
		require.Error(t, r.wait(r.wish("a", drain)))
		require.Zero(t, time.Since(began))
		require.Len(t, r.Pending(), 1)
	})
}

func TestAMemberThatRefusesConnections(t *testing.T) {
	bubble(t, 2, []string{"a"}, func(t *testing.T, r *rig) {
		f := r.fakes[0]
		f.calls()
		f.fault(func() { f.refuses = true })
		began := time.Now()
		require.ErrorContains(t, r.wait(r.wish("a", maint)), "lb1: web/a is not seen in maint")
		require.Zero(t, time.Since(began), "events behind this one have to reach the others")
		r.requireState(r.fakes[1], "a", maint)
		r.pass(time.Minute)
		calls := f.calls()
		require.Equal(t, []string{"a maint"}, calls[0].sets())
		for i, x := range calls[1:] {
			require.Empty(t, x.sets(), "asked before it is told")
			pause := x.began.Sub(calls[i].ended)
			require.GreaterOrEqual(t, pause, 50*time.Millisecond)
			require.LessOrEqual(t, pause, 2*time.Second)
		}
		require.GreaterOrEqual(t, calls[len(calls)-1].began.Sub(calls[len(calls)-2].ended), time.Second)
		require.Less(t, len(calls), 60)

		f.fault(func() { f.refuses = false })
		r.pass(2500 * time.Millisecond)
		calls = f.calls()
		require.Empty(t, calls[0].sets())
		require.Equal(t, []string{"a maint"}, calls[1].sets())
		require.Equal(t, 1, r.log.count(tellsAway))
	})
}

// Its wish was heard and done; what it shows then is proof enough.
func TestAnAnswerThatWasLost(t *testing.T) {
	bubble(t, 1, []string{"a"}, func(t *testing.T, r *rig) {
		f := r.fakes[0]
		f.calls()
		f.fault(func() { f.deaf = true })
		require.Error(t, r.wait(r.wish("a", maint)))
		f.fault(func() { f.deaf = false })
		r.pass(time.Second)
		require.Empty(t, r.Pending())
		told := 0
		for _, x := range f.calls() {
			told += len(x.sets())
		}
		require.Equal(t, 1, told)
	})
}

func TestGarbageIsNotBelieved(t *testing.T) {
	bubble(t, 2, []string{"a"}, func(t *testing.T, r *rig) {
		f := r.fakes[0]
		f.fault(func() { f.garbled = true })
		require.ErrorContains(t, r.wait(r.wish("a", drain)), "the answer tells of 2 servers, want the 1 that were asked for")
		require.Len(t, r.Pending(), 1)
		f.fault(func() { f.garbled = false })
		r.pass(2500 * time.Millisecond)
		require.Empty(t, r.Pending())
	})
}

func TestASlowMemberDelaysNobody(t *testing.T) {
	bubble(t, 3, []string{"a"}, func(t *testing.T, r *rig) {
		r.fakes[0].fault(func() { r.fakes[0].after = 1500 * time.Millisecond })
		r.pass(1200 * time.Millisecond) // it is being looked at
		ticket := r.wish("a", maint)
		r.pass(0)
		r.requireState(r.fakes[1], "a", maint)
		r.requireState(r.fakes[2], "a", maint)
		require.Error(t, r.wait(ticket))
		r.pass(3 * time.Second)
		require.Empty(t, r.Pending())
	})
}

func TestAfterARestartAllIsSaidAgain(t *testing.T) {
	bubble(t, 2, []string{"a", "b", "c", "d"}, func(t *testing.T, r *rig) {
		f := r.fakes[0]
		r.done("a", ready)
		r.done("d", maint)
		r.done("b", drain)
		f.fault(func() { f.servers["a"].boots = maint })
		r.pass(1500 * time.Millisecond)
		for range 3 {
			f.calls()
			f.restart()
			r.pass(time.Second)
			r.requireState(f, "d", maint)
			r.requireState(f, "b", drain)
			r.requireState(f, "c", ready)
			r.requireState(f, "a", ready)
			require.Empty(t, r.Pending())
			var told []string
			for _, x := range f.calls() {
				told = append(told, x.sets()...)
			}
			require.Equal(t, []string{"b drain", "d maint", "a ready"}, told, "what goes out comes first")
		}
		require.Equal(t, 3, r.log.count(tellsRestart))
		require.Zero(t, r.log.count(tellsForeign))
	})
}

// It is noticed by an event's exchange, which knows nothing of the others.
func TestARestartIsNoticedByAWish(t *testing.T) {
	bubble(t, 1, []string{"a", "b", "c"}, func(t *testing.T, r *rig) {
		f := r.fakes[0]
		r.done("a", maint)
		r.done("b", maint)
		f.fault(func() { f.servers["c"].boots = maint })
		f.calls()
		f.restart()
		began := time.Now()
		r.done("c", ready)
		r.pass(0)
		require.Zero(t, time.Since(began))
		r.requireState(f, "a", maint)
		r.requireState(f, "b", maint)
		calls := f.calls()
		require.Len(t, calls, 3)
		require.Empty(t, calls[1].sets())
		require.Equal(t, []string{"a maint", "b maint"}, calls[2].sets())
	})
}

func TestARestartWhileItIsAway(t *testing.T) {
	bubble(t, 1, []string{"a", "b"}, func(t *testing.T, r *rig) {
		f := r.fakes[0]
		r.done("a", maint)
		f.fault(func() { f.refuses = true })
		r.pass(10 * time.Second)
		require.Error(t, r.wait(r.wish("b", drain)))
		f.fault(func() {
			f.refuses = false
			f.boot()
		})
		r.pass(2500 * time.Millisecond)
		r.requireState(f, "a", maint)
		r.requireState(f, "b", drain)
		require.Empty(t, r.Pending())
	})
}

// Two HAProxys behind one address would have us run from one to the other.
func TestProcessesThatTakeTurns(t *testing.T) {
	bubble(t, 2, []string{"a"}, func(t *testing.T, r *rig) {
		f := r.fakes[0]
		f.fault(func() { f.newEach = true })
		r.pass(time.Minute)
		require.Less(t, len(f.calls()), 70)
		require.Less(t, r.log.count(tellsRestart), 70)
		f.fault(func() { f.newEach = false })
		r.pass(3 * time.Second)
		r.done("a", maint)
	})
}
