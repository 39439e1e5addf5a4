package main

import (
	"context"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
)

// states are the servers of the backend app as one HAProxy sees them, server →
// status ("UP", "DRAIN", "MAINT", "DOWN 1/2" …); nil if it does not answer.
type states map[string]string

// A view is what one HAProxy says of the backend app.
type view struct {
	states  states
	retries int // attempts to reach a server that had to be repeated, since HAProxy's start
}

// askView asks a HAProxy.
func askView(ctx context.Context, admin *haproxysock.Client) (view, error) {
	v := view{states: states{}}
	filters := []haproxysock.StatFilter{{Proxy: "app", Kinds: haproxysock.Servers}}
	err := admin.ScanStats(ctx, filters, []string{"svname", "status", "wretr", "wredis"}, func(row *haproxysock.StatScanner) error {
		again, _ := row.Int(2)
		elsewhere, _ := row.Int(3)
		v.states[row.Text(0)] = row.Text(1)
		v.retries += int(again + elsewhere)
		return nil
	})
	if err != nil {
		return view{}, err
	}
	return v, nil
}

// inRotation says whether HAProxy gives new clients to a server of that status.
func inRotation(status string) bool { return haproxysock.Status(status).Up() }
