package main

import (
	"bufio"
	"cmp"
	"errors"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A tail prints what is added to a log file.
type tail struct {
	who  string
	path string
	say  wording

	file *os.File
	r    *bufio.Reader
	part string // the beginning of a line whose end is not written yet
	last string // what was printed last
}

// A wording says what to print for a line of a log, and which load balancer it
// is about, if it is about one. An empty text leaves the line out.
type wording func(line string) (text, member string)

// print prints the lines that were added since the last call. What is the same
// on several load balancers is one line, and who repeats himself is heard once.
func (t *tail) print(scr *screen) {
	var texts []string
	members := map[string][]string{}
	for _, line := range t.lines() {
		text, member := t.say(line)
		if text == "" {
			continue
		}
		if _, known := members[text]; !known {
			texts = append(texts, text)
			members[text] = nil
		}
		if member != "" && !slices.Contains(members[text], member) {
			members[text] = append(members[text], member)
		}
	}
	for _, text := range texts {
		if on := members[text]; on != nil {
			slices.Sort(on)
			text += " on " + strings.Join(on, ", ")
		}
		if text != t.last {
			scr.say(t.who, text)
			t.last = text
		}
	}
}

// lines returns the whole lines that were added since the last call.
func (t *tail) lines() []string {
	if t.file == nil {
		f, err := os.Open(t.path)
		if err != nil {
			return nil // not there yet
		}
		t.file, t.r = f, bufio.NewReader(f)
	}
	var lines []string
	for {
		piece, err := t.r.ReadString('\n')
		t.part += piece
		if err != nil { // the end, for now
			return lines
		}
		lines = append(lines, strings.TrimRight(t.part, "\n"))
		t.part = ""
	}
}

// close may be called without print before.
func (t *tail) close() {
	if t.file != nil {
		t.file.Close()
	}
}

var supervisordLine = regexp.MustCompile(`^\S+ \S+ (DEBG|INFO|WARN|ERRO|CRIT) (.*)$`)

// supervisordSays keeps what supervisord logs about its programs. A listener
// that ends is the end of the demo; fail is told.
func supervisordSays(fail func(error)) wording {
	return func(line string) (text, member string) {
		m := supervisordLine.FindStringSubmatch(line)
		if m == nil {
			return "", ""
		}
		text = m[2]
		if strings.HasPrefix(text, "exited: haproxy ") || strings.HasPrefix(text, "gave up: ") {
			fail(errors.New("supervisord: " + text))
		}
		for _, begin := range []string{"spawned: ", "success: ", "exited: ", "stopped: ", "gave up: ", "killing "} {
			if strings.HasPrefix(text, begin) {
				// The rest explains what supervisord means by RUNNING.
				text, _, _ = strings.Cut(text, ", process has stayed up")
				return text, ""
			}
		}
		return "", ""
	}
}

var slogPair = regexp.MustCompile(`(\w+)=("(?:[^"\\]|\\.)*"|\S*)`)

// listenerSays tells the listener's log in fewer words: what was done, to which
// server, and where. The traffic is left out.
func listenerSays(lbs []*lb) wording {
	var pairs []string
	for _, b := range lbs {
		pairs = append(pairs, "unix://"+b.admin, b.name, b.admin, b.name)
	}
	short := strings.NewReplacer(pairs...)
	return func(line string) (text, member string) {
		line = short.Replace(line)
		said := map[string]string{}
		for _, m := range slogPair.FindAllStringSubmatch(line, -1) {
			said[m[1]] = m[2]
			if plain, err := strconv.Unquote(m[2]); err == nil {
				said[m[1]] = plain
			}
		}
		level, text := said["level"], said["msg"]
		switch {
		case text == "":
			return line, "" // not of slog's making
		case level == "DEBUG":
			return "", ""
		case level != "INFO" && level != "":
			text = level + " " + text
		}
		if what := cmp.Or(said["server"], said["program"]); what != "" {
			text += ": " + what
		}
		if said["state"] != "" {
			text += " " + said["state"]
		}
		if said["err"] != "" {
			return text + ": " + said["err"], "" // an error names its load balancer
		}
		return text, said["member"]
	}
}
