package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseView(t *testing.T) {
	const head = "# pxname,svname,status,wretr,wredis,\n"
	for _, tt := range []struct {
		name  string
		reply string
		want  view
		err   string
	}{
		{"columns in any order", "# wredis,status,x,svname,wretr,\n2,UP 2/3,,web1,3,\n,MAINT,,web2,1,\n\n",
			view{states{"web1": "UP 2/3", "web2": "MAINT"}, 6}, ""},
		{"quoted", head + "\"a, \"\"b\"\"\",web1,no check,0,0,\n\n", view{states: states{"web1": "no check"}}, ""},
		{"no server", head + "\n", view{states: states{}}, ""},
		{"cut in the middle", head + "app,web1,UP,0,0,\napp,we", view{}, "want a table and an empty line"},
		{"cut after a line", head + "app,web1,UP,0,0,\n", view{}, "want a table and an empty line"},
		{"refused", "No such proxy.\n\n", view{}, "No such proxy."},
		{"nothing", "", view{}, "want a table"},
		{"without a status", "# pxname,svname,wretr,wredis,\napp,web1,0,0,\n\n", view{}, "no column status"},
		{"no number", head + "app,web1,UP,many,0,\n\n", view{}, "wretr"},
		{"short row", head + "app,\n\n", view{}, "show stat"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseView(tt.reply)
			if tt.err != "" {
				require.ErrorContains(t, err, tt.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.want, got)
		})
	}
}

func TestInRotation(t *testing.T) {
	for status, want := range map[string]bool{
		"UP": true, "UP 1/3": true, "no check": true,
		"DRAIN": false, "MAINT": false, "DOWN": false, "DOWN 1/2": false, "NOLB": false, "": false,
	} {
		require.Equal(t, want, inRotation(status), status)
	}
}
