package cluster_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/supervisor-haproxy/supervisor-haproxy/cluster"
)

// The columns of HAProxy 1.5, 2.8, 3.0 and 3.4 were written down by hand, with the
// rows that a 2.6.12 gave: 62 columns and CRLF, "(null)" for a name, columns of
// modules behind "-", quoted descriptions with commas.
func TestColumnsOfAllVersions(t *testing.T) {
	for _, v := range []struct {
		file string
		also map[string]any
	}{
		{"testdata/show-stat-1.5.csv", map[string]any{"backends()[0].rtime": 0, "app.server('app03').weight": 1}},
		{"../haproxysock/testdata/show-stat-2.6.12.csv", map[string]any{"app.mode": "http", "app2.h1_open_streams": 0}},
		{"testdata/show-stat-2.8.csv", map[string]any{"app.server('app02').srid": 0}},
		{"testdata/show-stat-3.0.csv", map[string]any{"frontend('fe').h1sess": 6, "frontend('fe').proto": nil}},
		{"testdata/show-stat-3.4.csv", map[string]any{"app.reqbin": 700, "app.quic_dropped_pkt": 3, "reqbin": 1400,
			"app.server('app03').check_desc": `Layer4 "connect", refused`}},
	} {
		t.Run(v.file, func(t *testing.T) {
			text, err := os.ReadFile(v.file)
			require.NoError(t, err)
			questions := map[string]any{
				"app.in_rotation": 2, "app.total": 4, "app.down": 1, "app.maint": 1, "app.survives(1)": true, "app.stot": 8,
				"app.server('app02').weight": 10, "app.server('app01').throttle": nil,
			}
			for text, want := range v.also {
				questions[text] = want
			}
			for question, want := range questions {
				got, err := askOne(t, question, &table{name: v.file, text: string(text)})
				require.NoError(t, err, question)
				require.Equal(t, want, got, question)
			}
		})
	}
}

// A column of a later version is known by name, and no mistake of an older one is
// hidden: where nobody has it, that is told.
func TestAColumnThatOnlyOneMemberHas(t *testing.T) {
	old, err := os.ReadFile("testdata/show-stat-1.5.csv")
	require.NoError(t, err)
	young, err := os.ReadFile("testdata/show-stat-3.4.csv")
	require.NoError(t, err)
	one, other := &table{name: "old", text: string(old)}, &table{name: "young", text: string(young)}
	got, err := askOne(t, "app.quic_dropped_pkt", one, other)
	require.NoError(t, err)
	require.Nil(t, got)
	_, err = askOne(t, "app.quic_dropped_pkt", one)
	require.ErrorContains(t, err, `unknown column or word "quic_dropped_pkt"`)
}

func TestCapacity(t *testing.T) {
	const full = "UP,1,0,9,50" // status, weight, bck, stot, lastchg
	for name, c := range map[string]struct {
		servers []string
		want    cluster.Capacity
	}{
		"nothing":            {nil, cluster.Capacity{}},
		"stages":             {[]string{full, "UP 1/3,1,0,0,5", "UP -1/3,1,0,0,5", "no check,1,0,0,5"}, cluster.Capacity{Servers: 4, Up: 4, InRotation: 4}},
		"weights":            {[]string{"UP,0,0,9,5", "no check,0,0,9,5", "UP,,0,9,5"}, cluster.Capacity{Servers: 3, Up: 3}},
		"backups":            {[]string{full, "UP,1,1,9,5", "DOWN,1,1,9,5"}, cluster.Capacity{Servers: 1, Up: 1, InRotation: 1, Backups: 2}},
		"out":                {[]string{"DOWN,1,0,9,5", "DOWN 1/2,1,0,9,5", "DOWN (agent),1,0,9,5", "NOLB,1,0,9,5", "NOLB 1/3,1,0,9,5"}, cluster.Capacity{Servers: 5, Down: 3}},
		"drained":            {[]string{"DRAIN,1,0,9,5", "DRAIN 1/3,1,0,9,5", "DRAIN (agent),1,0,9,5"}, cluster.Capacity{Servers: 3, Drained: 3}},
		"maintenance":        {[]string{"MAINT,1,0,9,5", "MAINT (via a/b),1,0,0,100", "MAINT (resolution),1,0,3,100"}, cluster.Capacity{Servers: 3, Maint: 3}},
		"waits for DNS":      {[]string{"MAINT (resolution),1,0,0,100", full}, cluster.Capacity{Servers: 1, Up: 1, InRotation: 1, Free: 1}},
		"lost its DNS":       {[]string{"MAINT (resolution),1,0,0,99", full}, cluster.Capacity{Servers: 2, Up: 1, InRotation: 1, Maint: 1}},
		"words of tomorrow":  {[]string{"SOMETHING,1,0,9,5", ",1,0,9,5"}, cluster.Capacity{Servers: 2}},
		"not disabled there": {[]string{"MAINT,1,0,0,100"}, cluster.Capacity{Servers: 1, Maint: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			text := "# pxname,svname,type,sid,status,weight,bck,stot,lastchg,\n"
			for i, s := range c.servers {
				text += "b,s" + string(rune('a'+i)) + ",2,1," + s + ",\n"
			}
			text += "b,BACKEND,1,0,UP,1,0,9,100,\n"
			clu := cluster.Cluster{Sources: []cluster.Source{&table{name: "t", text: text}}}
			s := clu.Snapshot(t.Context(), cluster.Need{Columns: []string{"weight", "bck", "stot", "lastchg"}})
			require.NoError(t, s.Err())
			rows := s.Reports[0].Rows
			require.Equal(t, c.want, cluster.CapacityOf(&rows[len(rows)-1], rows[:len(rows)-1]))
		})
	}
	for percent, want := range map[int]int{0: 0, 1: 1, 33: 1, 34: 2, 66: 2, 67: 3, 80: 3, 100: 3} {
		require.Equal(t, want, cluster.Capacity{Servers: 3}.Percent(percent), "%d %% of 3", percent)
	}
}
