package main

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A reading is what a monitoring system makes of a plugin's output and exit
// code. It is read here from the guidelines alone, and shares nothing with what
// has written it.
//
// Monitoring Plugins Development Guidelines, "Plugin Output for Nagios",
// "Plugin Return Codes", "Threshold and Ranges", "Performance data".
type reading struct {
	service, status, text string
	perfdata              map[string]perfdatum
	labels                []string
}

type perfdatum struct {
	value            string // "U" where nobody knows it
	uom              string
	warn, crit       string
	minimum, maximum string
}

var returnCodes = map[int]string{0: "OK", 1: "WARNING", 2: "CRITICAL", 3: "UNKNOWN"}

// readPlugin is Icinga's part.
func readPlugin(t testing.TB, output string, code int) reading {
	t.Helper()
	status, ok := returnCodes[code]
	require.True(t, ok, "exit code %d means nothing to Nagios; output: %q", code, output)
	line, ok := strings.CutSuffix(output, "\n")
	require.True(t, ok, "output ends in a line break: %q", output)
	require.NotContains(t, line, "\n", "one line")
	require.NotContains(t, line, "\r")
	require.NotContains(t, line, "\x1b", "no colours")
	text, perf, hasPerf := strings.Cut(line, "|")
	words := regexp.MustCompile(`^([A-Z][A-Z0-9 ]*) (OK|WARNING|CRITICAL|UNKNOWN): (\S.*)$`).FindStringSubmatch(strings.TrimRight(text, " "))
	require.NotNil(t, words, "SERVICE STATUS: text, got %q", text)
	require.Equal(t, status, words[2], "the text says what the exit code says")
	r := reading{service: words[1], status: words[2], text: words[3], perfdata: map[string]perfdatum{}}
	if !hasPerf {
		return r
	}
	require.NotContains(t, perf, "|", "one pipe: %q", line)
	for _, item := range perfItems(t, perf) {
		r.add(t, item)
	}
	require.NotEmpty(t, r.labels, "a pipe and nothing behind it")
	return r
}

// perfItems splits performance data at blanks that are not in quotes.
func perfItems(t testing.TB, perf string) (items []string) {
	t.Helper()
	item, quoted := "", false
	for _, c := range perf + " " {
		switch {
		case c == '\'':
			quoted = !quoted
		case c == ' ' && !quoted:
			if item != "" {
				items = append(items, item)
			}
			item = ""
			continue
		}
		item += string(c)
	}
	require.False(t, quoted, "a quote is open: %q", perf)
	return items
}

var (
	perfItem  = regexp.MustCompile(`^(?:'([^'=]+)'|([^'= ]+))=(U|-?[0-9.]+)(s|us|ms|%|B|KB|MB|TB|c)?((?:;[^; ]*){0,4})$`)
	perfRange = regexp.MustCompile(`^@?(~|-?[0-9.]+)?(:(-?[0-9.]+)?)?$`)
	perfPlain = regexp.MustCompile(`^-?[0-9.]*$`)
)

func (r *reading) add(t testing.TB, item string) {
	t.Helper()
	m := perfItem.FindStringSubmatch(item)
	require.NotNil(t, m, "'label'=value[UOM];warn;crit;min;max, got %q", item)
	rest := append(strings.Split(strings.TrimPrefix(m[5], ";"), ";"), "", "", "", "")
	p := perfdatum{value: m[3], uom: m[4], warn: rest[0], crit: rest[1], minimum: rest[2], maximum: rest[3]}
	if p.value != "U" {
		_, err := strconv.ParseFloat(p.value, 64)
		require.NoError(t, err, item)
	}
	require.Regexp(t, perfRange, p.warn, item)
	require.Regexp(t, perfRange, p.crit, item)
	require.Regexp(t, perfPlain, p.minimum, item)
	require.Regexp(t, perfPlain, p.maximum, item)
	label := m[1] + m[2]
	require.NotContains(t, r.labels, label, "labels are unique")
	r.labels = append(r.labels, label)
	r.perfdata[label] = p
}

func TestRanges(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct {
		text          string
		alerts, quiet []float64
	}{
		// The examples of the guidelines.
		{"10", []float64{-1, -.5, 10.5, 11, inf}, []float64{0, 5, 10}},
		{"10:", []float64{-inf, -1, 9.99}, []float64{10, 11, inf}},
		{"~:10", []float64{10.01, 11, inf}, []float64{-inf, -1, 0, 10}},
		{"10:20", []float64{9, 9.99, 20.01, 21}, []float64{10, 15, 20}},
		{"@10:20", []float64{10, 15, 20}, []float64{9.99, 20.01}},
		// What follows from them.
		{"@10", []float64{0, 10}, []float64{-1, 11}},
		{"0", []float64{-1, 1}, []float64{0}},
		{":10", []float64{-1, 11}, []float64{0, 10}},
		{"-10:-5", []float64{-11, -4, 0}, []float64{-10, -7, -5}},
		{"~:", nil, []float64{-inf, 0, inf}},
		{"0.5:1.25", []float64{.49, 1.26}, []float64{.5, 1.25}},
		{"@~:0", []float64{-3, 0}, []float64{1}},
	} {
		r, err := parseRange(c.text)
		require.NoError(t, err, c.text)
		require.Equal(t, c.text, r.String())
		for _, v := range c.alerts {
			assert.True(t, r.alerts(v), "%s: %v", c.text, v)
		}
		for _, v := range c.quiet {
			assert.False(t, r.alerts(v), "%s: %v", c.text, v)
		}
	}
	require.False(t, (*valueRange)(nil).alerts(1), "no range, no alert")
}

func TestWrongRanges(t *testing.T) {
	for text, want := range map[string]string{
		"":       `range "": it has no number`,
		":":      `range ":": it has no number`,
		"@":      `range "@": it has no number`,
		"20:10":  `range "20:10": its start is above its end`,
		"-1":     `range "-1": its start is above its end`,
		"ten":    `range "ten": "ten" is no decimal number`,
		"1:2:3":  `"2:3" is no decimal number`,
		"10:~":   `"~" is no decimal number`,
		"~":      `"~" is no decimal number`,
		"1e3":    `"1e3" is no decimal number`,
		"0x10":   `"0x10" is no decimal number`,
		"NaN":    `"NaN" is no decimal number`,
		"inf":    `"inf" is no decimal number`,
		" 10":    `" 10" is no decimal number`,
		"10%":    `"10%" is no decimal number`,
		"10,20":  `"10,20" is no decimal number`,
		"@@1":    `"@1" is no decimal number`,
		"1:2|x":  `"2|x" is no decimal number`,
		"1_0":    `"1_0" is no decimal number`,
		"10: 20": `" 20" is no decimal number`,
	} {
		_, err := parseRange(text)
		require.ErrorContains(t, err, want, text)
	}
}

// A range's judgement is its negation's with "@", and what parses is told as it
// was said.
func FuzzRange(f *testing.F) {
	for _, text := range []string{"10", "10:", "~:10", "10:20", "@10:20", "-1:.5", "~:"} {
		f.Add(text, 10.0)
	}
	f.Fuzz(func(t *testing.T, text string, v float64) {
		r, err := parseRange(text)
		if err != nil || math.IsNaN(v) {
			return
		}
		line := pluginResult{text: "x", metrics: []metric{{label: "x", value: v, warn: r.String()}}}.line()
		readPlugin(t, line+"\n", 0)
		other, inside := strings.CutPrefix(text, "@")
		if !inside {
			other = "@" + text
		}
		negated, err := parseRange(other)
		require.NoError(t, err)
		require.NotEqual(t, r.alerts(v), negated.alerts(v))
	})
}

func TestMetrics(t *testing.T) {
	for want, m := range map[string]metric{
		"'a b'=3":                  {label: "a b", value: 3},
		"'lb1'=3;10;@20:;0;100":    {label: "lb1", value: 3, warn: "10", crit: "@20:", min: "0", max: "100"},
		"'lb1'=-0.25s;;5":          {label: "lb1", value: -.25, uom: "s", crit: "5"},
		"'lb1'=20000000000000000c": {label: "lb1", value: 2e16, uom: "c"},
		"'lb1'=U;1;2":              {label: "lb1", value: math.NaN(), uom: "B", warn: "1", crit: "2"},
		"'it_s a_b'=1":             {label: "it's a=b", value: 1},
		"'a¦b c'=1":                {label: "a|b\nc", value: 1},
	} {
		require.Equal(t, want, m.String())
	}
}

func TestAPluginsLineIsOneLineWhateverItIsAbout(t *testing.T) {
	for _, foreign := range []string{"a | b", "a\nb", "a\r\nb", "'", "=", "a\x1b[31mb", "a\u2028b", "x=1;2 'y'=3 | 'z'=4", "日本"} {
		r := pluginResult{state: stateCritical, text: "got " + foreign, metrics: []metric{{label: foreign, value: 1}, {label: "other", value: 2}}}
		read := readPlugin(t, r.line()+"\n", 2)
		require.Equal(t, "HAPROXY", read.service)
		require.True(t, strings.HasPrefix(read.text, "got "), read.text)
		require.Len(t, read.labels, 2)
		require.Equal(t, "2", read.perfdata["other"].value)
	}
}

func TestWorseStates(t *testing.T) {
	order := []pluginState{stateOK, stateWarning, stateUnknown, stateCritical}
	for i, a := range order {
		for j, b := range order {
			require.Equal(t, order[max(i, j)], a.worse(b), fmt.Sprint(a, b))
		}
	}
}

func TestAPageHasOneAddressEverywhere(t *testing.T) {
	for text, want := range map[string]string{
		"http://admin:xxxxx@lb1/stats: it hangs":             "http://admin:xxxxx@lb1/stats: it hangs",
		"HTTPS://:xxxxx@lb1/stats":                           "HTTPS://:xxxxx@lb1/stats",
		"http://admin:xxxxx@lb1 and http://admin:s3cret@lb2": "http://admin:xxxxx@lb1 and http://***@lb2",
		"http://admin:xxxxx@lb1,http://admin:s3cret@lb2":     "http://***@lb2",
		"http://admin:s3cret@lb1,http://admin:xxxxx@lb2":     "http://***@lb2",
		"http://admin:s3cret:xxxxx@lb2":                      "http://***@lb2",
		"http://admin:s3cret/:xxxxx@lb2":                     "http://***@lb2",
	} {
		require.Equal(t, want, hidePasswords(text))
	}
}

// The "@" of a range is none of an address's.
func TestPasswordsAreHiddenAndRangesAreNot(t *testing.T) {
	r := pluginResult{
		state: stateCritical,
		text:  "http://admin:s3cret@lb1/stats: 2 (critical @1:2)",
		metrics: []metric{
			{label: "http://admin:s3cret@lb1/stats", value: 2, warn: "@5", crit: "@1:2"},
			{label: "https://lb2/stats", value: 3, warn: "@5", crit: "@1:2"},
		},
	}
	require.Equal(t, "HAPROXY CRITICAL: http://***@lb1/stats: 2 (critical @1:2)"+
		" | 'http://***@lb1/stats'=2;@5;@1:2 'https://lb2/stats'=3;@5;@1:2", r.line())
}
