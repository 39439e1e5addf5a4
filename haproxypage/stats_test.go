package haproxypage_test

import (
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxypage"
	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock/haproxytest"
)

const longName = "a-name-that-is-longer-than-the-scope-may-be-"

const config = `
frontend stats
  bind unix@{dir}/stats.sock
  stats enable
  stats uri /stats
  stats admin if TRUE
frontend query
  bind unix@{dir}/query.sock
  stats enable
  stats uri /haproxy?stats
frontend semicolon
  bind unix@{dir}/semicolon.sock
  stats enable
  stats uri /stats;x
frontend root
  bind unix@{dir}/root.sock
  stats enable
  stats uri /
frontend auth
  bind unix@{dir}/auth.sock
  stats enable
  stats uri /stats
  stats auth ops:s/e@cret
frontend scope
  bind unix@{dir}/scope.sock
  stats enable
  stats uri /stats
  stats scope web
backend web
  server web01 127.0.0.1:9
  server web02 127.0.0.1:9 disabled
backend web2
  server web01 127.0.0.1:9
backend ` + longName + `1
  server web01 127.0.0.1:9
backend ` + longName + `2
  server web01 127.0.0.1:9
`

func page(t testing.TB, address string) *haproxypage.Page {
	t.Helper()
	p, err := haproxypage.New(address)
	require.NoError(t, err)
	p.Timeout = haproxytest.Patience
	return p
}

type source interface {
	ScanStats(context.Context, []haproxysock.StatFilter, []string, func(*haproxysock.StatScanner) error) error
}

// rows are the servers' names and statuses, one a line.
func rows(t testing.TB, s source, filters ...haproxysock.StatFilter) ([]string, error) {
	t.Helper()
	var all []string
	err := s.ScanStats(t.Context(), filters, []string{"pxname", "svname", "status", "no such column"}, func(s *haproxysock.StatScanner) error {
		all = append(all, s.Text(0)+"/"+s.Text(1)+" "+s.Text(2)+s.Text(3))
		return nil
	})
	return all, err
}

// A page says what the socket says, whatever its path and the filters are.
func TestScanStats(t *testing.T) {
	h := haproxytest.Start(t, config)
	for socket, paths := range map[string][]string{
		"stats":     {"/stats", "/stats;norefresh", "/stats;csv", "/stats;norefresh;csv", "/stats;csv;norefresh", "/stats?", "/stats#web/web01", "/stats;st=DONE"},
		"query":     {"/haproxy?stats", "/haproxy?stats;csv", "/haproxy?stats;norefresh"},
		"semicolon": {"/stats;x", "/stats;x;csv"},
		"root":      {"", "/", "/;csv", "/?"},
	} {
		host := haproxytest.Forward(t, h.Dir+"/"+socket+".sock")
		for _, path := range paths {
			t.Run(socket+path, func(t *testing.T) {
				p := page(t, "http://"+host+path)
				for _, filters := range [][]haproxysock.StatFilter{
					nil,
					{{}},
					{{Proxy: "web"}},
					{{Proxy: "web", Kinds: haproxysock.Servers}, {Proxy: "web", Kinds: haproxysock.Backends}},
					{{Proxy: "web", Kinds: haproxysock.Servers, Server: 2}},
					{{Proxy: "web2"}, {Proxy: longName + "2"}},
					{{Proxy: longName + "2"}},
					{{Kinds: haproxysock.Frontends}},
				} {
					want, err := rows(t, h.Client(), filters...)
					require.NoError(t, err)
					got, err := rows(t, p, filters...)
					require.NoError(t, err)
					require.ElementsMatch(t, want, got, "%v", filters)
				}
				_, err := rows(t, p, haproxysock.StatFilter{Proxy: "none"})
				require.ErrorIs(t, err, haproxysock.ErrNoBackend)
				_, err = rows(t, p, haproxysock.StatFilter{Proxy: "we"})
				require.ErrorIs(t, err, haproxysock.ErrNoBackend)
				_, err = rows(t, p, haproxysock.StatFilter{Proxy: "web&scope=x"})
				require.ErrorIs(t, err, haproxysock.ErrNoBackend)
			})
		}
	}
}

// HAProxy sends only the proxy that is asked for.
func TestScanStatsAsksForLess(t *testing.T) {
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.RequestURI)
		fmt.Fprint(w, "# pxname,svname,type,sid,status,\nweb,web01,2,1,UP,\n")
	}))
	t.Cleanup(server.Close)
	for _, path := range []string{"/stats", "/a?b", "/stats?scope=we"} {
		_, err := rows(t, page(t, server.URL+path), haproxysock.StatFilter{Proxy: "web"})
		require.NoError(t, err)
	}
	require.Equal(t, []string{"/stats;csv?scope=web", "/a?b;csv&scope=web", "/stats?scope=we;csv"}, asked)
}

func TestScanStatsAuth(t *testing.T) {
	h := haproxytest.Start(t, config)
	host := haproxytest.Forward(t, h.Dir+"/auth.sock")

	all, err := rows(t, page(t, "http://ops:s%2Fe%40cret@"+host+"/stats"))
	require.NoError(t, err)
	require.Contains(t, all, "web/web01 no check")

	p := page(t, "http://ops@"+host+"/stats")
	require.True(t, p.SetPassword("s/e@cret"))
	_, err = rows(t, p)
	require.NoError(t, err)

	for user, want := range map[string]string{
		"ops:wrong@": "401 Unauthorized: wrong user or password",
		"":           "401 Unauthorized: the page wants a user and a password",
	} {
		_, err := rows(t, page(t, "http://"+user+host+"/stats"))
		refusal := (*haproxysock.CommandError)(nil)
		require.ErrorAs(t, err, &refusal)
		require.Contains(t, err.Error(), want)
		require.NotContains(t, err.Error(), "wrong@")
	}
}

// "stats scope" leaves proxies out, and then we cannot see them.
func TestScanStatsScope(t *testing.T) {
	h := haproxytest.Start(t, config)
	p := page(t, "http://"+haproxytest.Forward(t, h.Dir+"/scope.sock")+"/stats")
	all, err := rows(t, p)
	require.NoError(t, err)
	require.Equal(t, []string{"web/web01 no check", "web/web02 MAINT", "web/BACKEND UP"}, all)
	_, err = rows(t, p, haproxysock.StatFilter{Proxy: "web2"})
	require.ErrorIs(t, err, haproxysock.ErrNoBackend)
}

// A path without a page is told; HAProxy says 503 there.
func TestScanStatsElsewhere(t *testing.T) {
	h := haproxytest.Start(t, config)
	_, err := rows(t, page(t, "http://"+haproxytest.Forward(t, h.Dir+"/stats.sock")+"/elsewhere"))
	require.ErrorContains(t, err, `503 Service Unavailable: want the path that stands at "stats uri"`)
}

// TLS certificates are verified, but for Insecure.
func TestScanStatsTLS(t *testing.T) {
	dir := haproxytest.ShortDir(t)
	writeCertificate(t, dir+"/lb.pem")
	h := haproxytest.Start(t, `
frontend stats
  bind unix@{dir}/stats.sock ssl crt `+dir+`/lb.pem
  stats enable
  stats uri /stats
`)
	address := haproxytest.Forward(t, h.Dir+"/stats.sock") + "/stats"
	p := page(t, "https://"+address)
	_, err := rows(t, p)
	require.ErrorContains(t, err, "certificate")
	unknown := x509.UnknownAuthorityError{}
	require.ErrorAs(t, err, &unknown)

	p = page(t, "https://"+address)
	p.Insecure = true
	_, err = rows(t, p)
	require.NoError(t, err)

	_, err = rows(t, page(t, "http://"+address))
	require.Error(t, err)
}

func writeCertificate(t testing.TB, file string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	private, err := x509.MarshalECPrivateKey(key)
	require.NoError(t, err)
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private})...)
	require.NoError(t, os.WriteFile(file, text, 0o600))
}

// A page that hangs is given up in time, and one that nobody is behind at once.
func TestScanStatsUnanswered(t *testing.T) {
	h := haproxytest.Start(t, config)
	p := page(t, "http://"+haproxytest.Forward(t, h.Dir+"/stats.sock")+"/stats")
	h.Pause()
	p.Timeout = 50 * time.Millisecond
	_, err := rows(t, p)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Contains(t, err.Error(), `/stats: "GET" unanswered`)

	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	err = p.ScanStats(ctx, nil, nil, nil)
	require.ErrorContains(t, err, "unanswered: enough")
	h.Resume()

	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	_, err = rows(t, page(t, "http://"+l.Addr().String()+"/stats"))
	require.ErrorContains(t, err, "unanswered: connect: connection refused")
}

// What is no whole table is never taken for one.
func TestScanStatsGarbled(t *testing.T) {
	const head = "# pxname,svname,type,sid,status,\n"
	const row = "web,web01,2,1,UP,\n"
	for _, c := range []struct {
		name    string
		answer  func(w http.ResponseWriter)
		want    string
		garbled bool // a *ProtocolError
	}{
		{"a page in HTML", text("<!DOCTYPE html><html><body>Statistics Report</body></html>"), "answered with \"<!DOCTYPE html><html><body>Statistics Report</body></html>\", want statistics, which begin with # pxname,svname,", true},
		{"a login page", text("\n<html><form action=login>"), "want statistics", true},
		{"nothing", text(""), "answered with nothing", true},
		{"a table without rows", text(head), "want rows below the names of the columns", true},
		{"cut within the names", text("# pxname,svname,ty"), "want statistics", true},
		{"cut within a row", text(head + row + "web,web0"), "cut off", true},
		{"a row too short", text(head + row + "web,web02\n"), "want a row of 5 columns", true},
		{"cut between rows, with a length", func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", fmt.Sprint(len(head)+2*len(row)))
			fmt.Fprint(w, head, row)
		}, "unanswered: the table was cut off: unexpected EOF", false},
		{"cut between rows, in chunks", func(w http.ResponseWriter) {
			fmt.Fprint(w, head, row)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, "unanswered: the table was cut off: unexpected EOF", false},
		{"cut between rows, compressed", func(w http.ResponseWriter) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			fmt.Fprint(z, head, row)
			z.Flush() // and no Close
		}, "unanswered: the table was cut off: unexpected EOF", false},
		{"not what it says to be", func(w http.ResponseWriter) {
			w.Header().Set("Content-Encoding", "gzip")
			fmt.Fprint(w, head, row)
		}, "gzip: invalid header", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c.answer(w) }))
			t.Cleanup(server.Close)
			p := page(t, server.URL+"/stats")
			_, err := rows(t, p)
			require.ErrorContains(t, err, c.want)
			require.True(t, strings.HasPrefix(err.Error(), p.String()+": "), err.Error())
			protocol := (*haproxysock.ProtocolError)(nil)
			require.Equal(t, c.garbled, errors.As(err, &protocol), "%T", err)
		})
	}
}

func text(s string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) { fmt.Fprint(w, s) }
}

// Compressed answers are as good as others.
func TestScanStatsCompressed(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		require.Equal(t, "gzip", r.Header.Get("Accept-Encoding"))
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		fmt.Fprint(z, "# pxname,svname,type,sid,status,\nweb,web01,2,1,UP,\n")
		z.Close()
	}))
	t.Cleanup(server.Close)
	all, err := rows(t, page(t, server.URL))
	require.NoError(t, err)
	require.Equal(t, []string{"web/web01 UP"}, all)
}

// An answer that does not end is cut, and is an error.
func TestScanStatsEndless(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed)
		fmt.Fprint(z, "# pxname,svname,type,sid,status,\n")
		block := []byte(strings.Repeat("web,web01,2,1,UP,\n", 10000))
		for r.Context().Err() == nil {
			z.Write(block)
		}
	}))
	t.Cleanup(server.Close)
	err := page(t, server.URL).ScanStats(t.Context(), nil, nil, func(*haproxysock.StatScanner) error { return nil })
	require.ErrorContains(t, err, "want at most 67108864 bytes")
}

func TestScanStatsStatus(t *testing.T) {
	for status, want := range map[int]string{
		403: `"GET" refused: 403 Forbidden`,
		404: `"GET" refused: 404 Not Found: want the path`,
		500: `"GET" refused: 500 Internal Server Error`,
		502: `"GET" unanswered: 502 Bad Gateway`,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(status) }))
		t.Cleanup(server.Close)
		_, err := rows(t, page(t, server.URL+"/stats"))
		require.ErrorContains(t, err, want)
	}
}

// An error of the caller's comes back as it is.
func TestScanStatsStops(t *testing.T) {
	h := haproxytest.Start(t, config)
	p := page(t, "http://"+haproxytest.Forward(t, h.Dir+"/stats.sock")+"/stats")
	enough, calls := errors.New("enough"), 0
	err := p.ScanStats(t.Context(), nil, nil, func(*haproxysock.StatScanner) error {
		calls++
		return enough
	})
	require.Equal(t, enough, err)
	require.Equal(t, 1, calls)
}

// Redirects within the host are followed, with user and password; those to others
// are not, and nobody else learns the password.
func TestRedirects(t *testing.T) {
	table := func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if user != "ops" || password != "secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, "# pxname,svname,type,sid,status,\nweb,web01,2,1,UP,\n")
	}
	var strangers int
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { strangers++ }))
	t.Cleanup(other.Close)
	secure := httptest.NewTLSServer(http.HandlerFunc(table))
	t.Cleanup(secure.Close)
	elsewhere := ""
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/here;csv":
			http.Redirect(w, r, "/new;csv", http.StatusMovedPermanently)
		case "/there;csv":
			http.Redirect(w, r, elsewhere, http.StatusFound)
		case "/loop;csv":
			http.Redirect(w, r, "/loop;csv", http.StatusFound)
		default:
			table(w, r)
		}
	})
	plain := httptest.NewServer(handler)
	t.Cleanup(plain.Close)
	back := httptest.NewTLSServer(handler)
	t.Cleanup(back.Close)
	at := func(server *httptest.Server, path string) *haproxypage.Page {
		p := page(t, strings.Replace(server.URL, "://", "://ops:secret@", 1)+path)
		p.Insecure = true
		return p
	}

	all, err := rows(t, at(plain, "/here"))
	require.NoError(t, err)
	require.Equal(t, []string{"web/web01 UP"}, all)

	elsewhere = secure.URL + "/stats;csv" // the same host, and from now on encrypted
	_, err = rows(t, at(plain, "/there"))
	require.NoError(t, err)

	elsewhere = plain.URL + "/stats;csv"
	_, err = rows(t, at(back, "/there"))
	require.ErrorContains(t, err, "which is not encrypted")

	elsewhere = other.URL + "/stats;csv"
	_, err = rows(t, at(plain, "/there"))
	require.ErrorContains(t, err, `refused: redirected to `+elsewhere+`, which is another port`)

	elsewhere = strings.Replace(other.URL, "127.0.0.1", "localhost", 1)
	_, err = rows(t, at(plain, "/there"))
	require.ErrorContains(t, err, "which is another host")

	_, err = rows(t, at(plain, "/loop"))
	require.ErrorContains(t, err, "one redirect too many")
	require.Zero(t, strangers)
}
