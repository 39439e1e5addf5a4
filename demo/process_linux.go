package main

import (
	"runtime"
	"syscall"
)

// childAttr puts a child into a process group of its own, so that a ^C on the
// terminal comes to us alone and things end in order, and has the kernel kill
// it if we die without having done that.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// dieWithParent does the same from the child's side, for supervisord would not
// do it. Call it in main only: the wish belongs to a thread.
func dieWithParent() {
	runtime.LockOSThread()
	syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_SET_PDEATHSIG, uintptr(syscall.SIGKILL), 0)
}
