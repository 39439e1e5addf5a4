// Package haproxypage asks and tells one HAProxy through its statistics page,
// over HTTP or HTTPS: the same table that its admin socket gives, and with
// "stats admin" the same states of servers.
//
// A page does not say which process it is of, so a reload between two requests
// goes unnoticed, and its statuses hide what was asked of a server that is down.
// Where it matters, use the admin socket.
//
// HAProxy Configuration Manual, "stats enable" and "stats admin"; Management
// Guide, 9.1 "CSV format".
package haproxypage

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"
)

// A Page is a statistics page; [New] makes one. Set the fields before the first
// call. Each request makes a connection of its own: one that is kept would go on
// talking to the old worker after a reload. It is safe for concurrent use.
type Page struct {
	Insecure bool          // take any TLS certificate
	Timeout  time.Duration // of one call; 0 means 10 s

	base     string // the page's URL, without who asks
	shown    string // the URL as it may be shown
	user     string // with password, for basic auth
	password string
	hasUser  bool

	connect sync.Once
	client  *http.Client
}

const (
	defaultTimeout = 10 * time.Second
	maxRedirects   = 5
)

const wanted = "want http://host/path or https://host/path, with user:password and an \"@\" in front of the host where the page asks for them"

// New reads the URL that the page has in a browser, such as
// http://user:password@lb1:8404/stats. Path and query are kept as they are: all
// of it may be the page's "stats uri". In user and password, "/", "?", "#", "@"
// and "%" are written %2F, %3F, %23, %40 and %25. Errors do not show the password.
func New(address string) (*Page, error) {
	u, err := url.Parse(address)
	shown := Redact(address)
	switch {
	case err != nil && strings.Contains(address, "@"): // it may tell the password
		err = errors.New(`it is no URL; "/", "?", "#", "@" and "%" in user and password are written %2F, %3F, %23, %40 and %25`)
	case err != nil && strings.Contains(err.Error(), "invalid port"): // a password, if the "@" and the host were forgotten
		scheme, rest, _ := strings.Cut(address, "://")
		host, _, _ := strings.Cut(rest, ":")
		shown = scheme + "://" + host + ":xxxxx"
		err = errors.New("its port is no number")
	case err != nil:
		if inner := (*url.Error)(nil); errors.As(err, &inner) {
			err = inner.Err // without the address once more
		}
	case u.Scheme != "http" && u.Scheme != "https":
		err = fmt.Errorf("scheme %q is not known", u.Scheme)
	case u.Hostname() == "":
		err = errors.New("it has no host")
	case strings.Contains(u.Path+u.RawQuery+u.Fragment, "@"):
		err = errors.New(`there is an "@" behind the host; in user and password, "/", "?", "#", "@" and "%" are written %2F, %3F, %23, %40 and %25`)
	case strings.Contains(u.RequestURI(), ";json") || strings.Contains(u.RequestURI(), ";typed"):
		err = errors.New("the page is asked for CSV, want it without ;json and ;typed")
	}
	if err != nil {
		return nil, fmt.Errorf("address %q: %w, %s", shown, err, wanted)
	}
	p := &Page{}
	if u.User != nil {
		p.hasUser = true
		p.user = u.User.Username()
		p.password, _ = u.User.Password()
	}
	u.Fragment, u.RawFragment = "", "" // "#web/web01" is the browser's
	if u.Path == "" {
		u.Path = "/"
	}
	p.shown = u.Redacted()
	u.User = nil
	p.base = u.String()
	return p, nil
}

// Redact takes the password out of a text that may be a URL, or was meant to be
// one: whatever stands between the user and the last "@".
func Redact(address string) string {
	scheme, rest, ok := strings.Cut(address, "://")
	at := strings.LastIndexByte(rest, '@')
	if !ok || at < 0 {
		return address
	}
	user, _, ok := strings.Cut(rest[:at], ":")
	if !ok {
		return address
	}
	return scheme + "://" + user + ":xxxxx" + rest[at:]
}

// SetPassword gives the password of the user whom the URL names, for one that is
// kept elsewhere. It is not ok if the URL names none, or has a password itself.
func (p *Page) SetPassword(password string) (ok bool) {
	if !p.hasUser || p.password != "" {
		return false
	}
	p.password = password
	return true
}

// String is the page's URL, with "xxxxx" for the password.
func (p *Page) String() string { return p.shown }

// table is the URL of the page as CSV, of the proxies that have scope in their
// name, or all. HAProxy looks for both words anywhere behind the "stats uri",
// which may itself hold a "?" or ";".
func (p *Page) table(scope string) string {
	at := p.base
	if !strings.Contains(at, ";csv") {
		at += ";csv"
	}
	if scope == "" || strings.Contains(at, "scope=") {
		return at
	}
	if strings.Contains(at, "?") {
		return at + "&scope=" + scope
	}
	return at + "?scope=" + scope
}

// page is the URL that actions are sent to.
func (p *Page) page() string { return strings.Replace(p.base, ";csv", "", 1) }

func (p *Page) timeout() time.Duration { return cmp.Or(p.Timeout, defaultTimeout) }

// do sends a request. The answer's body has to be closed; it ends with ctx.
func (p *Page) do(req *http.Request) (*http.Response, error) {
	p.connect.Do(func() {
		p.client = &http.Client{
			CheckRedirect: checkRedirect,
			Transport: &http.Transport{
				// Neither a proxy nor connections that are kept.
				DisableKeepAlives:      true,
				MaxResponseHeaderBytes: 64 << 10,
				TLSClientConfig: &tls.Config{
					InsecureSkipVerify: p.Insecure,
					ClientSessionCache: tls.NewLRUClientSessionCache(1),
				},
			},
		}
	})
	if p.hasUser {
		req.SetBasicAuth(p.user, p.password)
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return nil, p.unanswered(req.Context(), req.Method, err)
	}
	return resp, nil
}

// checkRedirect stays with the host that was named: elsewhere, nobody vouches for
// what the table says. The same host may send us from HTTP to HTTPS.
func checkRedirect(req *http.Request, via []*http.Request) error {
	first := via[0]
	from, to := first.URL, req.URL
	switch upgrade := from.Scheme == "http" && to.Scheme == "https"; {
	case first.Method != http.MethodGet:
		return http.ErrUseLastResponse
	case len(via) > maxRedirects:
		return &redirectError{to, "which is one redirect too many"}
	case !strings.EqualFold(from.Hostname(), to.Hostname()):
		return &redirectError{to, "which is another host"}
	case from.Scheme != to.Scheme && !upgrade:
		return &redirectError{to, "which is not encrypted"}
	case !upgrade && from.Port() != to.Port():
		return &redirectError{to, "which is another port"}
	}
	return nil
}

type redirectError struct {
	to  *url.URL
	why string
}

func (e *redirectError) Error() string {
	return fmt.Sprintf("redirected to %s, %s", e.to.Redacted(), e.why)
}

// unanswered tells that the page was not reached or broke off.
func (p *Page) unanswered(ctx context.Context, method string, err error) error {
	if inner := (*url.Error)(nil); errors.As(err, &inner) {
		err = inner.Err // the rest says method and URL once more
	}
	if away := (*redirectError)(nil); errors.As(err, &away) {
		return p.refused(method, away.Error())
	}
	op := (*net.OpError)(nil)
	switch cause := context.Cause(ctx); {
	case cause != nil:
		err = cause
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = context.DeadlineExceeded
	case errors.As(err, &op) && op.Op == "dial" && op.Err != nil:
		err = op.Err
	}
	return fmt.Errorf("%s: %q unanswered: %w", p, method, err)
}
