package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// A screen says what may be written to a file: how wide, and whether in colour.
type screen struct {
	terminal bool
	width    int  // columns; 0 is as many as it takes
	rewrite  bool // the last line can be written over
	colour   bool
}

// screenOf looks at what file is. A pipe gets lines as long as they are.
//
// https://no-color.org
func screenOf(file *os.File) screen {
	size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return screen{}
	}
	able := os.Getenv("TERM") != "dumb" && os.Getenv("TERM") != ""
	return screen{terminal: true, width: int(size.Col), rewrite: able, colour: able && os.Getenv("NO_COLOR") == ""}
}

// A colour is the number that a terminal knows it by; 0 is none.
type colour string

const (
	plain  colour = ""
	bold   colour = "1"
	red    colour = "31"
	green  colour = "32"
	yellow colour = "33"
)

// paint puts text into a colour where the screen has it.
func (s screen) paint(c colour, text string) string {
	if !s.colour || c == plain || text == "" {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
}
