package reconcile_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
)

// What is said while an older wish is under way is said behind it, and the older
// one's answer is not taken for its own.
func TestAWishBehindAnOlderOne(t *testing.T) {
	for _, states := range [][]haproxysock.AdminState{
		{drain, maint}, {drain, ready}, {maint, ready}, {ready, drain}, {ready, maint},
		{ready, maint, ready}, {maint, ready, maint}, {drain, ready, drain}, {maint, maint},
	} {
		bubble(t, 1, []string{"a"}, func(t *testing.T, r *rig) {
			f := r.fakes[0]
			if states[0] == ready {
				r.done("a", maint)
			}
			r.pass(200 * time.Millisecond)
			f.fault(func() { f.before, f.after = 50*time.Millisecond, 50*time.Millisecond })
			f.calls()
			first := r.wish("a", states[0])
			r.pass(75 * time.Millisecond) // done, and the answer on its way
			for _, state := range states[1:] {
				last := r.wish("a", state)
				defer func() { require.NoError(t, r.wait(last)) }()
			}
			wished := time.Now()
			require.NoError(t, r.wait(first))
			require.Equal(t, 125*time.Millisecond, time.Since(wished), "%v: by an exchange of its own", states)
			r.requireState(f, "a", states[len(states)-1])
			calls := f.calls()
			require.Len(t, calls, 2)
			require.Empty(t, r.Pending())
		})
	}
}

// A look that was under way when the wish came proves nothing.
func TestAWishDuringALook(t *testing.T) {
	for _, state := range []haproxysock.AdminState{drain, maint, ready} {
		bubble(t, 1, []string{"a"}, func(t *testing.T, r *rig) {
			f := r.fakes[0]
			r.done("a", state)
			f.fault(func() { f.before, f.after = 50*time.Millisecond, 50*time.Millisecond })
			r.pass(1075 * time.Millisecond) // the poll's answer is on its way
			f.fault(func() {
				f.servers["a"].asked = map[haproxysock.AdminState]haproxysock.AdminState{drain: ready, maint: ready, ready: maint}[state]
			})
			r.done("a", state)
		})
	}
}

// So does a refusal: HAProxy was mended before the wish.
func TestARefusalOfAnOlderWish(t *testing.T) {
	bubble(t, 1, []string{"a"}, func(t *testing.T, r *rig) {
		f := r.fakes[0]
		f.fault(func() { f.servers["a"].denied, f.after = haproxysock.ErrDenied, 100*time.Millisecond })
		r.wish("a", drain)
		r.pass(50 * time.Millisecond)
		f.fault(func() { f.servers["a"].denied = nil })
		r.done("a", maint)
	})
}

func TestAServerThatWillNotBeAsWished(t *testing.T) {
	for _, f := range []func(*server){
		func(s *server) { s.stays = ready },
		func(s *server) { s.stays, s.hides = ready, true },
		func(s *server) { s.hides, s.opaque = true, true },
	} {
		bubble(t, 2, []string{"bad", "b"}, func(t *testing.T, r *rig) {
			lb := r.fakes[0]
			lb.fault(func() { f(lb.servers["bad"]) })
			require.Error(t, r.wait(r.wish("bad", drain)))
			require.Error(t, r.wait(r.wish("bad", drain)), "it is waited for each time")
			began := time.Now()
			r.done("b", maint)
			require.Zero(t, time.Since(began), "the others are not held up")
			lb.calls()
			r.pass(time.Minute)
			calls := lb.calls()
			require.Less(t, len(calls), 150)
			looks := slices.DeleteFunc(calls, func(x *exchange) bool { return len(x.targets) < 2 && x.targets[0].Server == web("bad") })
			require.GreaterOrEqual(t, len(looks), 55, "the others are looked at as ever")
			require.Len(t, r.Pending(), 1)
			require.Zero(t, r.log.count(tellsAway), "it answers")
			require.LessOrEqual(t, r.log.count(tellsNotSo), 2)
			lb.fault(func() { lb.servers["bad"].stays, lb.servers["bad"].opaque = "", false })
			r.pass(3 * time.Second)
			require.Empty(t, r.Pending())
		})
	}
}

// Somebody drains it as often as we send it through its check.
func TestAGateThatIsUndone(t *testing.T) {
	bubble(t, 1, []string{"a"}, func(t *testing.T, r *rig) {
		f := r.fakes[0]
		r.done("a", maint)
		f.fault(func() { f.servers["a"].checked, f.servers["a"].stays = true, drain })
		f.calls()
		r.wait(r.wish("a", ready))
		r.pass(time.Minute)
		require.Less(t, len(f.calls()), 180)
		require.Len(t, r.Pending(), 1)
	})
}

func TestPeoplesChangesAreLeftAlone(t *testing.T) {
	for _, wished := range []haproxysock.AdminState{drain, maint, ready} {
		for _, theirs := range []haproxysock.AdminState{drain, maint, ready} {
			if theirs == wished || wished == drain && theirs == maint {
				continue
			}
			for _, hides := range []bool{false, true} {
				bubble(t, 2, []string{"a"}, func(t *testing.T, r *rig) {
					f := r.fakes[0]
					r.done("a", wished)
					f.fault(func() { f.servers["a"].asked = theirs })
					if hides && wished == maint { // then maint does not show, and that tells
						f.fault(func() { f.servers["a"].hides = true })
					}
					r.pass(30 * time.Second)
					r.requireState(f, "a", theirs)
					r.requireState(r.fakes[1], "a", wished)
					require.Equal(t, 1, r.log.count(tellsForeign))
					require.Empty(t, r.Pending())
					r.done("a", wished) // until the next event
					r.pass(5 * time.Second)
					r.requireState(f, "a", wished)
				})
			}
		}
	}
}

func TestALateCommandIsNotAPerson(t *testing.T) {
	for _, hides := range []bool{false, true} {
		bubble(t, 1, []string{"a", "b"}, func(t *testing.T, r *rig) {
			f := r.fakes[0]
			r.done("b", ready)
			f.fault(func() { f.hung, f.lateBy, f.servers["a"].hides = true, 3*time.Second, hides })
			require.Error(t, r.wait(r.wish("a", maint)))
			r.pass(time.Second) // the line is given up
			f.fault(func() { f.hung = false })
			r.pass(time.Second)
			r.done("a", ready)
			f.fault(func() { f.servers["b"].asked = maint }) // of b we have said nothing
			r.pass(4 * time.Second)
			require.Equal(t, 1, r.log.count(tellsLate))
			r.requireState(f, "a", ready)
			require.Empty(t, r.Pending())
			require.Equal(t, 1, r.log.count(tellsForeign))
			r.requireState(f, "b", maint)

			r.pass(20 * time.Second) // so late it is no more than a person's
			f.fault(func() { f.servers["a"].asked = maint })
			r.pass(2 * time.Second)
			require.Equal(t, 1, r.log.count(tellsLate))
			r.requireState(f, "a", maint)
		})
	}
}

// A drain that comes late to a server that is down does not show until it is up.
func TestALateCommandThatDoesNotShow(t *testing.T) {
	bubble(t, 1, []string{"a"}, func(t *testing.T, r *rig) {
		f := r.fakes[0]
		f.fault(func() { f.hung, f.lateBy, f.servers["a"].hides = true, 3*time.Second, true })
		require.Error(t, r.wait(r.wish("a", drain)))
		r.pass(time.Second)
		f.fault(func() { f.hung = false })
		r.pass(time.Second)
		r.done("a", ready)
		r.pass(30 * time.Second)
		r.requireState(f, "a", ready)
	})
}
