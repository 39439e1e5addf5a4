package main

import (
	"context"
	"os"
	"time"

	"github.com/supervisor-haproxy/supervisor-haproxy/cluster"
)

type queryCmd struct {
	asking
	Timeout time.Duration `default:"5s" help:"How long a member may take to answer."`
	Output  string        `short:"o" enum:"text,json,csv,table" default:"text" help:"How the answer looks: ${enum}."`
}

// Help is shown by query --help.
func (q *queryCmd) Help() string {
	return `The expression is about all members at once: members is their list, and .web in it is a backend of theirs. Its value is printed; a condition that does not hold ends with 2, a member that cannot be asked with 1.

Examples:

  supervisor-haproxy query 'sum(members, .web.scur)' unix:///run/haproxy/admin.sock tcp://10.0.0.2:8800
  supervisor-haproxy query -o json 'disagree()' http://user:password@lb1/stats http://lb2/stats`
}

// Validate reads the arguments, before anybody is asked.
func (q *queryCmd) Validate() error { return q.prepare(cluster.OverMembers, q.Timeout) }

// A queryAnswer is what query --output json prints.
type queryAnswer struct {
	Expression string        `json:"expression"`
	Value      any           `json:"value"`
	Error      *string       `json:"error"`
	Members    []memberState `json:"members"`
}

// A memberState says whether a member could be asked.
type memberState struct {
	Member string  `json:"member"`
	Error  *string `json:"error"`
}

// Run asks once.
func (q *queryCmd) Run(ctx context.Context) error {
	answer, err := q.cluster.Ask(ctx, q.expression)
	if err != nil {
		return err
	}
	result := answer.Results[0]
	plain, err := plainValue(result.Value)
	if err != nil {
		return err
	}
	away := silent(answer.Snapshot)
	switch {
	case q.Output == "json":
		err = writeJSON(os.Stdout, queryAnswer{q.Expr, plain, errorText(result.Err), memberStates(answer.Snapshot)})
	case result.Err == nil || result.Value != nil:
		err = writeValue(os.Stdout, q.Output, screenOf(os.Stdout), plain)
	}
	if err != nil {
		return err
	}
	complain(away)
	if len(away) == 0 && result.Err != nil {
		return result.Err
	}
	return verdict(result.Value, result.Err != nil || len(away) > 0)
}

func memberStates(s *cluster.Snapshot) []memberState {
	all := []memberState{}
	for _, r := range s.Reports {
		all = append(all, memberState{r.Source, errorText(r.Err)})
	}
	return all
}

// errorText is an error as JSON has it.
func errorText(err error) *string {
	if err == nil {
		return nil
	}
	text := hidePasswords(err.Error())
	return &text
}
