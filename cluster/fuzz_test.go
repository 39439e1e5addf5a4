package cluster_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/supervisor-haproxy/supervisor-haproxy/cluster"
)

// An expression never panics, is never about more than is asked for, and its
// mistakes lie within it.
func FuzzParseExpression(f *testing.F) {
	for _, text := range []string{
		"myapp.up >= 3", `backend("my-app").rate`, "my-app.rate", "sum(members, .myapp.rate)", "all(members, .myapp.survives(2))",
		"let b = myapp; b.up", "$env", `members[0]["we\"ird"]`, "first(backends()).up", "myapp?.up", "#.x", ".x", "a.b.c.d()",
		"disagree() or not disagree", "servers('[')", "survives_without()", "(((((((((", "1 / 0", "1..999999999", "-myapp", "groupBy(servers(), .up)",
		"sum(members, {let x = .a; x.rate})", "myapp.servers()[99]", "filter(members, .scur > 1) | map(.address)", "\xff", "a ? b : c", "repeat('x', 9)",
	} {
		f.Add(text, true)
		f.Add(text, false)
	}
	f.Fuzz(func(t *testing.T, text string, over bool) {
		scope := cluster.PerMember
		if over {
			scope = cluster.OverMembers
		}
		x, err := cluster.ParseExpression(text, scope)
		if err != nil {
			var mistake *cluster.ExpressionError
			require.ErrorAs(t, err, &mistake)
			require.NotEmpty(t, mistake.Message)
			require.LessOrEqual(t, mistake.Offset, len(text))
			return
		}
		require.NotEmpty(t, x.Need().Filters)
		if strings.Contains(text, "repeat") { // takes its time, as asked
			return
		}
		c := cluster.Cluster{Sources: []cluster.Source{&table{name: "lb1", text: small}, &table{name: "lb2", text: "garbage"}}}
		a, err := c.Ask(t.Context(), x)
		if err == nil {
			require.NotEmpty(t, a.Results)
		}
	})
}

// A table that somebody made to hurt is an error, or rows; never a panic.
func FuzzTable(f *testing.F) {
	f.Add(small)
	f.Add(smallHead + "myapp,web01,-1,99999999999999999999,UP -1/3,-5,,,x,2,1,,\"\",\n")
	f.Add(smallHead + "a,BACKEND,,,,,,,,1,,,,\nb,s,,,,,,,,2,,,,\nb,FRONTEND,,,,,,,,0,,,,\na,s,,,,,,,,2,,,,\n")
	f.Fuzz(func(t *testing.T, text string) {
		c := cluster.Cluster{Sources: []cluster.Source{&table{name: "lb1", text: text}}}
		for _, question := range []string{"sum(members, sum(.servers(), .scur ?? 0))", "all(members, .survives(1) and .rolling_restartable())", "disagree()"} {
			x, err := cluster.ParseExpression(question, cluster.OverMembers)
			require.NoError(t, err)
			c.Ask(t.Context(), x)
		}
	})
}
