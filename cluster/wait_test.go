package cluster_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/supervisor-haproxy/supervisor-haproxy/cluster"
	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
)

// A changing is a Source whose table is what text says at that time since start.
type changing struct {
	name  string
	start time.Time
	took  time.Duration
	text  func(age time.Duration) string

	mu    sync.Mutex
	asked []time.Duration
}

func (c *changing) String() string { return c.name }

func (c *changing) ScanStats(ctx context.Context, filters []haproxysock.StatFilter, columns []string, row func(*haproxysock.StatScanner) error) error {
	age := time.Since(c.start)
	c.mu.Lock()
	c.asked = append(c.asked, age)
	c.mu.Unlock()
	select {
	case <-time.After(c.took):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	text := c.text(age)
	if text == "" {
		return errors.New("connection refused")
	}
	return haproxysock.ScanCSV(strings.NewReader(text), c.name, filters, columns, row)
}

// upFrom is a member whose web04 comes out of maintenance so late.
func upFrom(name string, late time.Duration) *changing {
	return &changing{name: name, start: time.Now(), text: func(age time.Duration) string {
		if age < late {
			return small
		}
		return strings.ReplaceAll(small, "MAINT,1,0,9", "UP,1,0,9")
	}}
}

func condition(t testing.TB, text string) *cluster.Expression {
	t.Helper()
	x, err := cluster.ParseExpression(text, cluster.PerMember)
	require.NoError(t, err)
	return x
}

func TestWaitUntilItHeldThreeTimesInARowEverywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		c := cluster.Cluster{Sources: []cluster.Source{upFrom("lb1", 0), upFrom("lb2", 5*time.Second)}}
		seen := 0
		a, err := c.Wait(t.Context(), condition(t, "myapp.rolling_restartable()"), 2*time.Second, 3, func(*cluster.Answer) { seen++ })
		require.NoError(t, err)
		require.Equal(t, 10*time.Second, time.Since(start)) // held at 6, 8 and 10 s
		require.Equal(t, 6, seen)
		require.Len(t, a.Results, 2)
	})
}

func TestWaitBeginsAnewWhenItDidNotHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		flapping := upFrom("lb1", 0)
		up := flapping.text
		flapping.text = func(age time.Duration) string {
			if age == 4*time.Second {
				return small
			}
			return up(age)
		}
		c := cluster.Cluster{Sources: []cluster.Source{flapping}}
		_, err := c.Wait(t.Context(), condition(t, "myapp.up == 4"), 2*time.Second, 3, nil)
		require.NoError(t, err)
		require.Equal(t, 10*time.Second, time.Since(start))
	})
}

func TestWaitTellsWhatIsMissingAndByWhom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead := upFrom("lb3", 0)
		dead.text = func(time.Duration) string { return "" }
		c := cluster.Cluster{Sources: []cluster.Source{upFrom("lb1", 0), upFrom("lb2", time.Hour), dead}}
		ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second)
		defer cancel()
		a, err := c.Wait(ctx, condition(t, "myapp.up == 4"), 2*time.Second, 3, nil)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.EqualError(t, err, "lb2: myapp.up == 4 does not hold; lb3: connection refused: context deadline exceeded")
		require.Len(t, a.Results, 3)
		require.Equal(t, false, a.Results[1].Value)
	})
}

func TestWaitThatIsCutShortGivesTheLastWholeAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := upFrom("lb1", 0)
		c := cluster.Cluster{Sources: []cluster.Source{m}}
		ctx, cancel := context.WithCancelCause(t.Context())
		bored := errors.New("bored")
		a, err := c.Wait(ctx, condition(t, "myapp.up == 4"), 2*time.Second, 5, func(*cluster.Answer) {
			m.took = time.Hour
			time.AfterFunc(3*time.Second, func() { cancel(bored) })
		})
		require.ErrorIs(t, err, bored)
		require.EqualError(t, err, "myapp.up == 4 held 1 of 5 times in a row: bored")
		require.NoError(t, a.Results[0].Err)
	})
}

func TestWaitThatEndsBeforeAHungMemberTellsOfTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hung := upFrom("lb2", 0)
		hung.took = time.Hour
		c := cluster.Cluster{Sources: []cluster.Source{upFrom("lb1", time.Hour), hung}}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		a, err := c.Wait(ctx, condition(t, "myapp.up == 4"), 2*time.Second, 3, nil)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "lb1: myapp.up == 4 does not hold; lb2: ")
		require.NotNil(t, a)
		require.Equal(t, false, a.Results[0].Value)
		require.Error(t, a.Results[1].Err)
	})
}

func TestAHungMemberHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		hung := upFrom("lb2", 0)
		hung.took = time.Hour
		c := cluster.Cluster{Sources: []cluster.Source{upFrom("lb1", 0), hung}}
		a, err := c.Ask(t.Context(), condition(t, "myapp.up == 4"))
		require.NoError(t, err)
		require.Equal(t, 5*time.Second, time.Since(start)) // its own deadline
		require.Equal(t, true, a.Results[0].Value)
		require.ErrorIs(t, a.Results[1].Err, context.DeadlineExceeded)
	})
}

func TestWaitEndsAtOnceWhereItCannotHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		c := cluster.Cluster{Sources: []cluster.Source{upFrom("lb1", 0)}}
		for text, want := range map[string]string{
			"myapp.up":      "want true or false",
			"myap.up == 4":  `unknown backend "myap"`,
			"myapp.rat > 1": `unknown column or word "rat"`,
		} {
			_, err := c.Wait(t.Context(), condition(t, text), 2*time.Second, 3, nil)
			require.ErrorContains(t, err, want)
		}
		_, err := (&cluster.Cluster{}).Wait(expired(t), condition(t, "myapp.up == 4"), time.Second, 1, nil)
		require.Error(t, err)
		require.Zero(t, time.Since(start))
	})
}

func expired(t testing.TB) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
