package listener

import (
	"strconv"
	"strings"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
)

// An Event is one that supervisord has sent. It carries no time: how old it is
// cannot be seen.
//
// Supervisor manual, "Event Types".
type Event struct {
	Name       string // such as PROCESS_STATE_STOPPING
	Server     string // "identifier" of the supervisord
	Pool       string // the listener's section
	Serial     int64  // counts events of this supervisord; -1 if it did not say
	PoolSerial int64  // counts events of the pool; -1 if it did not say
	Body       string
}

// A ProcessState is the body of a PROCESS_STATE event.
type ProcessState struct {
	Process string // "processname"
	Group   string // "groupname"; Go's supervisord leaves it empty
	From    string // "from_state", in capitals
	Pid     int    // 0 where the event has none
}

// Program is group:name, or the name alone where the group is not known.
func (p ProcessState) Program() string {
	if p.Group == "" {
		return p.Process
	}
	return p.Group + ":" + p.Process
}

const processState = "PROCESS_STATE_"

// ProcessState reads the body of a PROCESS_STATE event; of another one, or of
// one that names no process, it returns false. Nothing in a body is escaped; but
// a name holds no blank, colon or slash, so a value is what stands behind the
// first colon of a word.
func (e *Event) ProcessState() (ProcessState, bool) {
	var p ProcessState
	if !strings.HasPrefix(e.Name, processState) {
		return p, false
	}
	for _, word := range strings.Split(strings.TrimRight(e.Body, "\n"), " ") {
		key, value, _ := strings.Cut(word, ":")
		switch key {
		case "processname":
			p.Process = value
		case "groupname":
			p.Group = value
		case "from_state":
			p.From = strings.ToUpper(value) // "Running" in Go's supervisord
		case "pid":
			p.Pid, _ = strconv.Atoi(value)
		}
	}
	return p, p.Process != ""
}

// wished tells what a server should be when its program has come into the state
// that the event names; false means that the event says nothing of it.
//
// STOPPING comes while the program gets its stop signal, and what it has begun
// it may still finish. RUNNING means only that it has been alive for startsecs.
func (e *Event) wished() (haproxysock.AdminState, bool) {
	switch strings.TrimPrefix(e.Name, processState) {
	case "RUNNING":
		return haproxysock.Ready, true
	case "STOPPING":
		return haproxysock.Drain, true
	case "STARTING", "BACKOFF", "EXITED", "STOPPED", "FATAL", "UNKNOWN":
		return haproxysock.Maint, true
	}
	return "", false
}
