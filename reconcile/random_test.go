package reconcile_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
	"github.com/supervisor-haproxy/supervisor-haproxy/reconcile"
)

var (
	seed   = flag.Uint64("seed", 0, "seed of the random tests; 0 takes one from the clock")
	rounds = flag.Int("rounds", 60, "rounds of the random tests")
)

// Whatever happens to members, after it has ended they are as wished within 5 s,
// and nobody was told of a wish that it was done when it was not.
func TestRandomFaults(t *testing.T) {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	for round := range *rounds {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			t.Logf("-seed %d, round %d", *seed, round)
			synctest.Test(t, func(t *testing.T) {
				(&accident{rig: newRig(t, 3, fleet), rand: rand.New(rand.NewPCG(*seed, uint64(round))), wished: map[string][]wished{}}).happen()
			})
		})
	}
}

var fleet = []string{"a", "b", "c", "d"}

// A wished is a wish and when it was made.
type wished struct {
	at    time.Time
	state haproxysock.AdminState
}

// by reports whether a server in state does as wished.
func (w wished) by(state haproxysock.AdminState) bool {
	return state == w.state || w.state != ready && state.Tighter(w.state)
}

// A told is a ticket whose Wait returned nil.
type told struct {
	at, until time.Time
	servers   []string
}

// An accident is one round.
type accident struct {
	*rig
	rand   *rand.Rand
	wished map[string][]wished

	waiting sync.WaitGroup
	mu      sync.Mutex
	told    []told
}

func (a *accident) happen() {
	for _, f := range a.fakes {
		for _, s := range f.servers {
			s.checked, s.unheard, s.boots = a.chance(2), a.chance(4), a.state()
			s.asked = s.boots
		}
		f.before, f.after = a.upTo(20*time.Millisecond), a.upTo(20*time.Millisecond)
	}
	for range a.rand.IntN(len(fleet)) {
		a.Watch(web(fleet[a.rand.IntN(len(fleet))]))
	}
	a.run()
	for range 150 {
		if a.chance(2) {
			a.wishSome()
		} else {
			a.harm(a.fakes[a.rand.IntN(len(a.fakes))])
		}
		if !a.chance(3) {
			a.pass(a.upTo(400 * time.Millisecond))
		}
	}
	for _, f := range a.fakes {
		f.fault(func() {
			f.hung, f.deaf, f.refuses, f.garbled = false, false, false, false
			for _, s := range f.servers {
				s.denied = nil
			}
		})
	}
	for _, f := range a.fakes {
		f.late.Wait()
	}
	a.waiting.Wait()
	a.pass(5 * time.Second)
	a.check()
	a.stop()
}

func (a *accident) chance(of int) bool { return a.rand.IntN(of) == 0 }

func (a *accident) upTo(d time.Duration) time.Duration { return time.Duration(a.rand.Int64N(int64(d))) }

func (a *accident) state() haproxysock.AdminState { return states[a.rand.IntN(len(states))] }

var states = []haproxysock.AdminState{ready, drain, maint}

func (a *accident) wishSome() {
	var wishes []reconcile.Wish
	var servers []string
	now := time.Now()
	for range 1 + a.rand.IntN(3) {
		server, state := fleet[a.rand.IntN(len(fleet))], a.state()
		wishes = append(wishes, reconcile.Wish{Server: web(server), State: state, At: now})
		servers = append(servers, server)
		if before := a.wished[server]; len(before) > 0 && before[len(before)-1].state == maint && state == drain {
			state = maint
		}
		a.wished[server] = append(a.wished[server], wished{now, state})
	}
	ticket, patience := a.Wish(wishes...), a.upTo(2*patience)
	a.waiting.Go(func() {
		ctx, cancel := context.WithTimeout(a.t.Context(), patience)
		defer cancel()
		if ticket.Wait(ctx) == nil {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.told = append(a.told, told{now, time.Now(), servers})
		}
	})
}

// harm does something to f, and has it end some time later.
func (a *accident) harm(f *fake) {
	s := f.servers[fleet[a.rand.IntN(len(fleet))]]
	var on, off func()
	switch a.rand.IntN(6) {
	case 0:
		f.restart()
		return
	case 1:
		late := a.upTo(4 * time.Second)
		on, off = func() { f.hung, f.lateBy = true, late }, func() { f.hung = false }
	case 2:
		on, off = func() { f.refuses = true }, func() { f.refuses = false }
	case 3:
		on, off = func() { f.deaf = true }, func() { f.deaf = false }
	case 4:
		on, off = func() { f.garbled = true }, func() { f.garbled = false }
	case 5:
		on, off = func() { s.denied = errors.New("denied") }, func() { s.denied = nil }
	}
	f.fault(on)
	span := a.upTo(4 * time.Second)
	a.waiting.Go(func() {
		<-time.After(span)
		f.fault(off)
	})
}

func (a *accident) check() {
	for server, all := range a.wished {
		last := all[len(all)-1]
		for _, f := range a.fakes {
			f.mu.Lock()
			s := *f.servers[server]
			f.mu.Unlock()
			require.True(a.t, last.by(s.asked), "%s on %s is %s, want %s", server, f, s.asked, last.state)
			require.False(a.t, s.asked == ready && s.stuck, "%s on %s is stuck", server, f)
		}
	}
	require.Empty(a.t, a.Pending())
	for _, told := range a.told {
		for _, server := range told.servers {
			for _, f := range a.fakes {
				require.True(a.t, a.wasTrue(told, server, f), "%s was told to be done on %s from %s to %s", server, f, told.at, told.until)
			}
		}
	}
}

// wasTrue reports whether f had been seen to do what was wished of server when a
// ticket for it was answered.
func (a *accident) wasTrue(told told, server string, f *fake) bool {
	// Tickets of older wishes wait for newer ones of the same server; any that
	// was wished meanwhile will do.
	for _, w := range a.wished[server] {
		if w.at.Before(told.at) || w.at.After(told.until) {
			continue
		}
		for _, x := range f.exchanges {
			if x.err != nil || x.began.Before(w.at) || x.ended.After(told.until) {
				continue
			}
			for _, o := range x.report.Servers {
				if o.Server == web(server) && o.Err == nil && (w.by(o.Asked) || o.Gated && w.state == ready) {
					return true
				}
			}
		}
	}
	return false
}
