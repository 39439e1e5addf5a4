package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	bold    = "1"
	dim     = "2"
	red     = "31"
	green   = "32"
	yellow  = "33"
	magenta = "35"
	cyan    = "36"
)

const (
	textWidth = 84  // of explanations
	lineWidth = 110 // of foreign text in the timeline
	cellWidth = 28  // of a server's state on one load balancer
)

// A screen prints the timeline. It may be used from several goroutines.
type screen struct {
	colour bool

	mu    sync.Mutex
	out   io.Writer
	start time.Time
}

func newScreen(out *os.File, start time.Time) *screen {
	return &screen{out: out, start: start, colour: wantsColour(out)}
}

func wantsColour(out *os.File) bool {
	info, err := out.Stat()
	terminal := err == nil && info.Mode()&os.ModeCharDevice != 0
	return terminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// restart sets the clock to zero.
func (s *screen) restart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.start = time.Now()
}

func (s *screen) printf(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.out, format, args...)
}

// paint colours text if colours are wanted.
func (s *screen) paint(code, text string) string {
	if !s.colour || code == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// at prints one line of the timeline.
func (s *screen) at(t time.Time, who, code, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	clock := fmt.Sprintf("%6.2fs", t.Sub(s.start).Seconds())
	fmt.Fprintf(s.out, "%s  %s  %s\n", s.paint(dim, clock), s.paint(code, pad(who, 13)), text)
}

// say prints what somebody does or says. Logs are dimmed, so that the eye
// stays with the states.
func (s *screen) say(who, text string) {
	text = shorten(text, lineWidth)
	switch who {
	case "supervisorctl", "demo":
		s.at(time.Now(), who, bold, s.paint(bold, text))
	case "load":
		s.at(time.Now(), who, cyan, text)
	default:
		s.at(time.Now(), who, dim, s.paint(dim, text))
	}
}

// change prints a change of states.
func (s *screen) change(t time.Time, c change) {
	if c.remark != "" {
		s.at(t, c.who, magenta, c.remark)
		return
	}
	var b strings.Builder
	for _, cl := range c.cells {
		plain := cl.lb + " " + cl.to
		painted := s.paint(dim, plain)
		if cl.from != cl.to {
			plain = cl.lb + " " + cl.from + " → " + cl.to
			painted = cl.lb + " " + s.paint(stateColour(cl.from), cl.from) + " → " + s.paint(stateColour(cl.to), cl.to)
		}
		b.WriteString(painted)
		b.WriteString(strings.Repeat(" ", max(2, cellWidth-utf8.RuneCountInString(plain))))
	}
	s.at(t, c.who, "", strings.TrimRight(b.String(), " "))
}

func stateColour(status string) string {
	word, _, _ := strings.Cut(status, " ")
	switch word {
	case "UP":
		return green
	case "DRAIN", "NOLB":
		return yellow
	case "DOWN":
		return red
	case "MAINT":
		return magenta
	}
	return ""
}

// heading opens a step: its name and why it is worth watching.
func (s *screen) heading(title, why string) {
	rule := strings.Repeat("─", max(3, textWidth-4-utf8.RuneCountInString(title)))
	s.printf("\n%s\n%s\n", s.paint(bold, "── "+title+" "+rule), wrap(why, textWidth))
}

// quiet prints a remark outside of the timeline.
func (s *screen) quiet(text string) { s.printf("%s\n", s.paint(dim, text+" …")) }

// logTail prints the last lines of a log.
func (s *screen) logTail(name, text string, lines int) {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if n := len(all) - lines; n > 0 {
		all = all[n:]
	}
	s.printf("\n%s\n  %s\n", s.paint(bold, "── end of "+name), strings.Join(all, "\n  "))
}

// wrap breaks text into lines of at most width characters where it can.
func wrap(text string, width int) string {
	var b strings.Builder
	room := 0
	for _, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case b.Len() == 0:
			room = width
		case n+1 > room:
			b.WriteByte('\n')
			room = width
		default:
			b.WriteByte(' ')
			room--
		}
		b.WriteString(word)
		room -= n
	}
	return b.String()
}

func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s)))
}

func shorten(s string, width int) string {
	if r := []rune(s); len(r) > width {
		return string(r[:width-1]) + "…"
	}
	return s
}
