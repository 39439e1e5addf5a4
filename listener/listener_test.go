package listener_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock/haproxytest"
)

func TestEveryStateIsSetAndSeenOnEveryMemberBeforeTheAnswer(t *testing.T) {
	lb1, lb2 := two(t, app)
	lb3 := haproxytest.StartSetup(t, haproxytest.Setup{Config: app, Master: true})
	r := start(t, []haproxysock.Addr{lb1.Unix, lb2.TCP, lb3.Master}, "web1:app/web01")
	for _, step := range []struct {
		event string
		want  haproxysock.AdminState
	}{
		{"STARTING", haproxysock.Maint},
		{"RUNNING", haproxysock.Ready},
		{"STOPPING", haproxysock.Drain},
		{"STOPPED", haproxysock.Maint},
		{"STARTING", haproxysock.Maint},
		{"BACKOFF", haproxysock.Maint},
		{"RUNNING", haproxysock.Ready},
		{"EXITED", haproxysock.Maint},
		{"RUNNING", haproxysock.Ready},
		{"FATAL", haproxysock.Maint},
		{"RUNNING", haproxysock.Ready},
		{"UNKNOWN", haproxysock.Maint},
	} {
		r.State(step.event, "web1", "web1")
		for _, lb := range []*haproxytest.HAProxy{lb1, lb2, lb3} {
			require.Equal(t, step.want, asked(lb, "app/web01"), step.event)
			require.Equal(t, haproxysock.Ready, asked(lb, "app/web02"), "nobody spoke of it")
		}
	}
	r.logged("server set", "server=app/web01", "state=drain", "program=web1:web1", "event=PROCESS_STATE_STOPPING", lb2.TCP.String())
}

func TestTakingOutOnlyTightens(t *testing.T) {
	lb := haproxytest.Start(t, app)
	r := start(t, []haproxysock.Addr{lb.Unix}, "web1:app/web01")
	r.State("BACKOFF", "web1", "web1")
	r.State("STOPPING", "web1", "web1")
	require.Equal(t, haproxysock.Maint, asked(lb, "app/web01"), "a drain would loosen it")

	// The same where somebody else has put it in maint.
	require.NoError(t, lb.Client().SetServerState(t.Context(), haproxytest.Server(t, "app/web02"), haproxysock.Maint))
	r2 := start(t, []haproxysock.Addr{lb.Unix}, "web2:app/web02")
	r2.State("STOPPING", "web2", "web2")
	require.Equal(t, haproxysock.Maint, asked(lb, "app/web02"))
	r2.State("RUNNING", "web2", "web2")
	require.Equal(t, haproxysock.Ready, asked(lb, "app/web02"))
}

func TestOtherEventsAreAnsweredAndIgnored(t *testing.T) {
	lb := haproxytest.Start(t, app)
	r := start(t, []haproxysock.Addr{lb.Unix}, "web1:app/web01")
	for name, body := range map[string]string{
		"TICK_5":                          "when:1201063880",
		"SUPERVISOR_STATE_CHANGE_RUNNING": "",
		"PROCESS_GROUP_REMOVED":           "groupname:web1\n",
		"REMOTE_COMMUNICATION":            "type:x\nprocessname:web1 groupname:web1",
		"PROCESS_COMMUNICATION_STDOUT":    "processname:web1 groupname:web1 pid:1\nPROCESS_STATE_FATAL €",
		"PROCESS_STATE_WHATEVER":          "processname:web1 groupname:web1 from_state:RUNNING",
		"PROCESS_STATE_STOPPED":           "garbage",
		"A_NEW_ONE":                       "processname:web1 groupname:web1",
	} {
		require.Equal(t, "OK", r.Event(name, body), name)
	}
	r.State("STOPPED", "other", "other")
	require.Equal(t, haproxysock.Ready, asked(lb, "app/web01"))
}

func TestAnOlderEventDoesNotUndoANewerOne(t *testing.T) {
	lb := haproxytest.Start(t, app)
	r := start(t, []haproxysock.Addr{lb.Unix}, "web1:app/web01")
	const event = "ver:3.0 server:supervisor serial:%d pool:haproxy poolserial:%d eventname:PROCESS_STATE_%s len:45\nprocessname:web1 groupname:web1 from_state:XX"
	for _, e := range []struct {
		serial int
		state  string
		want   haproxysock.AdminState
	}{{7, "STOPPED", haproxysock.Maint}, {9, "RUNNING", haproxysock.Ready}, {9, "RUNNING", haproxysock.Ready}, {7, "STOPPED", haproxysock.Ready}, {8, "FATAL", haproxysock.Ready}} {
		require.Equal(t, "OK", r.Raw(fmt.Sprintf(event, e.serial, e.serial, e.state)))
		require.Equal(t, e.want, asked(lb, "app/web01"), "%v", e)
	}
	r.logged("event is older")
}

func TestLostEventsAreTold(t *testing.T) {
	lb := haproxytest.Start(t, app)
	r := start(t, []haproxysock.Addr{lb.Unix}, "web1:app/web01")
	for _, n := range []int{3, 4, 9} {
		require.Equal(t, "OK", r.Raw(fmt.Sprintf("ver:3.0 server:s serial:%d pool:p poolserial:%d eventname:TICK_5 len:0\n", 100+n, n)))
	}
	r.logged("events were lost", "lost=4")
}

func TestOneProgramForSeveralServersAndSeveralForOne(t *testing.T) {
	lb := haproxytest.Start(t, app)
	r := start(t, []haproxysock.Addr{lb.Unix}, "web1:app/web01", "web1:app/web02", "g:a=app/web03", "g:b=app/web03")
	r.State("STOPPED", "web1", "web1")
	require.Equal(t, haproxysock.Maint, asked(lb, "app/web01"))
	require.Equal(t, haproxysock.Maint, asked(lb, "app/web02"))

	r.State("STARTING", "g", "a")
	r.State("STARTING", "g", "b")
	r.State("RUNNING", "g", "a")
	require.Equal(t, haproxysock.Maint, asked(lb, "app/web03"), "b does not run yet")
	r.State("RUNNING", "g", "b")
	require.Equal(t, haproxysock.Ready, asked(lb, "app/web03"))
	r.State("STOPPING", "g", "a")
	require.Equal(t, haproxysock.Drain, asked(lb, "app/web03"))
	r.State("RUNNING", "other", "a")
	require.Equal(t, haproxysock.Drain, asked(lb, "app/web03"), "that was another a")
}

func TestPatternsAndNamesOutsideASCII(t *testing.T) {
	lb := haproxytest.Start(t, app)
	r := start(t, []haproxysock.Addr{lb.Unix}, "web:*=app/web{num}", "café:app/web03")
	r.State("STOPPED", "web", "w_01")
	require.Equal(t, haproxysock.Maint, asked(lb, "app/web01"))
	r.State("STOPPED", "café", "café")
	require.Equal(t, haproxysock.Maint, asked(lb, "app/web03"))
	r.State("STOPPED", "web", "nonumber")
	r.logged("event not carried out", "does not end in a number")
	r.State("STOPPED", "web", "w_77")
	r.logged("server refused", "server=app/web77", "no such server")
	r.State("STOPPED", "web", "w_02")
	require.Equal(t, haproxysock.Maint, asked(lb, "app/web02"))
}

func TestANameThatMeansTwoProcessesTouchesNeither(t *testing.T) {
	lb := haproxytest.Start(t, app)
	r := start(t, []haproxysock.Addr{lb.Unix}, "same:app/web01")
	r.State("RUNNING", "a", "same")
	r.State("STOPPED", "b", "same")
	r.logged("event not carried out", "more than one group has a process", "b:same=app/web01")
	r.State("STOPPED", "a", "same")
	require.Equal(t, haproxysock.Ready, asked(lb, "app/web01"))
}

// What Go's supervisord says at a stop, a start and a crash: it leaves the group
// empty, capitalizes states its own way, ends a stop with BACKOFF, and never
// sends STOPPED or EXITED.
func TestGoSupervisordsDialect(t *testing.T) {
	lb := haproxytest.Start(t, app)
	r := start(t, []haproxysock.Addr{lb.Unix}, "web:web1=app/web01", "a:twin=app/web02", "b:twin=app/web03")
	serial := 0
	say := func(event, body string) {
		t.Helper()
		serial += 3
		require.Equal(t, "OK", r.Raw(fmt.Sprintf("ver:3.0 server:supervisor serial:%d pool:haproxy poolserial:%d eventname:PROCESS_STATE_%s len:%d\n%s", serial, serial, event, len(body), body)))
	}
	for _, step := range []struct {
		event, body string
		want        haproxysock.AdminState
	}{
		{"STARTING", "processname:web1 groupname: from_state:Stopped tries:0", haproxysock.Maint},
		{"RUNNING", "processname:web1 groupname: from_state:Starting pid:4711", haproxysock.Ready},
		{"STOPPING", "processname:web1 groupname: from_state:Running pid:4711", haproxysock.Drain},
		{"BACKOFF", "processname:web1 groupname: from_state:Stopped tries:0", haproxysock.Maint},
		{"STARTING", "processname:web1 groupname: from_state:Backoff tries:1", haproxysock.Maint},
		{"RUNNING", "processname:web1 groupname: from_state:Starting pid:4712", haproxysock.Ready},
		{"BACKOFF", "processname:web1 groupname: from_state:Running tries:1", haproxysock.Maint},
	} {
		say(step.event, step.body)
		require.Equal(t, step.want, asked(lb, "app/web01"), step.body)
	}
	say("FATAL", "processname:twin groupname: from_state:Backoff")
	require.Equal(t, haproxysock.Ready, asked(lb, "app/web02"), "which of the two it is cannot be told")
	r.logged("event not carried out", "twin", "does not tell its group")
	require.NotContains(t, r.log.String(), "events were lost", "there, gaps prove nothing")
}
