package cluster_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/supervisor-haproxy/supervisor-haproxy/cluster"
	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
)

// A table is a Source that has its statistics as text, as HAProxy writes them.
type table struct {
	name  string
	text  string
	err   error
	asked []haproxysock.StatFilter // by the last call
	cols  []string
}

func (t *table) String() string { return t.name }

func (t *table) ScanStats(ctx context.Context, filters []haproxysock.StatFilter, columns []string, row func(*haproxysock.StatScanner) error) error {
	t.asked, t.cols = filters, columns
	if t.err != nil {
		return t.err
	}
	return haproxysock.ScanCSV(strings.NewReader(t.text), t.name, filters, columns, row)
}

// smallHead has the columns that the tests' tables have.
const smallHead = "# pxname,svname,scur,rate,status,weight,bck,stot,lastchg,type,sid,throttle,desc,\n"

// small is a table with a frontend, and the backends myapp, of which 3 of 4 are in
// rotation, and my-other, which is down.
const small = smallHead +
	"www,FRONTEND,7,12,OPEN,,,500,,0,0,,,\n" +
	"tls,FRONTEND,3,5,OPEN,,,90,,0,0,,,\n" +
	"myapp,web01,2,4,UP,1,0,100,50,2,1,,first,\n" +
	"myapp,web02,1,3,UP 1/3,1,0,100,50,2,2,50,\"a, \"\"b\"\"\",\n" +
	"myapp,web03,0,0,no check,1,0,100,50,2,3,,,\n" +
	"myapp,web04,0,0,MAINT,1,0,9,5,2,4,,,\n" +
	"myapp,spare,0,0,MAINT,1,0,0,100,2,5,,,\n" +
	"myapp,sorry,0,0,UP,1,1,0,100,2,6,,,\n" +
	"myapp,BACKEND,3,9,UP,3,1,300,100,1,0,,,\n" +
	"my-other,web01,0,0,DOWN,1,0,100,50,2,1,,,\n" +
	"my-other,BACKEND,0,0,DOWN,0,0,100,50,1,0,,,\n"

// ScanServerStates says that spare is disabled in the file.
func (t *table) ScanServerStates(ctx context.Context, backend string, each func(*haproxysock.ServerState) error) error {
	return each(&haproxysock.ServerState{Name: haproxysock.ServerName{Backend: backend, Server: "spare"}, Admin: haproxysock.ConfiguredMaint | haproxysock.ForcedMaint})
}

func askOne(t testing.TB, text string, sources ...cluster.Source) (any, error) {
	t.Helper()
	x, err := cluster.ParseExpression(text, cluster.PerMember)
	if err != nil {
		return nil, err
	}
	c := cluster.Cluster{Sources: sources}
	a, err := c.Ask(t.Context(), x)
	if err != nil {
		return nil, err
	}
	require.Len(t, a.Results, len(sources))
	return a.Results[0].Value, a.Results[0].Err
}

func TestExpressionsOfOneMember(t *testing.T) {
	for text, want := range map[string]any{
		"1 + 1":                                           2,
		"myapp.rate":                                      9,
		`backend("my-other").status`:                      "DOWN",
		"scur":                                            10,
		"scur + myapp.scur":                               13,
		"frontend('tls').rate":                            5,
		"len(frontends())":                                2,
		"map(backends(), .name)":                          []any{"myapp", "my-other"},
		"sum(backends(), .up)":                            3,
		"myapp.total":                                     4,
		"myapp.in_rotation":                               3,
		"myapp.up":                                        3,
		"myapp.down":                                      0,
		"myapp.maint":                                     1,
		"myapp.drained":                                   0,
		"myapp.backups":                                   1,
		"myapp.rolling_restartable()":                     false, // 80 % of 4 is 4
		"myapp.rolling_restartable(75)":                   true,
		"myapp.rolling_restartable(76)":                   false,
		"myapp.survives(2)":                               true,
		"myapp.survives(3)":                               false,
		`myapp.survives_without("web01")`:                 true,
		`survives_without("web01")`:                       false, // my-other has one as well, and is down
		`survives_without("web02","web03")`:               true,
		`backend("my-other").down`:                        1,
		`backend("my-other").survives(0)`:                 false,
		"rolling_restartable(50)":                         false,
		`map(myapp.servers("web0[12]"), .name)`:           []any{"web01", "web02"},
		`map(myapp.servers("web01","sorry"), .backup)`:    []any{false, true},
		`myapp.server("web02").throttle`:                  50,
		`myapp.server("web01").throttle`:                  nil,
		`myapp.server("web01").throttle ?? 100`:           100,
		`myapp.server("web02").desc`:                      `a, "b"`,
		`sum(servers(), .scur)`:                           3,
		`first(myapp.servers()).name`:                     "web01",
		`first(myapp.servers()).up`:                       true,
		`reduce(myapp.servers(), #, {}).stot`:             0,
		`(1 > 2 ? 1 : backends()[1]).down`:                1,
		`(1 > 2 ? 1 : backends()[1]).survives(0)`:         false,
		`(1 > 2 ? 1 : backends()[1]).name`:                "my-other",
		`first(backends()).rate`:                          9,
		`fromJSON('{"a": 7}').a`:                          7.0,
		`count(servers(), .desc contains "b")`:            1,
		`first(myapp.servers()).scur`:                     2,
		`first(backends()).survives(1)`:                   true,
		`myapp.servers()[1].in_rotation`:                  true,
		`let b = myapp; b.up > 2 and b.rate > 2`:          true,
		`let n = 3; n + myapp.rate`:                       12,
		`count(myapp.servers(), .status startsWith "UP")`: 3,
		`filter(myapp.servers(), .scur > 1)`: []any{map[string]any{
			"proxy": "myapp", "name": "web01", "status": "UP", "scur": 2}},
		`find(myapp.servers(), .scur > 99)?.scur`: nil,
		`address`:    "lb1",
		`disagree()`: false,
		`groupBy(myapp.servers(), .up)["true"] == nil`: true,
	} {
		t.Run(text, func(t *testing.T) {
			got, err := askOne(t, text, &table{name: "lb1", text: small})
			require.NoError(t, err)
			require.Equal(t, want, got)
		})
	}
}

func TestMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"":                               "unexpected token",
		"myapp.rate >":                   "unexpected token",
		"myap.rate":                      `unknown backend "myap", nearest is myapp (1:1)`,
		"myapp.rat > 1":                  `unknown column or word "rat", nearest is rate (1:7)`,
		"myapp.rate > '5'":               "mismatched types int and string",
		"myapp > 3":                      "mismatched types backend and int",
		"my-other.rate":                  `nearest is backend("my-other")`,
		"my-other.up >= 1":               `nearest is backend("my-other")`,
		`backend("my-othr").up`:          `unknown backend "my-othr", nearest is backend("my-other")`,
		`frontend("ww").scur`:            `unknown frontend "ww", nearest is frontend("www")`,
		`www.scur`:                       `unknown backend "www", nearest is frontend("www")`,
		`myapp.rolling_restart()`:        `unknown function "rolling_restart", nearest is rolling_restartable`,
		`rolling_restartabel()`:          `unknown function "rolling_restartabel", nearest is rolling_restartable`,
		`myapp.survives("x")`:            "cannot use string as argument (type int) to call survives",
		`myapp.survives`:                 `"survives" is a function`,
		`myapp.survives(-1)`:             "want 0 or more",
		`myapp.rolling_restartable(200)`: "want 0 to 100",
		`myapp.server("web99").scur`:     `no server "web99", nearest is "web01"`,
		`(1 > 2 ? 1 : first(myapp.servers())).scurr`: `myapp/web01 has no column "scurr"`,
		`max(map(myapp.servers(), .throttle))`:       `type nil, as an empty column is`,
		`survives_without("web91")`:                  `no server "web91"`,
		`myapp.survives_without("wxb01")`:            `nearest is "web01"`,
		`myapp.servers("[")`:                         "syntax error in pattern",
		`sum(members, .rate)`:                        "known to query and watch",
		`$env["x"]`:                                  "unknown name",
		`myapp.server("web01").throttle + 1`:         `myapp/web01: column "throttle" is empty`,
		`sum(myapp.servers(), .throttle)`:            `column "throttle" is empty`,
		`scur.up`:                                    `type int has no field up, nearest is backend("scur")`,
		`servers.up`:                                 `nearest is backend("servers")`,
		`down.rate`:                                  `unknown backend "down"`,
		`scurr > 3`:                                  `mismatched types backend and int), nearest is scur`,
	} {
		t.Run(text, func(t *testing.T) {
			_, err := askOne(t, text, &table{name: "lb1", text: small})
			require.ErrorContains(t, err, want)
			var mistake *cluster.ExpressionError
			require.ErrorAs(t, err, &mistake)
			require.Equal(t, text, mistake.Text)
			require.NotContains(t, err.Error(), "struct")
		})
	}
}

func TestNothingIsNearerThanItIs(t *testing.T) {
	for _, text := range []string{"nope.rate", "web && myapp.up", "web.scur.up"} {
		_, err := askOne(t, text, &table{name: "lb1", text: small})
		require.Error(t, err)
		require.NotContains(t, err.Error(), "nearest", "nope is no type, and web is no wrew")
	}
}

func TestBackendsThatAreCalledLikeWordsOfOthers(t *testing.T) {
	named := func(name string) *table {
		return &table{name: "lb1", text: strings.ReplaceAll(small, "myapp", name)}
	}
	for _, name := range []string{"down", "up", "total", "name", "status", "mode"} {
		t.Run(name, func(t *testing.T) {
			v, err := askOne(t, name+".up + "+name+".rate", named(name))
			require.NoError(t, err)
			require.Equal(t, 12, v)
			v, err = askOne(t, name+`.survives(2) && `+name+`.server("web01").up && `+name+`.status == "UP"`, named(name))
			require.NoError(t, err)
			require.Equal(t, true, v)
			x, err := cluster.ParseExpression("sum(members, ."+name+".up)", cluster.OverMembers)
			require.NoError(t, err)
			c := cluster.Cluster{Sources: []cluster.Source{named(name)}}
			a, err := c.Ask(t.Context(), x)
			require.NoError(t, err)
			require.NoError(t, a.Results[0].Err)
			require.Equal(t, 3, a.Results[0].Value)
		})
	}
	_, err := cluster.ParseExpression("sum(members, .rate.up)", cluster.OverMembers)
	require.ErrorContains(t, err, `nearest is .backend("rate")`)
}

func TestExpressionsOverMembers(t *testing.T) {
	sources := []cluster.Source{&table{name: "lb1", text: small}, &table{name: "lb2", text: strings.ReplaceAll(small, "web01,2", "web01,5")}}
	for text, want := range map[string]any{
		"sum(members, .myapp.rate)":                           18,
		"sum(members, .scur)":                                 20,
		"all(members, .myapp.survives(2))":                    true,
		`sum(members, .backend("my-other").scur)`:             0,
		"sum(members, sum(.servers(), .scur))":                9,
		"map(members, .address)":                              []any{"lb1", "lb2"},
		"disagree()":                                          false,
		"max(map(members, .myapp.rate))":                      9,
		`members[1].myapp.server("web01").scur`:               5,
		"len(members)":                                        2,
		`all(members, all(.backends(), .name matches "^my"))`: true,
		`sum(members, count(.myapp.servers(), .in_rotation))`: 8,
	} {
		t.Run(text, func(t *testing.T) {
			x, err := cluster.ParseExpression(text, cluster.OverMembers)
			require.NoError(t, err)
			c := cluster.Cluster{Sources: sources}
			a, err := c.Ask(t.Context(), x)
			require.NoError(t, err)
			require.Len(t, a.Results, 1)
			require.NoError(t, a.Results[0].Err)
			require.Equal(t, want, a.Results[0].Value)
		})
	}
	for text, want := range map[string]string{
		"myapp.rate":                 `unknown name "myapp", nearest is .myapp of one of the members, as in sum(members, .myapp.rate)`,
		"rate":                       `as in sum(members, .rate)`,
		"sum(members, .myap.rate)":   `unknown backend "myap", nearest is myapp`,
		"sum(members, .myapp.rat)":   `unknown column or word "rat", nearest is rate`,
		"sum(members, .my-other.up)": `nearest is .backend("my-other")`,
		"sum(membrs, .scur)":         "nearest is members",
	} {
		t.Run(text, func(t *testing.T) {
			x, err := cluster.ParseExpression(text, cluster.OverMembers)
			if err == nil {
				_, err = (&cluster.Cluster{Sources: sources}).Ask(t.Context(), x)
			}
			require.ErrorContains(t, err, want)
		})
	}
}

// What is asked is what the expression needs, and no more.
func TestNeed(t *testing.T) {
	const f, b, s = haproxysock.Frontends, haproxysock.Backends, haproxysock.Servers
	type filters = []haproxysock.StatFilter
	capacity := []string{"weight", "bck", "stot", "lastchg"}
	for text, want := range map[string]cluster.Need{
		"sum(members, .myapp.rate)":        {filters{{Proxy: "myapp", Kinds: b}}, []string{"rate"}},
		"sum(members, .scur)":              {filters{{Kinds: f}}, []string{"scur"}},
		"all(members, .myapp.survives(2))": {filters{{Proxy: "myapp", Kinds: b | s}}, capacity},
		"sum(members, sum(.a.servers(), .qcur) + .b.scur)": {
			filters{{Proxy: "a", Kinds: b | s}, {Proxy: "b", Kinds: b}}, []string{"qcur", "scur"}},
		"sum(members, .a.rate + .a.up)":                 {filters{{Proxy: "a", Kinds: b | s}}, append([]string{"rate"}, capacity...)},
		"sum(members, sum(.backends(), .rate) + .a.up)": {filters{{Kinds: b}, {Proxy: "a", Kinds: s}}, append([]string{"rate"}, capacity...)},
		"sum(members, sum(.backends(), .up))":           {filters{{Kinds: b | s}}, capacity},
		"sum(members, .frontend('www').rate)":           {filters{{Proxy: "www", Kinds: f}}, []string{"rate"}},
		"all(members, let x = .a; x.rate > 1)":          {filters{{Proxy: "a", Kinds: b}}, []string{"rate"}},
		"all(members, let x = .a; x.up > 1)":            {filters{{Proxy: "a", Kinds: b | s}}, capacity},
		"disagree()":                                    {filters{{Kinds: b | s}}, nil},
	} {
		t.Run(text, func(t *testing.T) {
			x, err := cluster.ParseExpression(text, cluster.OverMembers)
			require.NoError(t, err)
			require.Equal(t, want, x.Need())
		})
	}
}

func TestAMemberThatFails(t *testing.T) {
	dead := &table{name: "lb2", err: errors.New("connection refused")}
	c := cluster.Cluster{Sources: []cluster.Source{&table{name: "lb1", text: small}, dead}}
	x, err := cluster.ParseExpression("myapp.up >= 3", cluster.PerMember)
	require.NoError(t, err)
	a, err := c.Ask(t.Context(), x)
	require.NoError(t, err)
	require.Equal(t, true, a.Results[0].Value)
	require.EqualError(t, a.Results[1].Err, "lb2: connection refused")
	_, err = a.Results[1].Holds()
	require.Error(t, err)

	x, err = cluster.ParseExpression("sum(members, .myapp.rate)", cluster.OverMembers)
	require.NoError(t, err)
	a, err = c.Ask(t.Context(), x)
	require.NoError(t, err)
	require.Equal(t, 9, a.Results[0].Value)
	require.EqualError(t, a.Results[0].Err, "lb2: connection refused")

	// A backend that one member has and the other has not is no mistake.
	dead.err, dead.text = nil, smallHead+"other,BACKEND,0,0,UP,3,0,0,0,1,0,,,\n"
	a, err = c.Ask(t.Context(), x)
	require.NoError(t, err)
	require.ErrorContains(t, a.Results[0].Err, `lb2: no backend "myapp"`)
	require.Equal(t, []string{"myapp"}, a.Snapshot.Reports[1].Missing)
	x, err = cluster.ParseExpression("myapp.rate", cluster.PerMember)
	require.NoError(t, err)
	a, err = c.Ask(t.Context(), x)
	require.NoError(t, err)
	require.EqualError(t, a.Results[1].Err, "lb2: no backend \"myapp\" (1:1)\n | myapp.rate\n | ^")
}

func TestDisagreements(t *testing.T) {
	other := strings.ReplaceAll(small, "web02,1,3,UP 1/3", "web02,1,3,DRAIN")
	other = strings.ReplaceAll(other, "no check", "UP 2/3")
	other = strings.ReplaceAll(other, "myapp,sorry,0,0,UP,1,1,0,100,2,6,,,\n", "")
	c := cluster.Cluster{Sources: []cluster.Source{&table{name: "lb1", text: small}, &table{name: "lb2", text: other}}}
	s := c.Snapshot(t.Context(), cluster.Need{})
	require.NoError(t, s.Err())
	require.Equal(t, []cluster.Disagreement{
		{Server: haproxysock.ServerName{Backend: "myapp", Server: "web02"}, Says: []cluster.Says{{"lb1", "UP 1/3"}, {"lb2", "DRAIN"}}},
		{Server: haproxysock.ServerName{Backend: "myapp", Server: "sorry"}, Says: []cluster.Says{{"lb1", "UP"}, {"lb2", ""}}},
	}, s.Disagreements())
}

func TestTablesThatMakeNoSense(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":      "",
		"a login page": "<html><body>401 Unauthorized</body></html>\n",
		"a header":     smallHead,
		"no type":      "# pxname,svname,status,\na,BACKEND,UP,\n",
		"no weight":    "# pxname,svname,status,type,sid,bck,\na,BACKEND,UP,1,0,0,\n",
		"short row":    smallHead + "myapp,BACKEND,1\n",
		"cut row":      small[:len(small)-20],
		"type 9":       smallHead + "myapp,BACKEND,3,9,UP,3,1,300,100,9,0,,,\n",
		"type x":       smallHead + "myapp,BACKEND,3,9,UP,3,1,300,100,x,0,,,\n",
	} {
		t.Run(name, func(t *testing.T) {
			v, err := askOne(t, "myapp.up > 0", &table{name: "lb1", text: text})
			require.Error(t, err)
			require.Nil(t, v)
			c := cluster.Cluster{Sources: []cluster.Source{&table{name: "lb1", text: text}}}
			require.Error(t, c.Snapshot(t.Context(), cluster.Need{Columns: []string{"weight"}}).Err())
		})
	}
}

func TestNobodyIsAskedOfAMistake(t *testing.T) {
	m := &table{name: "lb1", text: small}
	_, err := askOne(t, "myapp.rate + 'x'", m)
	require.Error(t, err)
	require.Nil(t, m.asked)
}

func TestFileInTheTable(t *testing.T) {
	text, err := os.ReadFile("../haproxysock/testdata/show-stat-2.6.12.csv")
	require.NoError(t, err)
	c := cluster.Cluster{Timeout: time.Second, Sources: []cluster.Source{&table{name: "f", text: string(text)}}}
	s := c.Snapshot(t.Context(), cluster.Need{Columns: []string{"rate", "addr", "nonsense"}})
	require.NoError(t, s.Err())
	require.Equal(t, []string{"rate", "addr"}, s.Reports[0].Rows[0].Columns())
	require.Nil(t, s.Reports[0].Rows[0].Column("nonsense"))
	require.Equal(t, 6, s.Reports[0].Rows[0].Column("rate"))
}
