package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/supervisor-haproxy/supervisor-haproxy/cluster"
	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
	"github.com/supervisor-haproxy/supervisor-haproxy/listener"
	"github.com/supervisor-haproxy/supervisor-haproxy/reconcile"
)

type listenCmd struct {
	Member     []string      `short:"m" placeholder:"SOCKET" env:"SUPERVISOR_HAPROXY_MEMBERS" help:"Admin socket of a HAProxy; repeated for several. SOCKETs can stand before the mappings too."`
	AckTimeout time.Duration `default:"2s" help:"How long an event's answer may wait until every HAProxy is seen as wished. What takes longer is done behind it."`
	Verify     string        `placeholder:"EXPR" help:"Hold back the answer until EXPR is true on every HAProxy too, such as web.in_rotation >= 2; not longer than --ack-timeout."`
	Poll       time.Duration `default:"1s" help:"How often to look at every HAProxy, to notice a reload or a restart."`
	Args       []string      `arg:"" optional:"" name:"socket-or-mapping" help:"Admin sockets and PROGRAM:BACKEND/SERVER mappings."`

	members []*cluster.Socket
	specs   []listener.Spec
	verify  *cluster.Expression
}

// Help is shown by listen --help.
func (l *listenCmd) Help() string {
	return `SOCKET is unix:///path, a path, tcp://host:port, host:port, one of HAProxy's own spellings (unix@, ipv4@, ipv6@, abns@), or master+ and one of these for a master CLI.

A mapping is program:backend/server, group:program=backend/server, or a pattern such as web:*=app/{name} or web:*=app/web{num}, where {name} is the process's name and {num} the number at its end.

Examples, as command= of an [eventlistener:x] section with events=PROCESS_STATE:

  supervisor-haproxy tcp://localhost:8800 instance1:plone01/plone0101 instance2:plone01/plone0102
  supervisor-haproxy listen -m unix:///run/haproxy1.sock -m unix:///run/haproxy2.sock 'web:*=app/{name}'`
}

// Validate reads the arguments, before anything is written to supervisord.
func (l *listenCmd) Validate() error {
	sockets := slices.Clone(l.Member)
	var mappings []string
	for _, arg := range l.Args {
		if isSocket(arg) {
			sockets = append(sockets, arg)
		} else {
			mappings = append(mappings, arg)
		}
	}
	for i, socket := range sockets {
		if isPage(socket) || isFile(socket) {
			return fmt.Errorf("address %q: listen needs an admin socket, such as tcp://localhost:8800 or unix:///run/haproxy/admin.sock: pages and files do not tell when HAProxy was reloaded", redact(socket))
		}
		addr, err := haproxysock.ParseAddr(socket)
		if err != nil {
			return err
		}
		if slices.Index(sockets, socket) < i {
			return fmt.Errorf("address %q is there twice", socket)
		}
		l.members = append(l.members, &cluster.Socket{Client: haproxysock.Client{Addr: addr}})
	}
	var err error
	if l.Verify != "" {
		if l.verify, err = cluster.ParseExpression(l.Verify, cluster.PerMember); err != nil {
			return fmt.Errorf("--verify: %w", err)
		}
	}
	l.specs, err = listener.ParseMapping(mappings)
	switch {
	case l.AckTimeout <= 0:
		return fmt.Errorf("--ack-timeout is %v, want more than 0", l.AckTimeout)
	case l.Poll <= 0:
		return fmt.Errorf("--poll is %v, want more than 0", l.Poll)
	case err != nil:
		return err
	case len(l.members) == 0:
		return errors.New("no HAProxy is named, want its admin socket, such as tcp://localhost:8800 or unix:///run/haproxy/admin.sock")
	case len(l.specs) == 0:
		return errors.New("no program is named, want mappings such as instance1:plone01/plone0101")
	}
	return nil
}

// isSocket tells an address from a mapping: a mapping has a "/" in its middle,
// and an address does not, or begins as a path or with a scheme or family.
func isSocket(arg string) bool {
	if arg == "None" {
		return false
	}
	head, _, family := strings.Cut(strings.TrimPrefix(arg, "master+"), "@")
	return !strings.Contains(arg, "/") || strings.Contains(arg, "://") ||
		strings.HasPrefix(arg, "/") || strings.HasPrefix(arg, ".") || strings.HasPrefix(arg, "master+") ||
		family && slices.Contains([]string{"unix", "ipv4", "ipv6", "abns", "abnsz", "fd", "sockpair"}, head)
}

// Run answers supervisord until it ends or ctx does.
func (l *listenCmd) Run(ctx context.Context, log *slog.Logger) error {
	tuneForOneWaiter()
	events, answers, err := claimStdio(ctx)
	if err != nil {
		return err
	}
	defer events.restore()

	var members []cluster.Member
	for _, m := range l.members {
		members = append(members, m)
	}
	rec := reconcile.New(members...)
	rec.Timeout, rec.Poll, rec.Log = l.AckTimeout, l.Poll, log
	// The wishes outlast ctx: the event in hand is finished first.
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	running.Go(func() { rec.Run(background) })
	running.Go(func() { l.warnAboutLevels(background, log) })
	err = (&listener.Listener{
		Conn:       listener.NewConn(events, answers),
		Specs:      l.specs,
		Reconciler: rec,
		AckTimeout: l.AckTimeout,
		Verify:     l.verification(),
		Log:        log,
	}).Run(ctx)
	stop()
	running.Wait()
	return err
}

// verifyInterval is between two questions whether --verify holds.
const verifyInterval = 20 * time.Millisecond

// verification asks all members for what --verify says, if anything.
func (l *listenCmd) verification() func(context.Context) error {
	if l.verify == nil {
		return nil
	}
	c := cluster.Cluster{Timeout: l.AckTimeout}
	for _, m := range l.members {
		c.Sources = append(c.Sources, &m.Client)
	}
	return func(ctx context.Context) error {
		_, err := c.Wait(ctx, l.verify, verifyInterval, 1, nil)
		return err
	}
}

// warnAboutLevels tells early of sockets that would refuse every change. One that
// does not answer is told of when it is needed.
func (l *listenCmd) warnAboutLevels(ctx context.Context, log *slog.Logger) {
	for _, m := range l.members {
		level, err := m.Client.Level(ctx)
		if err == nil && level != "admin" {
			log.Warn("member will refuse all changes: want \"level admin\" on its stats socket", "member", m.String(), "level", level)
		}
	}
}
