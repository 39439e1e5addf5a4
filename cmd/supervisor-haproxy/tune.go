package main

import (
	"os"
	"runtime"
	"runtime/debug"
)

// tuneForOneWaiter makes a small process of one that mostly waits: a second
// processor would only be woken to look for work that the first one has in hand,
// which costs an event about 40 µs, and a heap that is collected at 1 MB instead
// of 4 stays small. The variables that Go knows for both still decide.
func tuneForOneWaiter() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(25)
	}
}
