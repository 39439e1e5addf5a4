//go:build !linux

package main

import "syscall"

// childAttr puts a child into a process group of its own, so that a ^C on the
// terminal comes to us alone and things end in order.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}

// dieWithParent needs Linux.
func dieWithParent() {}
