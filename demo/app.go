package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// An app is one of the web programs that supervisord runs. Once it is told to
// end it drains itself: it goes on answering for Linger, until the load
// balancers have had time to look away, then closes its socket, and then
// finishes the requests it has.
type app struct {
	Name   string
	Socket string        // the unix socket it serves on
	Delay  time.Duration // from its start until it binds the socket
	Linger time.Duration // from SIGTERM until it closes the socket
}

func appMain(args []string) int {
	var a app
	fs := flag.NewFlagSet("app", flag.ExitOnError)
	fs.StringVar(&a.Name, "name", "web", "the `name` it answers with")
	fs.StringVar(&a.Socket, "socket", "", "`path` of the unix socket to serve on")
	fs.DurationVar(&a.Delay, "delay", 0, "time from start to binding the socket")
	fs.DurationVar(&a.Linger, "linger", 0, "time from SIGTERM to closing the socket")
	fs.Parse(args)

	dieWithParent()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := a.run(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", a.Name, err)
		return 1
	}
	// Not only for people: output wakes supervisord, which otherwise looks at
	// its children once a second.
	fmt.Println(a.Name, "has ended by itself")
	return 0
}

// run serves until ctx ends and the last request is answered.
func (a *app) run(ctx context.Context) error {
	if !pause(ctx, a.Delay) {
		return nil
	}
	// A predecessor that was killed has left its socket behind.
	if err := os.Remove(a.Socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	l, err := net.Listen("unix", a.Socket)
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: a, ReadHeaderTimeout: 5 * time.Second}
	srv.SetKeepAlivesEnabled(false)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()

	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	rest, cancel := context.WithTimeout(context.Background(), a.Linger+5*time.Second)
	defer cancel()
	pause(rest, a.Linger)
	err = srv.Shutdown(rest)
	<-served
	return err
}

// ServeHTTP takes about as long as a small page of a real program, so that
// there always are requests under way when something happens.
func (a *app) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/" {
		http.NotFound(w, r)
		return
	}
	if pause(r.Context(), 30*time.Millisecond+rand.N(20*time.Millisecond)) {
		fmt.Fprintln(w, a.Name)
	}
}

// pause waits for d and says whether ctx let it.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
