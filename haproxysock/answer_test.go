package haproxysock_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock/haproxytest"
)

const (
	statReply  = "# pxname,svname,type,sid,status,tracked,scur,qcur,\nweb,web01,2,1,UP,,0,0,\n"
	stateReply = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state\n3 web 1 web01 127.0.0.1 2 0\n"
	infoReply  = "Name: HAProxy\nVersion: 2.6.12\nNbproc: 1\nPid: 42\nUptime_sec: 7\nStart_time_sec: 1700000000\nStopping: 0\n"
	connReply  = "# bkname/svname bkid/svid addr port - purge_delay used_cur\nweb/web01 3/1 127.0.0.1 80 - 5000 4\n"
)

var web01 = haproxysock.ServerName{Backend: "web", Server: "web01"}

// asks are calls of every kind, with a reply that is right.
var asks = map[string]struct {
	reply string
	ask   func(context.Context, *haproxysock.Client) error
}{
	"text": {"admin\n", func(ctx context.Context, c *haproxysock.Client) error { _, err := c.Level(ctx); return err }},
	"yes": {"", func(ctx context.Context, c *haproxysock.Client) error {
		return c.SetServerState(ctx, web01, haproxysock.Drain)
	}},
	"stats": {statReply, func(ctx context.Context, c *haproxysock.Client) error {
		_, err := c.Stats(ctx, haproxysock.StatFilter{})
		return err
	}},
	"scan": {statReply, func(ctx context.Context, c *haproxysock.Client) error {
		return c.ScanStats(ctx, nil, []string{"status"}, func(*haproxysock.StatScanner) error { return nil })
	}},
	"states": {stateReply, func(ctx context.Context, c *haproxysock.Client) error { _, err := c.ServerStates(ctx, ""); return err }},
	"conns":  {connReply, func(ctx context.Context, c *haproxysock.Client) error { _, err := c.ServerConns(ctx, ""); return err }},
	"info":   {infoReply, func(ctx context.Context, c *haproxysock.Client) error { _, err := c.Info(ctx); return err }},
	"version": {"2.6.12\n", func(ctx context.Context, c *haproxysock.Client) error {
		_, err := c.Version(ctx)
		return err
	}},
	"addr": {"IP changed from '127.0.0.2' to '127.0.0.1'\n\n" + stateReply, func(ctx context.Context, c *haproxysock.Client) error {
		return c.SetServerAddr(ctx, web01, netip.MustParseAddr("127.0.0.1"), 0)
	}},
	"apply": {"\n" + statReply + "\n" + infoReply, func(ctx context.Context, c *haproxysock.Client) error {
		sights, process, err := c.Apply(ctx, []haproxysock.Change{{Server: web01, ID: 1, To: haproxysock.ToReady}})
		if err == nil && (len(sights) != 1 || !sights[0].Found || process.Pid != 42) {
			panic("sights or process missing")
		}
		return err
	}},
}

// Whatever the call, a reply is an answer only up to its empty line.
func TestReplies(t *testing.T) {
	for name, test := range asks {
		t.Run(name, func(t *testing.T) {
			whole := test.reply + "\n"
			ask := func(t *testing.T, p *peer) error {
				t.Helper()
				return test.ask(t.Context(), p.client)
			}
			garbled := func(t *testing.T, text, want string) {
				t.Helper()
				p := says(t, text)
				err := ask(t, p)
				var protocol *haproxysock.ProtocolError
				require.ErrorAs(t, err, &protocol, "%q", text)
				require.Equal(t, p.client.Addr.String(), protocol.Addr)
				require.NotEmpty(t, protocol.Command)
				require.Contains(t, p.heard()[0], protocol.Command)
				require.Contains(t, err.Error(), want)
				require.LessOrEqual(t, len(err.Error()), 700)
			}
			t.Run("whole", func(t *testing.T) { require.NoError(t, ask(t, says(t, whole))) })
			t.Run("byte by byte", func(t *testing.T) {
				require.NoError(t, ask(t, newPeer(t, func(conn *net.UnixConn, _ string) {
					for i := range len(whole) {
						conn.Write([]byte{whole[i]})
					}
				})))
			})
			t.Run("half closed", func(t *testing.T) { // our side is still open, and must not be waited for
				require.NoError(t, ask(t, newPeer(t, func(conn *net.UnixConn, _ string) {
					conn.Write([]byte(whole))
					conn.CloseWrite()
					conn.Read(make([]byte, 1))
				})))
			})
			t.Run("CRLF", func(t *testing.T) {
				require.NoError(t, ask(t, says(t, strings.ReplaceAll(whole, "\n", "\r\n"))))
			})
			t.Run("nothing", func(t *testing.T) { garbled(t, "", "answered with nothing, want a reply that ends in an empty line") })
			t.Run("cut behind each line", func(t *testing.T) {
				for i := range len(whole) - 1 {
					if whole[i] == '\n' {
						garbled(t, whole[:i+1], "this one was cut off")
					}
				}
			})
			t.Run("cut in a line", func(t *testing.T) {
				if len(test.reply) > 10 {
					garbled(t, test.reply[:len(test.reply)-5], "this one was cut off")
				}
			})
			t.Run("one reply more", func(t *testing.T) { garbled(t, whole+"\n", "want no more than the replies asked for") })
			t.Run("no line break for ever", func(t *testing.T) {
				err := ask(t, newPeer(t, func(conn *net.UnixConn, _ string) {
					for err := error(nil); err == nil; {
						_, err = conn.Write(make([]byte, 1<<16))
					}
				}))
				require.ErrorContains(t, err, "want lines of at most 1 MiB")
			})
			t.Run("HTTP", func(t *testing.T) {
				server := httptest.NewServer(http.NotFoundHandler())
				defer server.Close()
				c := &haproxysock.Client{Addr: haproxytest.Addr(t, server.Listener.Addr().String())}
				var protocol *haproxysock.ProtocolError
				err := test.ask(t.Context(), c)
				require.ErrorAs(t, err, &protocol)
				require.Contains(t, protocol.Got, "HTTP/1.1 400 Bad Request")
			})
		})
	}
}

func TestATextForEver(t *testing.T) {
	p := newPeer(t, func(conn *net.UnixConn, _ string) {
		for err := error(nil); err == nil; {
			_, err = conn.Write([]byte(strings.Repeat("usage\n", 1000)))
		}
	})
	_, err := p.client.Level(t.Context())
	require.ErrorContains(t, err, `"show cli level" answered with "usage\nusage\n`)
	require.ErrorContains(t, err, "want a message of at most 1 MiB")
}

func TestARowLongerThanTheBuffer(t *testing.T) {
	long := strings.Repeat("long,", 100_000)
	p := says(t, "# pxname,svname,status,\nweb,a,UP,"+long+"\nweb,b,DOWN,\nweb,\"c\",UP,"+long+"\n\n")
	var seen []string
	err := p.client.ScanStats(t.Context(), nil, []string{"svname", "status"}, func(s *haproxysock.StatScanner) error {
		seen = append(seen, s.Text(0)+" "+s.Text(1))
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, []string{"a UP", "b DOWN", "c UP"}, seen)
}

func TestAnErrorOfTheCallerEndsTheScan(t *testing.T) {
	enough := context.Canceled
	p := says(t, "# pxname,svname,\n"+strings.Repeat("web,a,\n", 5)+"\n")
	rows := 0
	err := p.client.ScanStats(t.Context(), nil, nil, func(*haproxysock.StatScanner) error {
		rows++
		return enough
	})
	require.Equal(t, enough, err)
	require.Equal(t, 1, rows)
	p = says(t, stateReply+"\n")
	require.Equal(t, enough, p.client.ScanServerStates(t.Context(), "", func(*haproxysock.ServerState) error { return enough }))
}

// A table that cannot be trusted must not tell of a server that is ready.
func TestServerStatesAreStrict(t *testing.T) {
	for _, test := range []struct{ from, to, want string }{
		{" srv_admin_state", "", "want a column srv_admin_state"},
		{"srv_op_state", "other", "want a column srv_op_state"},
		{"be_name", "other", "want a column be_name"},
		{" 2 0\n", " 2 x\n", "want numbers in srv_op_state and srv_admin_state"},
		{" 2 0\n", " - 0\n", "want numbers in srv_op_state and srv_admin_state"},
		{" 2 0\n", " 2\n", "want 7 columns"},
	} {
		p := says(t, strings.Replace(stateReply, test.from, test.to, 1)+"\n")
		_, err := p.client.ServerStates(t.Context(), "")
		require.ErrorContains(t, err, test.want)
	}
	p := says(t, strings.Replace(strings.Replace(stateReply, "_state\n", "_state new\n", 1), " 0\n", " 9 x\n", 1)+"\n")
	states, err := p.client.ServerStates(t.Context(), "")
	require.NoError(t, err)
	require.Equal(t, []haproxysock.ServerState{{Name: web01, ID: 1, Addr: "127.0.0.1", Op: haproxysock.OpRunning, Admin: 9}}, states)
}

// Before 3.0, the empty line behind these replies is missing; 2.4 and 2.5 want to
// be put into experimental mode.
func TestAddAndDelServerOfOldVersions(t *testing.T) {
	for name, dialog := range map[string]map[string]string{
		"2.4": {
			"add server web/web01 127.0.0.1:80 check":                      "This command is restricted to experimental mode only.\n\n",
			"del server web/web01":                                         "This command is restricted to experimental mode only.\n\n",
			"experimental-mode on;add server web/web01 127.0.0.1:80 check": "\nNew server registered.\n",
			"experimental-mode on;del server web/web01":                    "\nServer deleted.\n",
		},
		"2.6": {
			"add server web/web01 127.0.0.1:80 check": "New server registered.\n\n",
			"del server web/web01":                    "Server deleted.\n",
		},
		"3.0": {
			"add server web/web01 127.0.0.1:80 check": "a warning\nNew server registered.\n\n",
			"del server web/web01":                    "Server deleted.\n\n",
		},
		"severity": {
			"add server web/web01 127.0.0.1:80 check": "[5]: a warning\n[6]: New server registered.\n\n",
			"del server web/web01":                    "[info]: Server deleted.\n\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPeer(t, func(conn *net.UnixConn, line string) {
				reply, ok := dialog[strings.TrimSuffix(line, "\n")]
				if !ok {
					reply = "# pxname,svname,type,\nweb,BACKEND,1,\n\n"
				}
				conn.Write([]byte(reply))
			})
			require.NoError(t, p.client.AddServer(t.Context(), web01, netip.MustParseAddrPort("127.0.0.1:80"), "check"))
			require.NoError(t, p.client.DelServer(t.Context(), web01))
			require.Equal(t, "show stat web 2 -1", p.heard()[0])
		})
	}
	for reply, want := range map[string]string{
		"No such server.\n": "refused: No such server.",
		"\n[3]: Only servers in maintenance mode can be deleted.\n": "refused: Only servers in maintenance mode can be deleted.",
		"This command is restricted to experimental mode only.\n\n": "refused: This command is restricted to experimental mode only.",
		"HTTP/1.1 400 Bad Request\r\n\r\n":                          `answered with "HTTP/1.1 400 Bad Request\r", want HAProxy's Runtime API`,
		"Server del":                                                "want a reply that ends in a line break; this one was cut off",
		"":                                                          "answered with nothing, want a reply that ends in a line break",
		strings.Repeat("x\n", 1<<20):                                "want a message of at most 1 MiB",
	} {
		p := says(t, reply)
		require.ErrorContains(t, p.client.DelServer(t.Context(), web01), want)
	}
}

func TestSeverityPrefixes(t *testing.T) {
	for in, want := range map[string]string{
		"[3]: No such server.": "No such server.", "[err]: No such server.": "No such server.", "[debug]: x": "x", "[0]: [1]: x": "[1]: x",
		"No such server.": "No such server.", "[8]: x": "[8]: x", "[]: x": "[]: x", "[::1]: x": "[::1]: x", "a [3]: x": "a [3]: x", "": "",
	} {
		require.Equal(t, want, haproxysock.CutSeverity(in))
	}
}

func TestVersionBeforeShowVersion(t *testing.T) {
	p := newPeer(t, func(conn *net.UnixConn, line string) {
		if line == "show info\n" {
			conn.Write([]byte(infoReply + "\n"))
			return
		}
		conn.Write([]byte("Unknown command, but maybe one of the following ones is a better match:\n  show info\n\n"))
	})
	version, err := p.client.Version(t.Context())
	require.NoError(t, err)
	require.Equal(t, "2.6.12", version)
}

func FuzzAnswer(f *testing.F) {
	for _, test := range asks {
		f.Add("tycsil", "\n\n"+test.reply+"\n"+stateReply+"\n"+infoReply+"\nServer deleted.\n")
	}
	f.Fuzz(func(t *testing.T, kinds, text string) {
		if kinds == "" {
			return
		}
		n, err := haproxysock.ReadAnswer(strings.NewReader(text), kinds)
		m, slowErr := haproxysock.ReadAnswer(iotest.OneByteReader(strings.NewReader(text)), kinds)
		require.Equal(t, n, m)
		require.Equal(t, err == nil, slowErr == nil, "%v\n%v", err, slowErr)
	})
}
