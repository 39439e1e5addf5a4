package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/supervisor-haproxy/supervisor-haproxy/cluster"
	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
)

// An asking is what query, watch, wait and check have in common: a question, and
// whom to ask.
type asking struct {
	memberFlags
	AllDownOK bool `help:"Let rolling_restartable, survives and survives_without say yes of a backend that is down altogether: there is nothing to lose."`

	Expr    string   `arg:"" name:"expression" help:"What to ask, such as web.up >= 2 or sum(members, .web.rate)."`
	Members []string `arg:"" optional:"" name:"member" help:"HAProxys: admin sockets, statistics pages, saved statistics."`

	cluster    cluster.Cluster
	expression *cluster.Expression
}

// prepare finds what is wrong with the command line before anybody is asked.
func (a *asking) prepare(scope cluster.Scope, timeout time.Duration) error {
	var err error
	if a.cluster, err = clusterOf(memberOptions{a.memberFlags, timeout}, a.Members); err != nil {
		return err
	}
	a.cluster.AllDownOK = a.AllDownOK
	a.expression, err = cluster.ParseExpression(a.Expr, scope)
	return err
}

// clusterOf makes a cluster of the members that were given as arguments and by
// flags; the environment counts where neither names one.
func clusterOf(o memberOptions, args []string) (cluster.Cluster, error) {
	if o.Timeout <= 0 {
		return cluster.Cluster{}, fmt.Errorf("--timeout is %v, want more than 0", o.Timeout)
	}
	urls := slices.Concat(o.Member, args)
	if environment := os.Getenv("SUPERVISOR_HAPROXY_MEMBERS"); len(args) > 0 && environment != "" && strings.Join(o.Member, ",") == environment {
		urls = args
	}
	members, err := parseMembers(urls, o)
	if err != nil {
		return cluster.Cluster{}, err
	}
	c := cluster.Cluster{Timeout: o.Timeout}
	for _, m := range members {
		c.Sources = append(c.Sources, m.Source)
	}
	return c, nil
}

// briefly is an error without the drawing below it, where there is room for one
// line only.
func briefly(err error) string {
	mistake := (*cluster.ExpressionError)(nil)
	switch {
	case !errors.As(err, &mistake):
		return err.Error()
	case mistake.Nearest != "":
		return fmt.Sprintf("%s, nearest is %s, in %s", mistake.Message, mistake.Nearest, mistake.Text)
	}
	return mistake.Message + ", in " + mistake.Text
}

// silent names the members that could not be asked, with their errors.
func silent(s *cluster.Snapshot) []error {
	var all []error
	for _, r := range s.Reports {
		if r.Err != nil {
			all = append(all, memberError(r.Source, r.Err))
		}
	}
	return all
}

// memberError names the member, unless the error does.
func memberError(member string, err error) error {
	if strings.HasPrefix(err.Error(), member) {
		return err
	}
	return fmt.Errorf("%s: %w", member, err)
}

// complain tells of each error on stderr.
func complain(all []error) {
	for _, err := range all {
		fmt.Fprintf(os.Stderr, "supervisor-haproxy: %s\n", hidePasswords(err.Error()))
	}
}

// a yes or no ends with 0 or 2, and a member that could not be asked with 1.
func verdict(value any, failed bool) error {
	switch {
	case failed:
		return &exitStatus{code: exitFailed}
	case value == false:
		return &exitStatus{code: exitNotHeld}
	}
	return nil
}

// writeValue writes a value in one of the forms that --output names.
func writeValue(w io.Writer, output string, s screen, plain any) error {
	switch output {
	case "csv":
		return gridOf(plain).writeCSV(w)
	case "table":
		return gridOf(plain).table().write(w, s)
	}
	return writeText(w, s, plain)
}

// allDownAdvice tells of --all-down-ok where the answer hangs on it.
func allDownAdvice(r cluster.Result) string {
	if !r.AllDown {
		return ""
	}
	return "a backend has nothing in rotation: with --all-down-ok that is a yes"
}

// notUp tells which servers of a report are not up, as far as there is room, for
// people who ask why a condition does not hold. Where there is not room for all,
// those in maintenance come last: they may be a server-template's spare slots.
func notUp(r *cluster.Report) string {
	const room = 5
	var all, others, maint []string
	for _, row := range r.Rows {
		if row.Kind != haproxysock.Servers || row.Status.Up() {
			continue
		}
		text := row.Proxy + "/" + row.Name + " is " + string(row.Status)
		all = append(all, text)
		if row.Status == "MAINT" {
			maint = append(maint, text)
		} else {
			others = append(others, text)
		}
	}
	if len(all) > room {
		all = append(others, maint...)
		all = append(all[:room], fmt.Sprintf("and %d more", len(all)-room))
	}
	return strings.Join(all, ", ")
}
