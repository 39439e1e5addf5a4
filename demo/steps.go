package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// limit is how long any wished state may take before the demo gives up. A
// healthy run needs a quarter of it.
const limit = 20 * time.Second

// A script is what the demo does with a rig, step by step.
type script struct {
	rig     *rig
	watch   *watch
	load    *load
	scr     *screen
	fast    bool
	rate    int
	results []result
}

// A result is what came of one step.
type result struct {
	title   string
	out     string // time until out of rotation
	back    string // time until in rotation again
	crash   bool   // requests may have failed
	retried int    // attempts of the HAProxys to reach a server that was not there
	counts
}

type step struct {
	title string
	why   string
	do    func(context.Context, *result) error
	crash bool
}

func (s *script) steps() []step {
	return []step{
		{title: "steady state", do: s.steady, why: fmt.Sprintf(
			"From here to the end %d new clients a second arrive, half of them at lb1 and half at lb2, "+
				"whatever happens. Each is counted, and each that gets no good answer is counted as failed.", s.rate)},
		{title: "stop web1", do: s.stop("web1"), why: "supervisord sends SIGTERM to web1 and " +
			"tells the listener, which sets web1 to DRAIN on both HAProxys (no new clients), and to MAINT once it has " +
			"stopped. No listener can be ahead of that signal, so these programs drain themselves: they answer for another " +
			millis(linger) + " and finish what they have."},
		{title: "start web1", do: s.start("web1"), why: "RUNNING means no more to supervisord than that the " +
			"process has lived for a second. So web1 gets no clients on that word: it is DOWN until each HAProxy's own health " +
			"check has found it well twice."},
		{title: "restart web2", do: s.restart(slowStarter), why: "web2 is slow: it is RUNNING long before it can " +
			"answer. Whoever put it back at RUNNING would send clients to a closed door."},
		{title: "crash of web3", do: s.crash("web3"), crash: true, why: "kill -9, behind supervisord's back. " +
			"What web3 had in hand is lost: nobody outside of a process can save that. What counts is how soon both HAProxys " +
			"stop sending clients, and that web3 comes back by itself."},
		{title: "lb2 dies; stop web4", do: s.loseLB("lb2", "web4"), why: "lb2 is killed, and web4 stopped while it is " +
			"away. Clients are told to use lb1 just before, as a virtual address would tell them; the demo shows how the load " +
			"balancers agree, not how clients find them. The listener must not wait for lb2, and must not forget it."},
		{title: "lb2 comes back", do: s.regainLB("lb2", "web4"), why: "A fresh HAProxy knows nothing: it takes web4 to be " +
			"UP. The listener sees that lb2 is a new process and tells it what it missed. Clients use lb2 again from " +
			"the moment that it answers."},
		{title: "start web4", do: s.start("web4"), why: "And everything is as it was."},
	}
}

func (s *script) run(ctx context.Context) error {
	s.scr.heading("start", "Two HAProxys, lb1 and lb2, in front of the programs web1 to web4, "+
		"which supervisord runs. Its event listener is supervisor-haproxy. The state of every server on each "+
		"HAProxy is sampled every "+millis(sampleEvery)+".")
	if _, err := s.watch.await(ctx, time.Now(), 2*limit, isUp(lbNames, servers...)); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	s.watch.show()
	s.load.use(lbNames...)
	steps := s.steps()
	for i, st := range steps {
		s.scr.heading(fmt.Sprintf("%d of %d: %s", i+1, len(steps), st.title), st.why)
		res := result{title: st.title, crash: st.crash}
		before := s.watch.retries()
		err := st.do(ctx, &res)
		if err == nil && !pause(ctx, s.dwell()) {
			err = context.Cause(ctx)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", st.title, err)
		}
		res.counts = s.load.cut()
		res.retried = s.watch.retries() - before
		s.scr.say("load", res.counts.String())
		if res.retried > 0 {
			s.scr.say("load", fmt.Sprintf("of these, HAProxy has sent %d elsewhere, as their server was not there", res.retried))
		}
		s.results = append(s.results, res)
	}
	// What a last look shows must be what all this was for.
	_, err := s.watch.await(ctx, time.Now(), limit, isUp(lbNames, servers...))
	return err
}

// dwell is how long a step stays, so that there is load in the state it led to.
func (s *script) dwell() time.Duration {
	if s.fast {
		return 300 * time.Millisecond
	}
	return 1500 * time.Millisecond
}

func (s *script) steady(ctx context.Context, _ *result) error {
	if !pause(ctx, s.dwell()) {
		return context.Cause(ctx)
	}
	return nil
}

func (s *script) stop(program string) func(context.Context, *result) error {
	return func(ctx context.Context, res *result) error {
		begin := time.Now()
		if err := s.rig.ctl(ctx, "stop", program); err != nil {
			return err
		}
		return s.awaitStopped(ctx, begin, res, lbNames, program)
	}
}

// awaitStopped waits for MAINT, and notes when new clients stopped coming.
func (s *script) awaitStopped(ctx context.Context, begin time.Time, res *result, lbs []string, program string) error {
	if _, err := s.watch.await(ctx, begin, limit, isMaint(lbs, program)); err != nil {
		return err
	}
	out, err := s.watch.await(ctx, begin, limit, isOut(lbs, program))
	res.out = seconds(out.Sub(begin))
	return err
}

func (s *script) start(program string) func(context.Context, *result) error {
	return func(ctx context.Context, res *result) error {
		begin := time.Now()
		if err := s.rig.ctl(ctx, "start", program); err != nil {
			return err
		}
		back, err := s.watch.await(ctx, begin, limit, isUp(lbNames, program))
		res.back = seconds(back.Sub(begin))
		return err
	}
}

func (s *script) restart(program string) func(context.Context, *result) error {
	return func(ctx context.Context, res *result) error {
		begin := time.Now()
		if err := s.rig.ctl(ctx, "restart", program); err != nil {
			return err
		}
		return s.awaitOutAndBack(ctx, begin, res, program)
	}
}

func (s *script) awaitOutAndBack(ctx context.Context, begin time.Time, res *result, program string) error {
	out, err := s.watch.await(ctx, begin, limit, isOut(lbNames, program))
	if err != nil {
		return err
	}
	back, err := s.watch.await(ctx, out, limit, isUp(lbNames, program))
	res.out, res.back = seconds(out.Sub(begin)), seconds(back.Sub(begin))
	return err
}

func (s *script) crash(program string) func(context.Context, *result) error {
	return func(ctx context.Context, res *result) error {
		if err := s.rig.kill(ctx, program); err != nil {
			return err
		}
		return s.awaitOutAndBack(ctx, time.Now(), res, program)
	}
}

func (s *script) loseLB(name, program string) func(context.Context, *result) error {
	return func(ctx context.Context, res *result) error {
		var rest []string
		for _, lb := range lbNames {
			if lb != name {
				rest = append(rest, lb)
			}
		}
		s.scr.say("load", "all clients to "+strings.Join(rest, ", ")+" from now on")
		s.load.use(rest...)
		s.scr.say("demo", "kill -9 of "+name)
		begin := time.Now()
		s.rig.killLB(s.rig.lb(name))
		if _, err := s.watch.await(ctx, begin, limit, answers(name, false)); err != nil {
			return err
		}
		begin = time.Now()
		if err := s.rig.ctl(ctx, "stop", program); err != nil {
			return err
		}
		err := s.awaitStopped(ctx, begin, res, rest, program)
		res.out += " (" + strings.Join(rest, ", ") + ")"
		return err
	}
}

func (s *script) regainLB(name, program string) func(context.Context, *result) error {
	return func(ctx context.Context, res *result) error {
		s.scr.say("demo", "start of "+name)
		begin := time.Now()
		if err := s.rig.startLB(s.rig.lb(name)); err != nil {
			return err
		}
		if _, err := s.watch.await(ctx, begin, limit, answers(name, true)); err != nil {
			return err
		}
		s.scr.say("load", "clients at "+strings.Join(lbNames, " and ")+" again")
		s.load.use(lbNames...)
		out, err := s.watch.await(ctx, begin, limit, isMaint(lbNames, program))
		res.out = seconds(out.Sub(begin)) + " (" + name + ")"
		return err
	}
}

// keepRunning leaves the rig to people until ctx ends.
func (s *script) keepRunning(ctx context.Context) {
	r := s.rig
	s.scr.heading("over to you", "Everything keeps running until ^C, and every change of state is shown. Try in another terminal:")
	s.scr.printf("\n")
	for _, line := range []string{
		"supervisorctl -c " + r.file("supervisord.conf"),
		"curl http://" + r.lbs[0].addr + "/",
		r.file("supervisor-haproxy") + " --help",
	} {
		s.scr.printf("  %s\n", s.scr.paint(bold, line))
	}
	for _, b := range r.lbs {
		s.scr.printf("  %-4s page  http://%s/stats   admin socket  unix://%s\n", b.name, b.addr, b.admin)
	}
	s.scr.printf("\n")
	s.load.cut()
	for pause(ctx, 10*time.Second) {
		s.scr.say("load", s.load.cut().String())
	}
	s.scr.printf("\n")
}
