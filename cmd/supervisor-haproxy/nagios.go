package main

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// A pluginState is what a Nagios plugin says of a service; the value is its exit
// code. Monitoring Plugins Development Guidelines, "Plugin Return Codes".
type pluginState int

const (
	stateOK pluginState = iota
	stateWarning
	stateCritical
	stateUnknown
)

func (s pluginState) String() string {
	return [...]string{"OK", "WARNING", "CRITICAL", "UNKNOWN"}[s]
}

// worse is the one of two states that people have to hear of first: what is
// known to be broken, then what nobody knows, then what is odd.
func (s pluginState) worse(other pluginState) pluginState {
	urgency := [...]int{stateOK: 0, stateWarning: 1, stateUnknown: 2, stateCritical: 3}
	if urgency[other] > urgency[s] {
		return other
	}
	return s
}

// A valueRange says which values are worth an alert. Guidelines, "Threshold and
// Ranges": [@]start:end, an alert outside of it, or inside with "@", both ends
// belonging to it.
type valueRange struct {
	text       string
	start, end float64
	inside     bool
}

// decimal is how a number looks in a range and in performance data.
var decimal = regexp.MustCompile(`^-?([0-9]+(\.[0-9]*)?|\.[0-9]+)$`)

func parseRange(text string) (valueRange, error) {
	r := valueRange{text: text, end: math.Inf(1)}
	rest, inside := strings.CutPrefix(text, "@")
	r.inside = inside
	start, end, colon := strings.Cut(rest, ":")
	if !colon {
		start, end = "", rest // "10" means "0:10"
	}
	var err error
	switch {
	case start == "~":
		r.start = math.Inf(-1)
	case start != "":
		r.start, err = parseDecimal(start)
	}
	if err == nil && end != "" {
		r.end, err = parseDecimal(end)
	}
	switch {
	case err != nil:
		return r, fmt.Errorf("range %q: %w", text, err)
	case rest == "" || rest == ":":
		return r, fmt.Errorf("range %q: it has no number, want a range such as 10, 10:, ~:10, 10:20 or @10:20", text)
	case r.start > r.end:
		return r, fmt.Errorf("range %q: its start is above its end", text)
	}
	return r, nil
}

func parseDecimal(text string) (float64, error) {
	if !decimal.MatchString(text) {
		return 0, fmt.Errorf("%q is no decimal number, want a range such as 10, 10:, ~:10, 10:20 or @10:20", text)
	}
	return strconv.ParseFloat(text, 64)
}

// UnmarshalText reads a range of the command line.
func (r *valueRange) UnmarshalText(text []byte) error {
	parsed, err := parseRange(string(text))
	*r = parsed
	return err
}

// alerts reports whether v is worth an alert.
func (r *valueRange) alerts(v float64) bool {
	return r != nil && r.inside == (r.start <= v && v <= r.end)
}

func (r *valueRange) String() string {
	if r == nil {
		return ""
	}
	return r.text
}

// A metric is one piece of performance data. Guidelines, "Performance data".
type metric struct {
	label    string
	value    float64
	uom      string
	warn     string // ranges, or nothing
	crit     string
	min, max string
}

// String is 'label'=value[UOM];[warn];[crit];[min];[max], without the empty end.
func (m metric) String() string {
	label := strings.NewReplacer("'", "_", "=", "_").Replace(oneLine(hidePasswords(m.label)))
	value := "U" // could not be determined
	if !math.IsNaN(m.value) && !math.IsInf(m.value, 0) {
		value = formatDecimal(m.value) + m.uom
	}
	text := fmt.Sprintf("'%s'=%s;%s;%s;%s;%s", label, value, m.warn, m.crit, m.min, m.max)
	return strings.TrimRight(text, ";")
}

// formatDecimal writes a number without an exponent, which few readers know.
func formatDecimal(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// A pluginResult is all that a plugin says.
type pluginResult struct {
	state   pluginState
	text    string
	metrics []metric
}

// line is the one line that a plugin prints: "SERVICE STATUS: text | perfdata".
// Passwords are looked for in its parts: a range has an "@" too.
func (r pluginResult) line() string {
	line := "HAPROXY " + r.state.String() + ": " + oneLine(hidePasswords(r.text))
	for i, m := range r.metrics {
		if i == 0 {
			line += " |"
		}
		line += " " + m.String()
	}
	return line
}

// oneLine takes from a text what would end it: line breaks, other control
// characters, and the "|" that performance data begins with.
func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '|':
			return '¦'
		case unicode.IsControl(r), r == '\u2028', r == '\u2029':
			return ' '
		}
		return r
	}, text)
	return strings.Join(strings.Fields(text), " ")
}
