package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
)

// A rig is everything that runs: two HAProxys and one supervisord with its
// children, in one temporary directory.
type rig struct {
	dir     string
	scr     *screen
	fail    func(error) // told of a process that ended by itself
	haproxy string      // paths of the programs
	ctlPath string
	lbs     []*lb
	super   *process // nil before its start
}

// An lb is one load balancer. Its listening socket is ours and outlives it.
type lb struct {
	name   string
	admin  string // path of its admin socket
	addr   string // host:port of its frontend
	socket *os.File
	proc   *process // nil while it is away
}

// client asks its admin socket.
func (b *lb) client() *haproxysock.Client {
	addr := haproxysock.Addr{Network: "unix", Address: b.admin}
	return &haproxysock.Client{Addr: addr, Timeout: time.Second}
}

// newRig starts it all but does not wait until it works. If it returns an
// error, nothing is left behind.
func newRig(ctx context.Context, scr *screen, o options, fail func(error)) (_ *rig, err error) {
	r := &rig{scr: scr, fail: fail}
	if r.haproxy, err = findTool("haproxy", "haproxy"); err != nil {
		return nil, err
	}
	supervisord, err := findTool("supervisord", "supervisor")
	if err != nil {
		return nil, err
	}
	if r.ctlPath, err = findTool("supervisorctl", "supervisor"); err != nil {
		return nil, err
	}
	if r.dir, err = makeDir(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	if err := r.placeBinaries(ctx, o.bin); err != nil {
		return nil, err
	}
	scr.restart() // building is not part of the show
	for _, name := range lbNames {
		b, err := newLB(r.dir, name)
		if err != nil {
			return nil, err
		}
		r.lbs = append(r.lbs, b)
		if err := r.startLB(b); err != nil {
			return nil, err
		}
	}
	return r, r.startSupervisord(supervisord, o.fast)
}

// findTool looks where PATH says, and in the directories for daemons, which
// Debian leaves out of an ordinary user's PATH.
func findTool(name, debianPackage string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s: not installed; `make demo` installs it, and so does `apt-get install %s`", name, debianPackage)
}

var plainPath = regexp.MustCompile(`^[A-Za-z0-9._/-]+$`)

// makeDir makes the temporary directory. A unix socket's path has 107 bytes at
// most, of which HAProxy and supervisord want some for temporary names; and a
// path without odd characters needs no quoting in anybody's configuration.
func makeDir() (string, error) {
	base := os.TempDir()
	if len(base) > 60 || !plainPath.MatchString(base) || !filepath.IsAbs(base) {
		base = "/tmp"
	}
	return os.MkdirTemp(base, "sv-demo-")
}

// placeBinaries puts the product and this program into the directory, under
// names that need no quoting.
func (r *rig) placeBinaries(ctx context.Context, bin string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := os.Symlink(self, r.file("demo")); err != nil {
		return err
	}
	if bin != "" {
		if bin, err = filepath.Abs(bin); err != nil {
			return err
		}
		if _, err := os.Stat(bin); err != nil {
			return err
		}
		return os.Symlink(bin, r.file("supervisor-haproxy"))
	}
	r.scr.quiet("building supervisor-haproxy")
	build := exec.CommandContext(ctx, "go", "build", "-o", r.file("supervisor-haproxy"),
		"github.com/supervisor-haproxy/supervisor-haproxy/cmd/supervisor-haproxy")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, bytes.TrimSpace(out))
	}
	return nil
}

func newLB(dir, name string) (*lb, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		return nil, err
	}
	b := &lb{name: name, admin: filepath.Join(dir, name+".sock"), addr: l.Addr().String(), socket: f}
	return b, os.WriteFile(filepath.Join(dir, name+".cfg"), []byte(haproxyConfig(dir, name)), 0o600)
}

func (r *rig) startLB(b *lb) (err error) {
	cmd := exec.Command(r.haproxy, "-db", "-f", r.file(b.name+".cfg"))
	cmd.ExtraFiles = []*os.File{b.socket} // file descriptor 3
	b.proc, err = startProcess(b.name, cmd, r.file(b.name+".log"), r.fail)
	return err
}

// killLB ends a load balancer the hard way: no good-bye, its state is lost.
func (r *rig) killLB(b *lb) {
	b.proc.stop(syscall.SIGKILL, time.Second)
	b.proc = nil
}

func (r *rig) startSupervisord(path string, fast bool) (err error) {
	delay := 2 * time.Second
	if fast {
		delay = 1500 * time.Millisecond
	}
	conf := r.file("supervisord.conf")
	text := supervisordConfig(r.dir, os.Geteuid() == 0, delay)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return err
	}
	cmd := exec.Command(path, "-n", "-c", conf)
	cmd.Dir = r.dir
	cmd.Env = withoutSupervisor(os.Environ())
	r.super, err = startProcess("supervisord", cmd, r.file("supervisord.log"), r.fail)
	return err
}

// withoutSupervisor drops the variables that could steer the listener from
// outside, and those that a supervisord above us may have set.
func withoutSupervisor(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(kv string) bool { return strings.HasPrefix(kv, "SUPERVISOR_") })
}

// ctl runs supervisorctl, printing what it is told and what it says.
func (r *rig) ctl(ctx context.Context, args ...string) error {
	r.scr.say("supervisorctl", strings.Join(args, " "))
	out, err := r.ask(ctx, args...)
	for line := range strings.Lines(out) {
		r.scr.say("supervisorctl", "→ "+strings.TrimSpace(line))
	}
	return err
}

// ask runs supervisorctl and returns what it says.
func (r *rig) ask(ctx context.Context, args ...string) (string, error) {
	limited, cancel := context.WithTimeout(ctx, 40*time.Second)
	defer cancel()
	cmd := exec.CommandContext(limited, r.ctlPath, append([]string{"-c", r.file("supervisord.conf")}, args...)...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if err != nil {
		err = fmt.Errorf("supervisorctl %s: %w: %q", strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return string(out), err
}

// kill sends SIGKILL to a program's process, behind supervisord's back.
func (r *rig) kill(ctx context.Context, program string) error {
	out, err := r.ask(ctx, "pid", program)
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(out))
	if err != nil || pid <= 1 {
		return fmt.Errorf("supervisorctl pid %s: %q, want a process id", program, out)
	}
	r.scr.say("demo", fmt.Sprintf("kill -9 %d, the process of %s", pid, program))
	return syscall.Kill(pid, syscall.SIGKILL)
}

func (r *rig) file(name string) string { return filepath.Join(r.dir, name) }

func (r *rig) lb(name string) *lb {
	i := slices.IndexFunc(r.lbs, func(b *lb) bool { return b.name == name })
	return r.lbs[i]
}

func (r *rig) urls() map[string]string {
	urls := map[string]string{}
	for _, b := range r.lbs {
		urls[b.name] = "http://" + b.addr + "/"
	}
	return urls
}

// dump prints the ends of all logs.
func (r *rig) dump() {
	for _, name := range []string{"listener.log", "lb1.log", "lb2.log", "supervisord.log"} {
		text, err := os.ReadFile(r.file(name))
		if errors.Is(err, os.ErrNotExist) {
			text = []byte("(there is none)\n")
		}
		r.scr.logTail(name, string(text), 25)
	}
}

// close ends every process and removes the directory. Supervisord is asked,
// for it knows its children; were it to die, they would too: the programs
// because they asked the kernel for it, the listener because its input ends.
func (r *rig) close() {
	if r.super != nil {
		// Told to end, it would stop the programs one after another, at one a
		// second. Told to stop them all, it does that at once.
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		r.ask(ctx, "stop", "all") // whatever is left, the signal ends
		cancel()
		r.super.stop(syscall.SIGTERM, 20*time.Second)
	}
	for _, b := range r.lbs {
		if b.proc != nil {
			b.proc.stop(syscall.SIGTERM, 2*time.Second)
		}
		b.socket.Close()
	}
	os.RemoveAll(r.dir)
}
