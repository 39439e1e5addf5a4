package main

import (
	"fmt"
	"unicode/utf8"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
)

// statusHead is what stands in each member's column, and how.
var statusHead = [4]string{"STATUS", "ADMIN", "SESSIONS", "WEIGHT"}

// table shows a server a line and a member a column. A member that could not be
// asked has its error in its column.
func (o *overview) table() table {
	head := []cell{{text: "SERVER", colour: bold}}
	second := []cell{{}}
	rows := make(table, len(o.Servers))
	for i, server := range o.Servers {
		name := cell{text: "  " + server.Server.String()}
		if server.Differs {
			name = cell{text: "! " + server.Server.String(), colour: yellow}
		}
		rows[i] = []cell{name}
	}
	column := 0 // in On
	for _, m := range o.Members {
		head = append(head, cell{text: m.Member, colour: bold})
		if m.Error != nil {
			second = append(second, cell{text: "not asked", colour: red})
			o.errorColumn(rows, *m.Error)
			continue
		}
		parts := make([][4]string, len(o.Servers))
		for i := range o.Servers {
			parts[i] = o.Servers[i].On[column].parts()
		}
		title, cells := joined(parts)
		second = append(second, cell{text: title})
		for i := range rows {
			on := o.Servers[i].On[column]
			rows[i] = append(rows[i], cell{text: cells[i], colour: on.colour(o.Servers[i].Differs)})
		}
		column++
	}
	if len(rows) == 0 {
		rows = table{o.errorsOnly()}
	}
	return append(table{head, second}, rows...)
}

// errorColumn writes a member's error where its servers would be.
func (o *overview) errorColumn(rows table, text string) {
	for i := range rows {
		c := cell{text: "?", colour: red}
		if i == 0 {
			c.text = printable(oneLine(text))
		}
		rows[i] = append(rows[i], c)
	}
}

// errorsOnly is the only row where no member tells of a server.
func (o *overview) errorsOnly() []cell {
	row := []cell{{text: "  no servers"}}
	for _, m := range o.Members {
		c := cell{text: "-"}
		if m.Error != nil {
			c = cell{text: printable(oneLine(*m.Error)), colour: red}
		}
		row = append(row, c)
	}
	return row
}

// parts are the four fields of a server on a member.
func (on *serverOn) parts() [4]string {
	if on.Status == nil {
		return [4]string{"missing", "", "", ""}
	}
	admin := "?"
	if on.Admin != nil {
		admin = string(*on.Admin)
	}
	return [4]string{printable(string(*on.Status)), admin, number(on.Sessions), number(on.Weight)}
}

func number(v any) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprint(v)
}

// joined aligns the four fields within one column, texts left and numbers right,
// with their title.
func joined(parts [][4]string) (title string, cells []string) {
	var widths [4]int
	for i, word := range statusHead {
		widths[i] = utf8.RuneCountInString(word)
	}
	for _, p := range parts {
		for i, text := range p {
			widths[i] = max(widths[i], utf8.RuneCountInString(text))
		}
	}
	line := func(p [4]string) string {
		return fmt.Sprintf("%-*s %-*s %*s %*s", widths[0], p[0], widths[1], p[1], widths[2], p[2], widths[3], p[3])
	}
	for _, p := range parts {
		cells = append(cells, line(p))
	}
	return line(statusHead), cells
}

// colour of a server on a member.
func (on *serverOn) colour(differs bool) colour {
	switch {
	case differs:
		return yellow
	case on.Status == nil || on.Status.Word() == "DOWN":
		return red
	case on.Admin != nil && *on.Admin == haproxysock.Ready && on.Status.Up():
		return green
	}
	return plain
}
