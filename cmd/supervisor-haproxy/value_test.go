package main

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestValuesInEachForm(t *testing.T) {
	type row struct {
		Name string `json:"name"`
		Scur *int   `json:"scur"`
	}
	three := 3
	for name, c := range map[string]struct {
		value            any
		text, csv, table string
	}{
		"a number":         {int64(12), "12\n", "value\n12\n", "value\n   12\n"},
		"a large number":   {int64(1) << 62, "4611686018427387904\n", "value\n4611686018427387904\n", "value\n4611686018427387904\n"},
		"a float":          {0.5, "0.5\n", "value\n0.5\n", "value\n  0.5\n"},
		"no number":        {math.NaN(), "nil\n", "value\n\n", "value\n-\n"},
		"a yes":            {true, "true\n", "value\ntrue\n", "value\ntrue\n"},
		"a text":           {"UP 1/3", "UP 1/3\n", "value\nUP 1/3\n", "value\nUP 1/3\n"},
		"nothing":          {nil, "nil\n", "value\n\n", "value\n-\n"},
		"a list":           {[]any{1, "a,b", nil}, "1\na,b\nnil\n", "value\n1\n\"a,b\"\n\n", "value\n    1\na,b\n-\n"},
		"an empty list":    {[]any{}, "", "value\n", "value\n"},
		"a list of lists":  {[]any{[]any{"a", 1}, []any{"b", 22}}, "[\"a\",1]\n[\"b\",22]\n", "a,1\nb,22\n", "a   1\nb  22\n"},
		"a map":            {map[string]any{"b": 2, "a": "x"}, "{\"a\":\"x\",\"b\":2}\n", "key,value\na,x\nb,2\n", "key  value\na    x\nb        2\n"},
		"rows":             {[]row{{"web01", &three}, {"web02", nil}}, "{\"name\":\"web01\",\"scur\":3}\n{\"name\":\"web02\",\"scur\":null}\n", "name,scur\nweb01,3\nweb02,\n", "name   scur\nweb01     3\nweb02  -\n"},
		"rows of all keys": {[]any{map[string]any{"a": 1}, map[string]any{"b": "<"}}, "{\"a\":1}\n{\"b\":\"<\"}\n", "a,b\n1,\n,<\n", "a  b\n1  -\n-  <\n"},
		"control":          {"a\x1b[2Jb", "a\x1b[2Jb\n", "value\na\x1b[2Jb\n", "value\na\uFFFD[2Jb\n"},
	} {
		t.Run(name, func(t *testing.T) {
			plain, err := plainValue(c.value)
			require.NoError(t, err)
			var text, asCSV, asTable strings.Builder
			require.NoError(t, writeText(&text, screen{}, plain))
			require.NoError(t, gridOf(plain).writeCSV(&asCSV))
			require.NoError(t, gridOf(plain).table().write(&asTable, screen{}))
			require.Equal(t, c.text, text.String())
			require.Equal(t, c.csv, asCSV.String())
			require.Equal(t, c.table, asTable.String())
		})
	}
	var shown strings.Builder
	require.NoError(t, writeText(&shown, screen{terminal: true}, []any{"a\x1b[2Jb", "UP 1/3"}))
	require.Equal(t, "a\uFFFD[2Jb\nUP 1/3\n", shown.String())
	_, err := plainValue([]any{func() {}})
	require.ErrorContains(t, err, "cannot be shown, name one of its fields")
}
