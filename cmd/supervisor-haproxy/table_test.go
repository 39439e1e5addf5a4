package main

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func texts(words ...string) (row []cell) {
	for _, w := range words {
		row = append(row, cell{text: w})
	}
	return row
}

func TestATableIsAlignedAndHasNoBlanksAtItsEnds(t *testing.T) {
	var out strings.Builder
	rows := table{texts("SERVER", "lb1", "lb2"), texts("web/web01", "UP", "UP 1/3"), texts("web/a", "DOWN", "")}
	rows[1][1].right = true
	require.NoError(t, rows.write(&out, screen{}))
	require.Equal(t, ""+
		"SERVER     lb1   lb2\n"+
		"web/web01    UP  UP 1/3\n"+
		"web/a      DOWN\n", out.String())
}

func TestATableFitsTheScreen(t *testing.T) {
	rows := table{
		texts("SERVER", "tcp://10.0.0.1:8800", "tcp://10.0.0.2:8800", "a member with a very long name indeed"),
		texts("backend/server-with-a-name", "UP ready 0 100", "UP ready 0 100", "DOWN"),
	}
	for width := 8; width < 140; width++ {
		var out strings.Builder
		require.NoError(t, rows.write(&out, screen{width: width}))
		for line := range strings.Lines(out.String()) {
			require.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")), width, out.String())
		}
		if width > 60 { // each member is shown, if in a block of its own
			for _, c := range rows[1] {
				require.Contains(t, out.String(), c.text)
			}
		}
	}
	var out strings.Builder
	require.NoError(t, rows.write(&out, screen{width: 50}))
	require.Equal(t, 3, strings.Count(out.String(), "SERVER"), "the first column is there in each block:\n"+out.String())
}

func TestColourOnlyWhereTheScreenHasIt(t *testing.T) {
	rows := table{{{text: "x", colour: red}, {text: "y"}}}
	var with, without strings.Builder
	require.NoError(t, rows.write(&with, screen{colour: true}))
	require.NoError(t, rows.write(&without, screen{}))
	require.Equal(t, "\x1b[31mx\x1b[0m  y\n", with.String())
	require.Equal(t, "x  y\n", without.String())
}
