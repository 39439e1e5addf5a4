// Demo shows supervisor-haproxy at work on the real parts: two HAProxys, one
// supervisord with four small web programs, the listener between them, and a
// steady load on top. It stops, starts, restarts and kills programs and a load
// balancer, prints what every part does and when, and counts what it cost.
//
//	go run ./demo            about 40 seconds
//	go run ./demo -fast      about half of that
//	go run ./demo -keep      and then leaves it running to play with
//
// It exits 0 if both HAProxys came to every state that they were meant to reach
// and no request failed but those that the crash cost, and 1 otherwise.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

// options are what the command line says.
type options struct {
	bin  string // the product, ready built; "" builds it
	fast bool
	keep bool
	rate int // requests a second, over both load balancers
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "app" {
		os.Exit(appMain(os.Args[2:]))
	}
	os.Exit(demoMain())
}

func demoMain() int {
	var o options
	flag.StringVar(&o.bin, "bin", "", "use this supervisor-haproxy `binary` instead of building one")
	flag.BoolVar(&o.fast, "fast", false, "keep the quiet times between the steps short")
	flag.BoolVar(&o.keep, "keep", false, "keep everything running after the steps, until ^C")
	flag.IntVar(&o.rate, "rate", 200, "requests a `second`, over both load balancers together")
	flag.Parse()
	if flag.NArg() > 0 || o.rate < 1 {
		flag.Usage()
		return 2
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	// A second ^C is not caught: the children die with us.
	defer context.AfterFunc(ctx, stop)()

	scr := newScreen(os.Stdout, time.Now())
	err := run(ctx, scr, o)
	switch {
	case ctx.Err() != nil && err != nil:
		fmt.Fprintln(os.Stderr, "demo: interrupted; everything is cleaned up")
		return 1
	case err != nil:
		fmt.Fprintln(os.Stderr, "demo:", err)
		return 1
	}
	return 0
}

// run is the demo from the first process to the last. Everything it started
// has ended and the temporary directory is gone when it returns.
func run(interrupt context.Context, scr *screen, o options) (err error) {
	ctx, end := context.WithCancelCause(interrupt)
	defer end(nil)
	var playing atomic.Bool
	fail := func(err error) {
		if playing.Load() { // people may break what they like
			scr.say("demo", err.Error())
			return
		}
		end(err)
	}

	r, err := newRig(ctx, scr, o, fail)
	if err != nil {
		return err
	}
	defer r.close()

	w := newWatch(r.lbs, scr)
	w.follow("supervisord", r.file("supervisord.log"), supervisordSays(fail))
	w.follow("listener", r.file("listener.log"), listenerSays(r.lbs))
	l := newLoad(o.rate, r.urls())

	background, cancel := context.WithCancel(ctx)
	ended := make(chan struct{}, 2)
	go func() { w.run(background); ended <- struct{}{} }()
	go func() { l.run(background); ended <- struct{}{} }()
	defer func() {
		cancel()
		<-ended
		<-ended
		if err != nil && interrupt.Err() == nil {
			r.dump()
		}
		scr.quiet("ending supervisord, its programs and both HAProxys")
	}()

	s := &script{rig: r, watch: w, load: l, scr: scr, fast: o.fast, rate: o.rate}
	if err := s.run(ctx); err != nil {
		return err
	}
	err = s.report()
	if o.keep {
		playing.Store(true)
		s.keepRunning(ctx)
	}
	return err
}
