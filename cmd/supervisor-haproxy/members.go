package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/supervisor-haproxy/supervisor-haproxy/cluster"
	"github.com/supervisor-haproxy/supervisor-haproxy/haproxypage"
	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
)

// memberFlags name the members that a command is about.
type memberFlags struct {
	Member       []string `short:"m" placeholder:"URL" env:"SUPERVISOR_HAPROXY_MEMBERS" help:"A HAProxy: admin socket, statistics page or saved CSV file; repeated for several."`
	Insecure     bool     `help:"Take any certificate of https:// members."`
	PasswordFile string   `placeholder:"FILE" help:"Holds the password for http:// and https:// members that name a user and no password."`
}

// memberOptions are for commands that ask; those that wait have a --timeout of
// their own, which is when they give up.
type memberOptions struct {
	memberFlags
	Timeout time.Duration `default:"5s" help:"How long a member may take to answer."`
}

// answerTimeout is --timeout where there is no flag for it.
const answerTimeout = 5 * time.Second

const memberForms = "want unix:///path or tcp://host:port of an admin socket, http://host/path of a statistics page, or a saved file.csv"

// membersHelp belongs into a command's --help.
const membersHelp = `URL is an admin socket: unix:///path, a path, tcp://host:port, host:port, one of HAProxy's own spellings (unix@, ipv4@, ipv6@, abns@), or master+ and one of these for a master CLI; a statistics page: http://user:password@host/path or https://…, as a browser has it; or a saved table: file:///path/x.csv or a path that ends in .csv.`

// A member is one HAProxy that a command line names.
type member struct {
	cluster.Source                // tells its statistics
	told           cluster.Member // takes states of servers; nil for a saved file
}

// parseMembers reads the URLs of members, as o says. No two may be the same, and
// there has to be one.
func parseMembers(urls []string, o memberOptions) ([]member, error) {
	if len(urls) == 0 {
		return nil, fmt.Errorf("no HAProxy is named, want --member URL, or SUPERVISOR_HAPROXY_MEMBERS=URL,URL: %s", memberForms)
	}
	password, err := readPassword(o.PasswordFile)
	if err != nil {
		return nil, err
	}
	if hasComma(urls) {
		return nil, errors.New("an address has a comma in its user or password, which ends an address there, want it written %2C")
	}
	var members []member
	seen := map[string]bool{}
	for _, text := range urls {
		m, err := parseMember(text, o)
		if err != nil {
			return nil, err
		}
		if seen[m.String()] {
			return nil, fmt.Errorf("address %q is there twice", m.String())
		}
		seen[m.String()] = true
		if page, ok := m.Source.(*haproxypage.Page); ok && o.PasswordFile != "" {
			page.SetPassword(password)
		}
		members = append(members, m)
	}
	return members, nil
}

// hasComma finds a page whose user or password had a comma, where -m and the
// environment begin the next address. To quote what came of it would tell the
// password.
func hasComma(urls []string) bool {
	inside := false
	for _, text := range urls {
		switch _, err := haproxysock.ParseAddr(text); {
		case strings.Contains(text, "://"):
			inside = isPage(text) && !strings.Contains(text, "@")
		case inside && strings.Contains(text, "@") && err != nil:
			return true
		}
	}
	return false
}

func parseMember(text string, o memberOptions) (member, error) {
	switch {
	case isPage(text):
		page, err := haproxypage.New(text)
		if err != nil {
			return member{}, err
		}
		page.Insecure, page.Timeout = o.Insecure, o.Timeout
		return member{page, pageMember{page}}, nil
	case isFile(text):
		path, err := filePath(text)
		return member{Source: cluster.File{Path: path}}, err
	}
	addr, err := haproxysock.ParseAddr(text)
	if err != nil && strings.Contains(text, "@") && redact(text) != text { // it quotes the password
		return member{}, fmt.Errorf("address %q: %s", redact(text), memberForms)
	}
	if err != nil {
		return member{}, fmt.Errorf("%w; or http://host/path of a statistics page, or a saved file.csv", err)
	}
	socket := &cluster.Socket{Client: haproxysock.Client{Addr: addr, Timeout: o.Timeout}}
	return member{&socket.Client, socket}, nil
}

// redact takes a password out of what was meant to be a URL.
func redact(text string) string {
	if strings.Contains(text, "://") {
		return haproxypage.Redact(text)
	}
	return strings.TrimPrefix(haproxypage.Redact("://"+text), "://")
}

// isPage reports whether text is the URL of a statistics page.
func isPage(text string) bool {
	scheme, _, ok := strings.Cut(text, "://")
	return ok && (strings.EqualFold(scheme, "http") || strings.EqualFold(scheme, "https"))
}

// isFile reports whether text names a saved table. A socket whose path ends in
// .csv is spelled unix://.
func isFile(text string) bool {
	scheme, _, ok := strings.Cut(text, "://")
	if ok {
		return strings.EqualFold(scheme, "file")
	}
	return !strings.Contains(text, "@") && !strings.HasPrefix(text, "master+") && strings.EqualFold(filepath.Ext(text), ".csv")
}

func filePath(text string) (string, error) {
	if !strings.Contains(text, "://") {
		return text, nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Host != "" && u.Host != "localhost" || u.Path == "" || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("address %q: want file:///path/x.csv, or the path alone", text)
	}
	return u.Path, nil
}

// readPassword reads a file that only its owner and group may read.
func readPassword(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	info, err := os.Stat(path)
	if err == nil && info.Mode().Perm()&0o007 != 0 {
		return "", fmt.Errorf("password file %s: everybody may read it (%v), want mode 600", path, info.Mode().Perm())
	}
	if err != nil {
		return "", fmt.Errorf("password file: %w", err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("password file: %w", err)
	}
	password, _, _ := strings.Cut(string(text), "\n")
	if password = strings.TrimSuffix(password, "\r"); password == "" {
		return "", fmt.Errorf("password file %s: its first line is empty, want the password", path)
	}
	return password, nil
}

// A pageMember makes a statistics page a [cluster.Member]. It stands here because
// neither package knows the other: a page is asked and told in haproxysock's
// words, as a socket's client is.
//
// What it says names no process, which a page does not tell.
type pageMember struct{ *haproxypage.Page }

// Apply is [cluster.Member.Apply]. Servers are told one by one, so that each has
// an answer of its own.
func (m pageMember) Apply(ctx context.Context, targets []cluster.Target) (cluster.Applied, error) {
	report := cluster.Applied{Servers: make([]cluster.Observed, len(targets))}
	for i, target := range targets {
		o := &report.Servers[i]
		o.Server = target.Server
		server, err := m.bring(ctx, target)
		switch refusal := (*haproxypage.ActionError)(nil); {
		case errors.As(err, &refusal), errors.Is(err, haproxysock.ErrNoServer), errors.Is(err, haproxysock.ErrNoBackend):
			o.Err = err
			continue
		case err != nil:
			return cluster.Applied{}, err
		}
		o.Status, o.Asked = server.Status, server.Asked()
		known := server.Status.Word() != "MAINT" // which hides the check
		o.Unchecked = known && !server.Checked && !server.Agent && server.Tracked == ""
		down := o.Asked == "" && known
		o.Gated = down && target.State == haproxysock.Ready && server.Checked
		if down && target.State != "" {
			o.Asked = target.State // HAProxy said that it was done, and the row does not say otherwise
		}
	}
	return report, nil
}

func (m pageMember) bring(ctx context.Context, target cluster.Target) (haproxypage.Server, error) {
	if target.State == "" {
		return m.Server(ctx, target.Server)
	}
	return m.SetServerState(ctx, target.Server, target.State)
}
