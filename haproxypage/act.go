package haproxypage

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
)

// An Action is what the form on the page can do with servers.
//
// HAProxy's src/stats.c, "action" of the form.
type Action string

const (
	Ready        Action = "ready"
	Drain        Action = "drain"
	Maint        Action = "maint"
	HealthUp     Action = "hrunn"
	HealthStop   Action = "hnolb"
	HealthDown   Action = "hdown"
	DisableCheck Action = "dhlth"
	EnableCheck  Action = "ehlth"
	DisableAgent Action = "dagent"
	EnableAgent  Action = "eagent"
	AgentUp      Action = "arunn"
	AgentDown    Action = "adown"
	Shutdown     Action = "shutdown" // ends the servers' sessions at once
)

// A Code is HAProxy's word on an action, the "st=" of where it sends us next.
type Code string

const (
	Done    Code = "DONE" // all servers are as asked, or were already
	Part    Code = "PART" // some are, and some are unknown or cannot be
	None    Code = "NONE" // nothing to do, or the servers cannot be that
	Invalid Code = "ERRP" // no such server, backend or action
	TooLong Code = "EXCD" // the request does not fit HAProxy's buffer
	Denied  Code = "DENY" // the condition of "stats admin" does not hold, or there is none
	Unknown Code = "UNKN" // HAProxy does not know either
	Garbled Code = "IVAL" // HAProxy could not read the request
)

var meanings = map[Code]string{
	Part:    "some of the servers are unknown or cannot be that; the others were changed",
	None:    "there was nothing to do: no server is named, or it cannot be that",
	Invalid: "no such backend, server or action",
	TooLong: "too many servers in one request",
	Denied:  `the page may only be looked at: want "stats admin" with a condition that holds for us`,
	Unknown: "an error that haproxy does not name",
	Garbled: "haproxy could not read the request",
}

// An ActionError is HAProxy's refusal of an action. For errors.As it is a
// *haproxysock.CommandError too.
type ActionError struct {
	Addr    string // the page
	Backend string
	Servers []string
	Action  Action
	Code    Code
}

func (e *ActionError) Error() string { return e.Unwrap().Error() }

// Unwrap gives the same refusal in the words of the admin socket.
func (e *ActionError) Unwrap() error {
	reply := string(e.Code)
	if meaning := meanings[e.Code]; meaning != "" {
		reply += ": " + meaning
	}
	command := fmt.Sprintf("%s %s/%s", e.Action, e.Backend, strings.Join(e.Servers, ","))
	return &haproxysock.CommandError{Addr: e.Addr, Command: command, Reply: reply}
}

// Act does something with servers of one backend, in one request, and returns nil
// once HAProxy has said that all is done. After an *ActionError nothing happened,
// but for [Part]; after any other error the action may or may not have been heard.
// It takes effect at once: a server that HAProxy checks is brought back by
// [Page.SetServerState].
//
// No Origin is sent: HAProxy refuses those of other sites (3.5), and for ours a
// browser would say no more than that.
//
// Configuration Manual, "stats admin".
func (p *Page) Act(ctx context.Context, backend string, servers []string, action Action) error {
	form := url.Values{"b": {backend}, "action": {string(action)}, "s": servers}
	ctx, cancel := context.WithTimeout(ctx, p.timeout())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.page(), strings.NewReader(form.Encode()))
	if err != nil {
		return fmt.Errorf("%s: %w", p, err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := p.do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	location := resp.Header.Get("Location")
	code, ok := resultIn(location)
	switch {
	case resp.StatusCode >= 400:
		return p.refusedWith(resp)
	case resp.StatusCode != http.StatusSeeOther || !ok:
		return &haproxysock.ProtocolError{Addr: p.String(), Command: "POST " + string(action),
			Got: strings.TrimSpace(fmt.Sprintf("%d %s", resp.StatusCode, Redact(location))), Want: "303 and a location with ;st="}
	case code != Done:
		return &ActionError{Addr: p.String(), Backend: backend, Servers: servers, Action: action, Code: code}
	}
	return nil
}

// resultIn finds the code in ";st=CODE". It stands behind the "stats uri", so the
// last one counts.
func resultIn(location string) (Code, bool) {
	i := strings.LastIndex(location, ";st=")
	if i < 0 {
		return "", false
	}
	code := location[i+len(";st="):]
	if end := strings.IndexAny(code, ";&?#"); end >= 0 {
		code = code[:end]
	}
	return Code(code), code != ""
}
