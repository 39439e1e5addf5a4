package haproxysock

import (
	"bytes"
	"context"
	"strconv"
	"strings"
	"time"
)

// A Process tells one life of HAProxy from another: after a reload or a restart,
// everything said over the socket before is forgotten.
type Process struct {
	Pid      int
	Started  time.Time // "Start_time_sec"; before 2.4 reckoned from Uptime_sec
	Exact    bool      // Started is HAProxy's own word, not reckoned
	Nbproc   int       // over 1, each process has a state of its own (until 2.4)
	Stopping bool      // an old worker that only finishes its sessions
}

// startSlack is how far two reckonings of one start may differ: both clocks are
// cut to seconds.
const startSlack = 2 * time.Second

// Same reports whether p and q are the same life. In containers pids repeat, so
// the start counts too.
func (p Process) Same(q Process) bool {
	if p.Pid != q.Pid {
		return false
	}
	if p.Exact && q.Exact {
		return p.Started.Equal(q.Started)
	}
	return p.Started.Sub(q.Started).Abs() <= startSlack
}

// An Info is what "show info" says of a process.
//
// Management Guide, 9.3, "show info".
type Info struct {
	Process
	Name        string // "HAProxy"
	Version     string // such as "2.6.12-1+deb12u4"
	Uptime      time.Duration
	Node        string            // "node" of the global section, or the host's name
	Description string            // "description" of the global section
	Fields      map[string]string // all of them, as HAProxy writes them
}

// Info asks for the process's figures.
func (c *Client) Info(ctx context.Context) (Info, error) {
	info := Info{Fields: map[string]string{}}
	err := c.ask(ctx, []string{"show info"}, func(a *answer) error {
		return a.info(&info.Process, func(name, value []byte) {
			info.Fields[string(name)] = string(value)
		})
	})
	if err != nil {
		return Info{}, err
	}
	info.Name = info.Fields["Name"]
	info.Version = info.Fields["Version"]
	info.Node = unquote(info.Fields["node"])
	info.Description = unquote(info.Fields["description"])
	seconds, _ := strconv.Atoi(info.Fields["Uptime_sec"])
	info.Uptime = time.Duration(seconds) * time.Second
	return info, nil
}

const infoHead = "Name: "

// info reads one reply as "show info": p is filled in, and each, which may be
// nil, sees every field.
func (a *answer) info(p *Process, each func(name, value []byte)) error {
	command := a.command()
	line, err := a.head(infoHead)
	uptime := int64(-1)
	for ; err == nil; line, err = a.line() {
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			return a.garbled(string(line), "name: value")
		}
		value = bytes.TrimSpace(value)
		if each != nil {
			each(name, value)
		}
		n, _ := parseInt(value)
		switch string(name) {
		case "Pid":
			p.Pid = int(n)
		case "Nbproc":
			p.Nbproc = int(n)
		case "Stopping":
			p.Stopping = n != 0
		case "Start_time_sec":
			p.Started, p.Exact = time.Unix(n, 0), true
		case "Uptime_sec":
			uptime = n
		}
	}
	if err != errReplyEnd {
		return err
	}
	if p.Pid == 0 {
		return &ProtocolError{Addr: a.addr, Command: command, Want: "a line that says Pid"}
	}
	if !p.Exact && uptime >= 0 {
		p.Started = time.Now().Add(-time.Duration(uptime) * time.Second).Truncate(time.Second)
	}
	return nil
}

// unquote takes off CSV's quotes, which "show info" puts around free text.
func unquote(s string) string {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		return strings.ReplaceAll(s[1:len(s)-1], `""`, `"`)
	}
	return s
}
