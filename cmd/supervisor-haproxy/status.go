package main

import (
	"context"
	"os"
	"strings"
	"time"

	"github.com/supervisor-haproxy/supervisor-haproxy/cluster"
	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
)

type statusCmd struct {
	memberOptions
	Backend []string `short:"b" placeholder:"NAME" help:"Only the servers of this backend; repeated for several."`
	Output  string   `short:"o" enum:"table,json" default:"table" help:"How it looks: ${enum}."`
	Members []string `arg:"" optional:"" name:"member" help:"HAProxys: admin sockets, statistics pages, saved statistics."`

	cluster cluster.Cluster
}

// Help is shown by status --help.
func (c *statusCmd) Help() string {
	return `Shows each server's status, admin state, sessions and weight on each member; servers of which the members do not say the same are marked with "!". Ends with 1 when a member could not be asked, and with 2 when members disagree.

Example:

  supervisor-haproxy status unix:///run/haproxy/admin.sock http://user:password@lb2:8404/stats

` + membersHelp
}

// Validate reads the arguments, before anybody is asked.
func (c *statusCmd) Validate() error {
	var err error
	c.cluster, err = clusterOf(c.memberOptions, c.Members)
	return err
}

// Run asks once.
func (c *statusCmd) Run(ctx context.Context) error {
	need := cluster.Need{Columns: serverColumns}
	for _, backend := range c.Backend {
		need.Filters = append(need.Filters, haproxysock.StatFilter{Proxy: backend, Kinds: haproxysock.Servers})
	}
	if len(c.Backend) == 0 {
		need.Filters = []haproxysock.StatFilter{{Kinds: haproxysock.Servers}}
	}
	snapshot := c.cluster.Snapshot(ctx, need)
	report := overviewOf(snapshot, c.hiddenStates(ctx, snapshot))
	var err error
	if c.Output == "json" {
		err = writeJSON(os.Stdout, report)
	} else {
		err = report.table().write(os.Stdout, screenOf(os.Stdout))
	}
	if err != nil {
		return err
	}
	away := silent(snapshot)
	complain(away)
	if missing := c.nowhere(snapshot); len(away) == 0 && missing != "" {
		return &exitStatus{exitFailed, noBackend(missing)}
	}
	return verdict(!report.disagree(), len(away) > 0)
}

// noBackend is a backend that no member has.
type noBackend string

func (n noBackend) Error() string { return "backend " + string(n) + ": no member has it" }

// nowhere names a backend asked for that no member has, or none.
func (c *statusCmd) nowhere(s *cluster.Snapshot) string {
	for _, backend := range c.Backend {
		missing := 0
		for _, r := range s.Reports {
			if strings.Contains("\n"+strings.Join(r.Missing, "\n")+"\n", "\n"+backend+"\n") {
				missing++
			}
		}
		if missing == len(s.Reports) {
			return backend
		}
	}
	return ""
}

// hiddenStates asks those members that can tell for the admin states that the
// statuses of their tables hide: of a draining server that is down the table says
// DOWN. Where nobody can tell, the state is missing.
func (c *statusCmd) hiddenStates(ctx context.Context, s *cluster.Snapshot) []map[haproxysock.ServerName]haproxysock.AdminState {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	all := make([]map[haproxysock.ServerName]haproxysock.AdminState, len(s.Reports))
	done := make(chan struct{})
	for i := range s.Reports {
		go func() {
			defer func() { done <- struct{}{} }()
			socket, ok := c.cluster.Sources[i].(*haproxysock.Client)
			backends := hidingBackends(&s.Reports[i])
			if !ok || len(backends) == 0 {
				return
			}
			all[i] = map[haproxysock.ServerName]haproxysock.AdminState{}
			backend := "" // all at once where there are several
			if len(backends) == 1 {
				backend = backends[0]
			}
			// What fails here leaves the state missing, which shows.
			socket.ScanServerStates(ctx, backend, func(st *haproxysock.ServerState) error {
				all[i][st.Name] = st.Admin.Asked()
				return nil
			})
		}()
	}
	for range s.Reports {
		<-done
	}
	return all
}

// hidingBackends are those with a server whose row does not tell what was asked
// of it.
func hidingBackends(r *cluster.Report) (backends []string) {
	for i := range r.Rows {
		row := &r.Rows[i]
		if askedOf(row) == "" && (len(backends) == 0 || backends[len(backends)-1] != row.Proxy) {
			backends = append(backends, row.Proxy)
		}
	}
	return backends
}

var serverColumns = []string{"tracked", "scur", "qcur", "weight"}

func askedOf(row *cluster.Row) haproxysock.AdminState {
	tracked, _ := row.Column("tracked").(string)
	return haproxysock.Stat{Status: row.Status, Tracked: tracked}.Asked()
}

// An overview is what status --output json prints.
type overview struct {
	Time    time.Time        `json:"time"`
	Members []memberState    `json:"members"`
	Servers []serverOverview `json:"servers"`
}

// A serverOverview is one server on all members.
type serverOverview struct {
	Server  haproxysock.ServerName `json:"server"`
	Differs bool                   `json:"differs"`
	On      []serverOn             `json:"on"`
}

// A serverOn is one server on one member that could be asked; what the member
// does not tell is null.
type serverOn struct {
	Member   string                  `json:"member"`
	Status   *haproxysock.Status     `json:"status"` // null: the member has no such server
	Admin    *haproxysock.AdminState `json:"admin"`
	Sessions any                     `json:"sessions"`
	Queued   any                     `json:"queued"`
	Weight   any                     `json:"weight"`

	report int // whose it is
}

func (o *overview) disagree() bool {
	for _, s := range o.Servers {
		if s.Differs {
			return true
		}
	}
	return false
}

// overviewOf turns the members' tables into one, with the servers in the order
// in which they first appear.
func overviewOf(s *cluster.Snapshot, hidden []map[haproxysock.ServerName]haproxysock.AdminState) *overview {
	o := &overview{Time: s.Taken, Members: memberStates(s), Servers: []serverOverview{}}
	at := map[haproxysock.ServerName]int{}
	for i := range s.Reports {
		for j := range s.Reports[i].Rows {
			row := &s.Reports[i].Rows[j]
			name := haproxysock.ServerName{Backend: row.Proxy, Server: row.Name}
			if _, known := at[name]; !known {
				at[name] = len(o.Servers)
				o.Servers = append(o.Servers, emptyOverview(s, name))
			}
			for k := range o.Servers[at[name]].On {
				if on := &o.Servers[at[name]].On[k]; on.report == i {
					on.fill(row, hidden[i][name])
				}
			}
		}
	}
	for i := range o.Servers {
		o.Servers[i].compare()
	}
	for _, d := range s.Disagreements() {
		o.Servers[at[d.Server]].Differs = true
	}
	return o
}

func emptyOverview(s *cluster.Snapshot, name haproxysock.ServerName) serverOverview {
	server := serverOverview{Server: name, On: []serverOn{}}
	for i, r := range s.Reports {
		if r.Err == nil {
			server.On = append(server.On, serverOn{Member: r.Source, report: i})
		}
	}
	return server
}

func (on *serverOn) fill(row *cluster.Row, hidden haproxysock.AdminState) {
	asked := askedOf(row)
	if asked == "" {
		asked = hidden
	}
	on.Status = &row.Status
	if asked != "" {
		on.Admin = &asked
	}
	on.Sessions, on.Queued, on.Weight = row.Column("scur"), row.Column("qcur"), row.Column("weight")
}

// compare looks for different admin states, as far as they are known; statuses
// are package cluster's to compare.
func (s *serverOverview) compare() {
	known := haproxysock.AdminState("")
	for _, on := range s.On {
		if on.Admin == nil {
			continue
		}
		s.Differs = s.Differs || known != "" && known != *on.Admin
		known = *on.Admin
	}
}
