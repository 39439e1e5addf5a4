package main

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// States are the servers of the backend app as one HAProxy sees them, server →
// status ("UP", "DRAIN", "MAINT", "DOWN 1/2" …); nil if it does not answer.
type states map[string]string

// A view is what one HAProxy says of the backend app.
type view struct {
	states  states
	retries int // attempts to reach a server that had to be repeated, since HAProxy's start
}

// AskView asks an HAProxy's admin socket.
func askView(socket string) (view, error) {
	conn, err := net.DialTimeout("unix", socket, time.Second)
	if err != nil {
		return view{}, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := io.WriteString(conn, "show stat app 4 -1\n"); err != nil {
		return view{}, err
	}
	reply, err := io.ReadAll(conn)
	if err != nil {
		return view{}, err
	}
	return parseView(string(reply))
}

// ParseView reads the reply to "show stat". Columns go by their names, for
// every version of HAProxy has others. A whole reply ends in an empty line;
// one that was cut does not, though the end of the stream looks the same.
func parseView(reply string) (view, error) {
	table, whole := strings.CutSuffix(reply, "\n\n")
	table, isTable := strings.CutPrefix(table, "# ")
	if !whole || !isTable {
		return view{}, fmt.Errorf("show stat: %.60q, want a table and an empty line", reply)
	}
	rows, err := csv.NewReader(strings.NewReader(table)).ReadAll()
	if err != nil {
		return view{}, fmt.Errorf("show stat: %w", err)
	}
	at := map[string]int{}
	for i, column := range rows[0] {
		at[column] = i
	}
	for _, column := range []string{"svname", "status", "wretr", "wredis"} {
		if _, ok := at[column]; !ok {
			return view{}, fmt.Errorf("show stat: no column %s in %.60q", column, rows[0])
		}
	}
	v := view{states: states{}}
	for _, row := range rows[1:] {
		v.states[row[at["svname"]]] = row[at["status"]]
		for _, column := range []string{"wretr", "wredis"} { // at the same server, and at another
			n, err := strconv.Atoi(cmp.Or(row[at[column]], "0"))
			if err != nil {
				return view{}, fmt.Errorf("show stat: %s: %w", column, err)
			}
			v.retries += n
		}
	}
	return v, nil
}

// InRotation says whether HAProxy gives new clients to a server of that status.
func inRotation(status string) bool {
	return strings.HasPrefix(status, "UP") || status == "no check"
}
