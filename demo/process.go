package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"time"
)

// A process is a child that lives on. It dies with us, whatever we die of.
type process struct {
	name   string
	cmd    *exec.Cmd
	wanted atomic.Bool   // its end is our doing
	done   chan struct{} // closed when it has ended
	err    error         // of Wait; read after done
}

// startProcess starts cmd with its output going to the file log, and calls
// died if the process ends without having been told to.
func startProcess(name string, cmd *exec.Cmd, log string, died func(error)) (*process, error) {
	out, err := os.OpenFile(log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = childAttr()

	p := &process{name: name, cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		defer close(p.done)
		// The kernel ties a child to the thread that made it, so this thread has
		// to live as long as the child does.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.err = cmd.Wait()
		if !p.wanted.Load() {
			died(fmt.Errorf("%s: ended by itself: %s, see its log", name, cmd.ProcessState))
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

// stop sends sig, and SIGKILL if that has not ended the process within grace.
// It returns when the process is gone.
func (p *process) stop(sig os.Signal, grace time.Duration) {
	p.wanted.Store(true)
	p.cmd.Process.Signal(sig) // an error means that it is gone already
	t := time.NewTimer(grace)
	defer t.Stop()
	select {
	case <-p.done:
	case <-t.C:
		p.cmd.Process.Kill()
		<-p.done
	}
}
