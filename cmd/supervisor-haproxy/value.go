package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// plainValue makes of an expression's value what JSON knows: nil, bool, string,
// json.Number, []any and map[string]any. A number that is none (0/0) is nil.
func plainValue(value any) (any, error) {
	if f, ok := value.(float64); ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
		return nil, nil
	}
	text, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("value of type %T cannot be shown, name one of its fields: %w", value, err)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var plain any
	err = decoder.Decode(&plain)
	return plain, err
}

// valueText is a value within a line.
func valueText(plain any) string {
	switch v := plain.(type) {
	case nil:
		return "nil"
	case string:
		return v
	case json.Number:
		return v.String()
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(plain); err != nil {
		return err.Error() // nothing that plainValue makes
	}
	return strings.TrimSuffix(text.String(), "\n")
}

// writeText writes a value for people and for $(…): a list a line an element. A
// terminal gets no control characters, such as a server's check may answer.
func writeText(w io.Writer, s screen, plain any) error {
	list, ok := plain.([]any)
	if !ok {
		list = []any{plain}
	}
	for _, v := range list {
		line := valueText(v)
		if s.terminal {
			line = printable(line)
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

// A grid is a value as rows and columns. A list of lists has no head.
type grid struct {
	head []string
	rows [][]any
}

// gridOf finds the rows and columns in a value: those of a list of maps are the
// maps' keys, in alphabetical order, a map's are its keys and values, and
// anything else is one column.
func gridOf(plain any) grid {
	switch v := plain.(type) {
	case map[string]any:
		g := grid{head: []string{"key", "value"}}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			g.rows = append(g.rows, []any{key, v[key]})
		}
		return g
	case []any:
		return gridOfList(v)
	}
	return grid{head: []string{"value"}, rows: [][]any{{plain}}}
}

func gridOfList(list []any) grid {
	keys, lists, others := map[string]bool{}, false, false
	for _, v := range list {
		switch v := v.(type) {
		case map[string]any:
			for key := range v {
				keys[key] = true
			}
		case []any:
			lists = true
		default:
			others = true
		}
	}
	switch {
	case lists && !others && len(keys) == 0:
		g := grid{}
		for _, v := range list {
			g.rows = append(g.rows, v.([]any))
		}
		return g
	case len(keys) > 0 && !lists && !others:
		g := grid{head: slices.Sorted(maps.Keys(keys))}
		for _, v := range list {
			row := make([]any, len(g.head))
			for i, key := range g.head {
				row[i] = v.(map[string]any)[key]
			}
			g.rows = append(g.rows, row)
		}
		return g
	}
	g := grid{head: []string{"value"}}
	for _, v := range list {
		g.rows = append(g.rows, []any{v})
	}
	return g
}

// writeCSV writes a grid as RFC 4180 has it; nil is an empty field.
func (g grid) writeCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	if g.head != nil {
		if err := out.Write(g.head); err != nil {
			return err
		}
	}
	for _, row := range g.rows {
		fields := make([]string, len(row))
		for i, v := range row {
			if v != nil {
				fields[i] = valueText(v)
			}
		}
		if err := out.Write(fields); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// table is a grid for people; nil is "-".
func (g grid) table() table {
	var t table
	if g.head != nil {
		var row []cell
		for _, name := range g.head {
			row = append(row, cell{text: name, colour: bold})
		}
		t = append(t, row)
	}
	for _, values := range g.rows {
		row := make([]cell, len(values))
		for i, v := range values {
			_, number := v.(json.Number)
			row[i] = cell{text: printable(valueText(v)), right: number}
			if v == nil {
				row[i].text = "-"
			}
		}
		t = append(t, row)
	}
	return t
}

// printable shows control characters instead of sending them to a terminal.
func printable(text string) string {
	quoted := strconv.Quote(text)
	if len(quoted) == len(text)+2 {
		return text
	}
	return strings.Map(func(r rune) rune {
		if strconv.IsPrint(r) {
			return r
		}
		return '�'
	}, text)
}

// writeJSON writes v on one line, for jq and the like.
func writeJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}
