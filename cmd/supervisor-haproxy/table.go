package main

import (
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// A cell is one field of a table.
type cell struct {
	text   string
	colour colour
	right  bool // as numbers stand
}

// A table is rows of cells.
type table [][]cell

const columnGap = 2

// write shows the table on s. Where it is too wide, the first column is
// repeated in front of as many of the others as there is room for, and a column
// that is wider than the screen all by itself is cut.
func (t table) write(w io.Writer, s screen) error {
	widths := t.widths()
	if s.width > 0 && len(widths) > 0 {
		widths[0] = min(widths[0], max(s.width/2, 1))
		if len(widths) == 1 {
			widths[0] = min(widths[0], s.width)
		}
	}
	var text strings.Builder
	for begin := 1; begin < max(len(widths), 2); {
		columns, used := []int{}, 0
		if len(widths) > 0 {
			columns, used = append(columns, 0), widths[0]
		}
		end := begin
		for end < len(widths) && (end == begin || s.width == 0 || used+columnGap+widths[end] <= s.width) {
			if room := s.width - used - columnGap; s.width > 0 {
				widths[end] = min(widths[end], max(room, 1))
			}
			used += columnGap + widths[end]
			columns = append(columns, end)
			end++
		}
		if begin > 1 {
			text.WriteByte('\n')
		}
		for _, row := range t {
			writeRow(&text, s, row, columns, widths)
		}
		begin = max(end, begin+1)
	}
	_, err := io.WriteString(w, text.String())
	return err
}

func (t table) widths() []int {
	var widths []int
	for _, row := range t {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
		}
	}
	return widths
}

func writeRow(text *strings.Builder, s screen, row []cell, columns, widths []int) {
	var line strings.Builder
	for n, i := range columns {
		if n > 0 {
			line.WriteString(strings.Repeat(" ", columnGap))
		}
		if i >= len(row) {
			continue
		}
		shown := cut(row[i].text, widths[i])
		blanks := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(shown))
		painted := s.paint(row[i].colour, shown)
		switch {
		case row[i].right:
			line.WriteString(blanks + painted)
		case n == len(columns)-1:
			line.WriteString(painted)
		default:
			line.WriteString(painted + blanks)
		}
	}
	text.WriteString(strings.TrimRight(line.String(), " "))
	text.WriteByte('\n')
}

// cut shortens text to so many characters, and shows that it did.
func cut(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	if width <= 1 {
		return string([]rune(text)[:width])
	}
	return string(slices.Concat([]rune(text)[:width-1], []rune("…")))
}
