package main

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// report prints the summary and returns nil if the demo has shown what it was
// meant to show.
func (s *script) report() error {
	s.scr.heading("summary", "Times run from the command to the sample in which both HAProxys had "+
		"stopped, or begun again, to send clients there. Retried are the requests that HAProxy first "+
		"sent to a server that was not there, and then to another one: its clients did not notice.")
	s.scr.printf("\n%s\n", s.scr.table(summary(s.results)))
	for _, r := range s.results {
		if r.failed() == 0 {
			continue
		}
		s.scr.printf("%s:\n", r.title)
		for _, what := range sortedKeys(r.failures) {
			s.scr.printf("  %d × %s\n", r.failures[what], what)
		}
		if r.crash {
			s.scr.printf("  %s\n", "That is what a crash costs: these requests were in the hands of the process that was killed.")
		}
	}
	err := verdict(s.results)
	if err == nil {
		s.scr.printf("%s\n", s.scr.paint(green, "Every state was reached on both HAProxys, and nothing done on purpose cost a request."))
	}
	return err
}

// verdict returns an error that names each step in which requests failed
// though nothing had crashed.
func verdict(results []result) error {
	var errs []error
	for _, r := range results {
		if n := r.failed(); n > 0 && !r.crash {
			errs = append(errs, fmt.Errorf("%s: %d of %d requests failed, want 0", r.title, n, r.sent))
		}
	}
	return errors.Join(errs...)
}

// summary returns the rows of the final table: a heading, a row for each step,
// and the total.
func summary(results []result) [][]string {
	rows := [][]string{{"step", "out of rotation", "back", "sent", "retried", "failed", "p50", "p99"}}
	total := result{title: "total"}
	for _, r := range results {
		rows = append(rows, summaryRow(r))
		total.counts = total.add(r.counts)
		total.retried += r.retried
	}
	return append(rows, summaryRow(total))
}

func summaryRow(r result) []string {
	return []string{r.title, orDash(r.out), orDash(r.back), fmt.Sprint(r.sent), fmt.Sprint(r.retried), fmt.Sprint(r.failed()),
		r.shown(50), r.shown(99)}
}

// table renders rows with the first column to the left and the others to the
// right, a rule below the heading and one above the last row.
func (s *screen) table(rows [][]string) string {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, text := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(text))
		}
	}
	total := 0
	for _, w := range widths {
		total += w + 2
	}
	rule := s.paint(dim, strings.Repeat("─", total-2)) + "\n"

	var b strings.Builder
	for i, row := range rows {
		if i == len(rows)-1 {
			b.WriteString(rule)
		}
		var line strings.Builder
		for j, text := range row {
			gap := strings.Repeat(" ", widths[j]-utf8.RuneCountInString(text))
			if j == 0 {
				line.WriteString(text + gap)
			} else {
				line.WriteString("  " + gap + text)
			}
		}
		text := strings.TrimRight(line.String(), " ")
		if i == 0 {
			text = s.paint(bold, text)
		}
		b.WriteString(text + "\n")
		if i == 0 {
			b.WriteString(rule)
		}
	}
	return b.String()
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

func millis(d time.Duration) string {
	return fmt.Sprintf("%d ms", d.Round(time.Millisecond).Milliseconds())
}
