package listener

import (
	"errors"
	"fmt"
	"strings"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
)

// A Spec maps programs to a server: which processes it is about, and which
// server each of them stands for.
type Spec struct {
	group   string // empty: any group
	process string // with "*" for any run of characters
	server  string // backend/server, with {name} and {num}
	text    string
}

// String is the spec as it was written.
func (s Spec) String() string { return s.text }

const specForms = `want program:backend/server, group:program=backend/server, or with patterns group:*=backend/{name}`

// ParseSpec reads one of
//
//	program:backend/server         a process of that name, in any group
//	group:program=backend/server   a process of that group
//
// "*" in a group or program stands for any characters; {name} in the server's
// name for the process's name, and {num} for the digits at its end, as written.
func ParseSpec(text string) (Spec, error) {
	s, err := parseSpec(text)
	if err != nil {
		return Spec{}, fmt.Errorf("mapping %q: %w", text, err)
	}
	s.text = text
	return s, nil
}

func parseSpec(text string) (Spec, error) {
	if text == "None" {
		return Spec{}, errors.New(`this word is what buildout's collective.recipe.supervisor writes when the brackets behind the command are empty or missing; ` + specForms)
	}
	program, server, ok := cutProgram(text)
	if !ok {
		return Spec{}, errors.New(specForms)
	}
	var s Spec
	s.process, s.server = program, server
	if group, process, ok := strings.Cut(program, ":"); ok {
		if group == "" {
			return Spec{}, fmt.Errorf("the group is empty, %s", specForms)
		}
		s.group, s.process = group, process
	}
	if s.process == "" || strings.ContainsAny(s.process, ":/ \t\n") || strings.ContainsAny(s.group, "/ \t\n") {
		return Spec{}, fmt.Errorf("no program can be called %q, %s", program, specForms)
	}
	if err := s.check(); err != nil {
		return Spec{}, err
	}
	return s, nil
}

// cutProgram splits a spec. "=" cannot be in a name of HAProxy's, but in one of
// supervisord's; ":" the other way round, but for the one behind the group. So
// the last "=" splits if something like a group stands before it, and otherwise
// the first ":" does.
func cutProgram(text string) (program, server string, ok bool) {
	if at := strings.LastIndexByte(text, '='); at >= 0 && (strings.Contains(text[:at], ":") || !strings.Contains(text[at:], ":")) {
		return text[:at], text[at+1:], true
	}
	return strings.Cut(text, ":")
}

// check tries the server's name with a process of an ordinary name.
func (s Spec) check() error {
	plain := strings.NewReplacer("{name}", "x1", "{num}", "1").Replace(s.server)
	if strings.ContainsAny(plain, "{}") {
		return fmt.Errorf("server %q has braces, want {name} or {num} in them", s.server)
	}
	if _, err := haproxysock.ParseServerName(plain); err != nil {
		return fmt.Errorf("%w, %s", err, specForms)
	}
	if strings.Contains(s.server, "{num}") && !strings.HasSuffix(s.process, "*") && trailingDigits(s.process) == "" {
		return fmt.Errorf("{num} is the number at the end of a process's name, and %q has none", s.process)
	}
	if strings.Contains(s.process, "*") && !strings.Contains(s.server, "{") {
		return fmt.Errorf("every process that %q matches would be the same server, want {name} or {num} in %q", s.process, s.server)
	}
	return nil
}

// Matches reports whether the spec is about the process. A process whose group
// is not known, as from Go's supervisord, matches by its name.
func (s Spec) Matches(p ProcessState) bool {
	return glob(s.process, p.Process) && (s.group == "" || p.Group == "" || glob(s.group, p.Group))
}

// Fixed is the server of a spec without patterns, known before any event.
func (s Spec) Fixed() (haproxysock.ServerName, bool) {
	if strings.Contains(s.process, "*") {
		return haproxysock.ServerName{}, false
	}
	name, err := s.Server(s.process)
	return name, err == nil
}

// Server is the server that a process stands for.
func (s Spec) Server(process string) (haproxysock.ServerName, error) {
	num := trailingDigits(process)
	if num == "" && strings.Contains(s.server, "{num}") {
		return haproxysock.ServerName{}, fmt.Errorf("mapping %q: process %q does not end in a number", s, process)
	}
	name, err := haproxysock.ParseServerName(strings.NewReplacer("{name}", process, "{num}", num).Replace(s.server))
	if err != nil {
		return name, fmt.Errorf("mapping %q: process %q: %w", s, process, err)
	}
	return name, nil
}

func trailingDigits(s string) string {
	return s[len(strings.TrimRight(s, "0123456789")):]
}

// glob matches "*" with any run of characters. Other characters stand for
// themselves: programs may be called "[a]?".
func glob(pattern, s string) bool {
	first, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == s
	}
	if !strings.HasPrefix(s, first) {
		return false
	}
	s = s[len(first):]
	parts := strings.Split(rest, "*")
	last := parts[len(parts)-1]
	for _, part := range parts[:len(parts)-1] {
		at := strings.Index(s, part)
		if at < 0 {
			return false
		}
		s = s[at+len(part):]
	}
	return strings.HasSuffix(s, last)
}
