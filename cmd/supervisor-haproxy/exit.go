package main

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
)

// Exit codes; check has Nagios's instead.
const (
	exitFailed  = 1  // an error, or a member that cannot be asked
	exitNotHeld = 2  // a condition does not hold, members disagree
	exitUsage   = 80 // as kong has it
)

// An exitStatus is an error that says how the program ends. Without Err, all has
// been told already.
type exitStatus struct {
	code int
	err  error
}

func (e *exitStatus) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitStatus) Unwrap() error { return e.err }

// exitCode is what the program ends with after err.
func exitCode(err error) int {
	status := (*exitStatus)(nil)
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return status.code
	}
	return exitFailed
}

// isCheck tells whether the command line is one of check, whose every end is
// Nagios's, before it has been found to be right.
func isCheck(args []string) bool {
	for i := 0; i < len(args); i++ {
		switch {
		case args[i] == "--log-format" || args[i] == "--log-level":
			i++ // its value
		case !strings.HasPrefix(args[i], "-"):
			return args[i] == "check"
		}
	}
	return false
}

// endCheck prints a plugin's line and ends as it says. A line that cannot be
// printed leaves Nagios with nothing, which it takes for OK where the code is 0.
func endCheck(r pluginResult) {
	if _, err := os.Stdout.WriteString(r.line() + "\n"); err != nil {
		os.Exit(int(stateUnknown))
	}
	os.Exit(int(r.state))
}

// unknownIfPanics keeps a bug of ours from looking like CRITICAL, which is Go's
// exit code for it.
func unknownIfPanics() {
	if r := recover(); r != nil {
		endCheck(pluginResult{state: stateUnknown, text: fmt.Sprintf("internal error: %v", r)})
	}
}

// passwords are what stands between scheme and host of a page's address.
var passwords = regexp.MustCompile(`(?i)(https?://)[^\s"]*@`)

// hidden is a page's address as it is shown everywhere.
var hidden = regexp.MustCompile(`(?i)^https?://[^:/@]*:xxxxx@$`)

// hidePasswords takes names and passwords out of addresses that a message may
// quote from the command line. Those without one are left as they are, so that a
// member has one address everywhere.
func hidePasswords(text string) string {
	return passwords.ReplaceAllStringFunc(text, func(address string) string {
		if hidden.MatchString(address) {
			return address
		}
		return passwords.ReplaceAllString(address, "${1}***@")
	})
}
