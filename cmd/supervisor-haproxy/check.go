package main

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/supervisor-haproxy/supervisor-haproxy/cluster"
)

type checkCmd struct {
	asking
	Warning     *valueRange   `short:"w" placeholder:"RANGE" help:"WARNING where a number is outside of RANGE: 10, 10:, ~:10, 10:20, or inside of @10:20."`
	Critical    *valueRange   `short:"c" placeholder:"RANGE" help:"CRITICAL where a number is outside of RANGE."`
	Unit        string        `enum:",s,us,ms,%,B,KB,MB,TB,c" default:"" placeholder:"UOM" help:"Unit of the number in the performance data: s, us, ms, %, B, KB, MB, TB or c."`
	Timeout     pluginTimeout `short:"t" default:"5s" help:"How long a member may take to answer: 10s, or 10 for as many seconds."`
	Unreachable string        `enum:"critical,unknown,ignore" default:"unknown" help:"What a member that cannot be asked is: ${enum}."`
}

// A pluginTimeout is a duration whose unit is a second where it has none, as
// plugins have it.
type pluginTimeout time.Duration

// UnmarshalText reads a duration of the command line.
func (t *pluginTimeout) UnmarshalText(text []byte) error {
	if seconds, err := strconv.Atoi(string(text)); err == nil {
		*t = pluginTimeout(time.Duration(seconds) * time.Second)
		return nil
	}
	d, err := time.ParseDuration(string(text))
	*t = pluginTimeout(d)
	return err
}

// Help is shown by check --help.
func (c *checkCmd) Help() string {
	return `A plugin for Nagios, Icinga and their like: one line with performance data, and 0 OK, 1 WARNING, 2 CRITICAL or 3 UNKNOWN, also for wrong usage. The expression is about one member, and the worst one counts. One that is true or false is OK or CRITICAL; a number is held against the ranges. Where members do not say the same of a server, that is a WARNING by itself.

Examples:

  supervisor-haproxy check 'web.up' -w 3: -c 2: unix:///run/haproxy/admin.sock tcp://10.0.0.2:8800
  supervisor-haproxy check 'web.rolling_restartable()' https://user:password@lb1/stats`
}

// Validate reads the arguments, before anybody is asked.
func (c *checkCmd) Validate() error { return c.prepare(cluster.PerMember, time.Duration(c.Timeout)) }

// Run asks once and says how it is. It never returns an error: Nagios reads
// stdout.
func (c *checkCmd) Run(ctx context.Context) error {
	answer, err := c.cluster.Ask(ctx, c.expression)
	if err != nil {
		endCheck(pluginResult{state: stateUnknown, text: briefly(err)})
	}
	endCheck(c.judge(answer))
	return nil
}

// judge makes one state of all members'.
func (c *checkCmd) judge(answer *cluster.Answer) pluginResult {
	var texts [stateUnknown + 1][]string // by state
	var r pluginResult
	judged := 0
	for i, result := range answer.Results {
		report := &answer.Snapshot.Reports[i]
		state, text := c.judgeMember(result, report)
		r.state = r.state.worse(state)
		texts[state] = append(texts[state], text)
		if report.Err == nil {
			judged++
		}
		if value, ok := metricValue(result); ok {
			r.metrics = append(r.metrics, c.metric(result.Member, value))
		}
	}
	for _, d := range answer.Snapshot.Disagreements() {
		r.state = r.state.worse(stateWarning)
		texts[stateWarning] = append(texts[stateWarning], "members disagree: "+disagreementText(d))
	}
	if judged == 0 && r.state == stateOK {
		r.state = stateUnknown // all of them ignored
	}
	var all []string
	for _, state := range []pluginState{stateCritical, stateUnknown, stateWarning, stateOK} {
		all = append(all, texts[state]...)
	}
	r.text = c.Expr + " - " + shortened(all)
	return r
}

// shortened keeps a text readable where there are many members; the worst come
// first.
func shortened(all []string) string {
	const room = 6
	if len(all) > room {
		all = append(all[:room:room], fmt.Sprintf("and %d more", len(all)-room))
	}
	return strings.Join(all, ", ")
}

func (c *checkCmd) judgeMember(result cluster.Result, report *cluster.Report) (pluginState, string) {
	value, number := metricValue(result)
	holds, condition := result.Value.(bool)
	switch {
	case report.Err != nil:
		state := map[string]pluginState{"critical": stateCritical, "unknown": stateUnknown, "ignore": stateOK}[c.Unreachable]
		return state, memberError(result.Member, report.Err).Error()
	case result.Err != nil:
		return stateUnknown, result.Member + ": " + briefly(result.Err)
	case condition && (c.Warning != nil || c.Critical != nil):
		return stateUnknown, fmt.Sprintf("%s: it is %v, and -w and -c are for numbers", result.Member, holds)
	case condition && holds:
		return stateOK, result.Member + ": true"
	case condition:
		return stateCritical, c.whyNot(result, report)
	case !number:
		return stateUnknown, fmt.Sprintf("%s: it is neither a number nor true or false", result.Member)
	case math.IsNaN(value), math.IsInf(value, 0):
		return stateUnknown, result.Member + ": it is not a number"
	}
	text := result.Member + ": " + formatDecimal(value) + c.Unit
	switch {
	case c.Critical.alerts(value):
		return stateCritical, text + " (critical " + c.Critical.String() + ")"
	case c.Warning.alerts(value):
		return stateWarning, text + " (warning " + c.Warning.String() + ")"
	}
	return stateOK, text
}

func (c *checkCmd) whyNot(result cluster.Result, report *cluster.Report) string {
	text := result.Member + ": false"
	for _, why := range []string{notUp(report), allDownAdvice(result)} {
		if why != "" {
			text += " (" + why + ")"
		}
	}
	return text
}

// metricValue is a result as performance data has it: true is 1 and false is 0.
func metricValue(result cluster.Result) (float64, bool) {
	if result.Err != nil {
		return 0, false
	}
	switch v := result.Value.(type) {
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	case int:
		return float64(v), true
	case int64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

func (c *checkCmd) metric(member string, value float64) metric {
	return metric{label: member, value: value, uom: c.Unit, warn: c.Warning.String(), crit: c.Critical.String()}
}

func disagreementText(d cluster.Disagreement) string {
	var says []string
	for _, s := range d.Says {
		status := string(s.Status)
		if status == "" {
			status = "missing"
		}
		says = append(says, status+" on "+s.Member)
	}
	return d.Server.String() + " is " + strings.Join(says, " and ")
}
