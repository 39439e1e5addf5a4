package reconcile_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
	"github.com/supervisor-haproxy/supervisor-haproxy/reconcile"
)

func TestAllMembersAreToldAtOnceAndOnce(t *testing.T) {
	bubble(t, 16, []string{"a", "b"}, func(t *testing.T, r *rig) {
		for _, f := range r.fakes {
			f.calls()
			f.fault(func() { f.before, f.after = 30*time.Millisecond, 70*time.Millisecond })
		}
		for _, state := range []haproxysock.AdminState{drain, maint, ready} {
			r.pass(250 * time.Millisecond) // between two polls
			for _, f := range r.fakes {
				f.calls()
			}
			began := time.Now()
			r.done("a", state)
			require.Equal(t, 100*time.Millisecond, time.Since(began))
			for _, f := range r.fakes {
				calls := f.calls()
				require.Len(t, calls, 1)
				require.Equal(t, []string{"a " + string(state)}, calls[0].sets())
			}
			r.pass(100 * time.Millisecond)
		}
	})
}

func TestAWishIsRecordedBeforeAnythingRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2, []string{"a"})
		ticket := r.wish("a", maint)
		pending := r.Pending()
		require.Len(t, pending, 2)
		require.Equal(t, maint, pending[0].Wish.State)
		require.Equal(t, "lb1", pending[0].Member)
		r.run()
		require.NoError(t, r.wait(ticket))
		require.Empty(t, r.Pending())
		r.requireState(r.fakes[1], "a", maint)
	})
}

func TestWaitReportsWhatIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2, []string{"a"})
		r.Log = nil
		r.fakes[1].refuses = true
		ticket := r.wish("a", maint)
		r.run()
		err := r.wait(ticket)
		var pending *reconcile.PendingError
		require.ErrorAs(t, err, &pending)
		require.EqualError(t, err, "lb2: web/a is not seen in maint: connection refused")
		require.Equal(t, "lb2", pending.Member)
		require.Equal(t, web("a"), pending.Wish.Server)
		require.Len(t, r.Pending(), 1)
	})
}

// The first of the wishes that one call names twice must not end it twice.
func TestOneServerTwiceInACall(t *testing.T) {
	bubble(t, 2, []string{"a"}, func(t *testing.T, r *rig) {
		ticket := r.Wish(reconcile.Wish{Server: web("a"), State: drain}, reconcile.Wish{Server: web("a"), State: ready}, reconcile.Wish{Server: web("a"), State: maint})
		require.NoError(t, r.wait(ticket))
		require.NoError(t, r.wait(ticket))
		r.requireState(r.fakes[0], "a", maint)
	})
}

func TestAWishWithoutServersIsDone(t *testing.T) {
	bubble(t, 1, nil, func(t *testing.T, r *rig) { require.NoError(t, r.wait(r.Wish())) })
}

func TestTakingOutOnlyTightens(t *testing.T) {
	bubble(t, 1, []string{"a", "b", "c"}, func(t *testing.T, r *rig) {
		f := r.fakes[0]
		r.done("a", drain)
		r.done("a", maint)
		require.NoError(t, r.wait(r.wish("a", drain))) // of our own
		r.requireState(f, "a", maint)

		f.fault(func() { f.servers["b"].asked = maint }) // what it shows
		r.pass(time.Second)
		require.NoError(t, r.wait(r.wish("b", drain)))
		r.requireState(f, "b", maint)
		for _, x := range f.calls() {
			require.NotContains(t, x.sets(), "b drain")
		}

		f.fault(func() { f.servers["c"].boots = maint }) // and after a restart
		f.restart()
		r.pass(time.Second)
		require.NoError(t, r.wait(r.wish("c", drain)))
		r.requireState(f, "c", maint)
		for _, x := range f.calls() {
			require.NotContains(t, x.sets(), "c drain")
		}
		for _, server := range []string{"a", "b", "c"} {
			r.done(server, ready)
		}
		r.done("b", drain)
	})
}

// A server that is down shows nothing of its drain or maint by somebody else.
func TestAHiddenStateIsReadBeforeADrain(t *testing.T) {
	bubble(t, 1, []string{"a"}, func(t *testing.T, r *rig) {
		f := r.fakes[0]
		f.fault(func() { f.servers["a"].hides = true })
		r.pass(time.Second)
		f.calls()
		r.done("a", drain)
		calls := f.calls()
		require.Empty(t, calls[0].sets())
		require.Equal(t, []string{"a drain"}, calls[1].sets())
		require.True(t, calls[1].targets[0].Certain)
		r.done("a", ready)
	})
}

func TestReadyIsAnsweredWhenTheGateWasStarted(t *testing.T) {
	bubble(t, 1, []string{"a"}, func(t *testing.T, r *rig) {
		f := r.fakes[0]
		f.fault(func() { f.servers["a"].checked, f.servers["a"].checks = true, false })
		r.done("a", maint)
		r.pass(100 * time.Millisecond)
		f.calls()
		r.done("a", ready)
		r.pass(0)
		calls := f.calls()
		require.Len(t, calls, 2, "the gate, and the proof behind the answer")
		require.True(t, calls[0].report.Servers[0].Gated)
		require.Equal(t, ready, calls[1].report.Servers[0].Asked)
		require.Empty(t, r.Pending())
		require.Zero(t, r.log.count(tellsUp))
		f.fault(func() { f.servers["a"].checks = true })
		r.pass(time.Second)
		require.Equal(t, 1, r.log.count(tellsUp))
		r.done("a", ready)
		for _, x := range f.calls() {
			for _, o := range x.report.Servers {
				require.False(t, o.Gated)
			}
		}
	})
}

func TestAGateThatNothingOpensIsOpened(t *testing.T) {
	bubble(t, 1, []string{"a"}, func(t *testing.T, r *rig) {
		f := r.fakes[0]
		f.fault(func() { f.servers["a"].checked, f.servers["a"].unheard = true, true })
		r.done("a", maint)
		r.done("a", ready)
		r.pass(time.Second)
		require.Empty(t, r.Pending())
		require.False(t, f.servers["a"].down)
	})
}

func TestRefusalsAreToldAndTriedAgain(t *testing.T) {
	bubble(t, 2, []string{"a", "b"}, func(t *testing.T, r *rig) {
		f := r.fakes[0]
		denied := errors.New("permission denied")
		for _, hides := range []bool{false, true} {
			f.fault(func() { f.servers["a"].denied, f.servers["a"].hides = denied, hides })
			for _, state := range []haproxysock.AdminState{drain, maint} {
				told := r.log.count(tellsRefused)
				began := time.Now()
				require.ErrorIs(t, r.wait(r.wish("a", state)), denied)
				require.Zero(t, time.Since(began), "nobody waits for it")
				pending := r.Pending()
				require.Len(t, pending, 1)
				require.ErrorIs(t, &pending[0], denied)
				f.calls()
				r.done("b", state) // the others are not held up
				r.pass(20 * time.Second)
				require.Less(t, len(f.calls()), 50)
				require.Len(t, r.Pending(), 1)
				require.Equal(t, told+1, r.log.count(tellsRefused), "told once")
			}
			f.fault(func() { f.servers["a"].denied = nil })
			r.pass(3 * time.Second)
			require.Empty(t, r.Pending())
			r.requireState(f, "a", maint)
			r.done("a", ready)
			r.done("b", ready)
		}
	})
}

func TestAServerThatIsMissingAndComes(t *testing.T) {
	bubble(t, 1, []string{"a"}, func(t *testing.T, r *rig) {
		f := r.fakes[0]
		r.Watch(web("late"))
		r.pass(30 * time.Second)
		require.Equal(t, 1, r.log.count(tellsNoServer))
		require.ErrorIs(t, r.wait(r.wish("late", maint)), haproxysock.ErrNoServer)
		r.pass(0)
		require.Equal(t, 1, r.log.count(tellsRefused))
		require.ErrorIs(t, r.Pending()[0].Err, haproxysock.ErrNoServer)
		f.fault(func() { f.servers["late"] = &server{asked: ready} })
		r.pass(3 * time.Second)
		r.requireState(f, "late", maint)
		require.Empty(t, r.Pending())

		f.fault(func() { delete(f.servers, "late") }) // and goes
		r.pass(3 * time.Second)
		require.Len(t, r.Pending(), 1)
		f.fault(func() { f.servers["late"] = &server{asked: ready} })
		r.pass(3 * time.Second)
		r.requireState(f, "late", maint)
		require.Zero(t, r.log.count(tellsForeign))
	})
}

func TestRunTellsWhatIsLeftUndone(t *testing.T) {
	bubble(t, 2, []string{"a"}, func(t *testing.T, r *rig) {
		r.fakes[0].fault(func() { r.fakes[0].hung = true })
		require.Error(t, r.wait(r.wish("a", drain)))
		r.stop()
		require.Equal(t, 1, r.log.count(tellsUndone))
	})
}

func TestPollLooksAtAll(t *testing.T) {
	bubble(t, 1, []string{"a", "b"}, func(t *testing.T, r *rig) {
		f := r.fakes[0]
		calls := f.calls()
		require.Len(t, calls, 1)
		require.True(t, slices.ContainsFunc(calls[0].report.Servers, func(o observed) bool { return o.Server == web("b") }))
		r.pass(10*time.Second + 500*time.Millisecond)
		calls = f.calls()
		require.Len(t, calls, 10)
		for _, x := range calls {
			require.Len(t, x.targets, 2)
			require.Empty(t, x.sets())
			require.False(t, x.targets[0].Certain, "which could read a whole backend every second")
		}
	})
}
