package listener_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/supervisor-haproxy/supervisor-haproxy/listener"
)

// python and golang frame a body as the two supervisords do.
func python(name, body string) string { return frame(name, body, utf8.RuneCountInString(body)) }
func golang(name, body string) string { return frame(name, body, len(body)) }

func frame(name, body string, length int) string {
	return fmt.Sprintf("ver:3.0 server:supervisor serial:21 pool:listener poolserial:10 eventname:%s len:%d\n%s", name, length, body)
}

// A dialogue is supervisord's end as it is: an event comes when READY was said,
// at once and whole, and none before.
type dialogue struct {
	events  []string
	answers writeLog
	buffer  bytes.Buffer
}

func (d *dialogue) Read(p []byte) (int, error) { return d.buffer.Read(p) }

func (d *dialogue) Write(p []byte) (int, error) {
	if string(p) == "READY\n" && len(d.events) > 0 {
		d.buffer.WriteString(d.events[0])
		d.events = d.events[1:]
	}
	return d.answers.Write(p)
}

// A writeLog keeps each write apart.
type writeLog []string

func (w *writeLog) Write(p []byte) (int, error) {
	*w = append(*w, string(p))
	return len(p), nil
}

func TestConnReadsWhatBothSupervisordsSend(t *testing.T) {
	const stopping = "processname:web01 groupname:web from_state:RUNNING pid:25544"
	for name, test := range map[string]struct {
		events []string
		bodies []string
	}{
		"two events": {[]string{python("PROCESS_STATE_STOPPING", stopping), python("TICK_5", "when:1201063880")}, []string{stopping, "when:1201063880"}},
		"an empty body": {
			[]string{python("SUPERVISOR_STATE_CHANGE_RUNNING", ""), python("TICK_5", "when:5")}, []string{"", "when:5"}},
		"a body with line breaks": {
			[]string{python("REMOTE_COMMUNICATION", "type:x\nver:3.0 len:9\n\n"), python("TICK_5", "when:5")}, []string{"type:x\nver:3.0 len:9\n\n", "when:5"}},
		"length in characters": {
			[]string{python("PROCESS_STATE_RUNNING", "processname:café groupname:café from_state:STARTING pid:25544"), python("TICK_5", "when:5")}, []string{"processname:café groupname:café from_state:STARTING pid:25544", "when:5"}},
		"length in bytes": {
			[]string{golang("PROCESS_STATE_RUNNING", "processname:café groupname: from_state:Starting pid:25544"), golang("TICK_5", "when:5")}, []string{"processname:café groupname: from_state:Starting pid:25544", "when:5"}},
		"characters of four bytes at the end": {
			[]string{python("REMOTE_COMMUNICATION", "type:x\n🦀🦀🦀"), python("TICK_5", "when:5")}, []string{"type:x\n🦀🦀🦀", "when:5"}},
		"bytes that are no characters": {
			[]string{golang("PROCESS_LOG_STDOUT", "\xff\xfe\x80\x80"), golang("TICK_5", "when:5")}, []string{"\xff\xfe\x80\x80", "when:5"}},
		"a body as large as may be": {
			[]string{golang("PROCESS_LOG_STDOUT", strings.Repeat("x", listener.MaxBody)), golang("TICK_5", "when:5")}, []string{strings.Repeat("x", listener.MaxBody), "when:5"}},
		"a header with words of its own": {
			[]string{"ver:3.0 server:my host future:1 serial:3 pool:l poolserial:3 eventname:X len:2 more\nab"}, []string{"ab"}},
	} {
		t.Run(name, func(t *testing.T) {
			peer := &dialogue{events: test.events}
			c := listener.NewConn(peer, peer)
			var want writeLog
			for _, body := range test.bodies {
				event, err := c.Next()
				require.NoError(t, err)
				require.Equal(t, body, event.Body)
				require.NoError(t, c.Reply(listener.OK))
				want = append(want, "READY\n", "RESULT 2\nOK")
			}
			_, err := c.Next()
			require.Equal(t, io.EOF, err)
			require.Equal(t, append(want, "READY\n"), peer.answers, "one write a message")
		})
	}
}

func TestConnReadsHeaderFields(t *testing.T) {
	c := listener.NewConn(strings.NewReader(python("TICK_5", "when:5")), io.Discard)
	event, err := c.Next()
	require.NoError(t, err)
	require.Equal(t, &listener.Event{Name: "TICK_5", Server: "supervisor", Pool: "listener", Serial: 21, PoolSerial: 10, Body: "when:5"}, event)
}

// A body longer than what is buffered may go on behind it; the next header is
// found all the same.
func TestConnFindsTheNextHeaderBehindALongBodyInCharacters(t *testing.T) {
	long := strings.Repeat("€\n", 100_000)
	stream := python("PROCESS_LOG_STDOUT", long) + python("TICK_5", "when:5")
	c := listener.NewConn(iotest.OneByteReader(strings.NewReader(stream)), io.Discard)
	event, err := c.Next()
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(long, event.Body))
	require.NoError(t, c.Reply(listener.OK))
	event, err = c.Next()
	require.NoError(t, err)
	require.Equal(t, "TICK_5", event.Name)
	require.Equal(t, "when:5", event.Body)
}

func TestConnRefusesWhatMakesNoSense(t *testing.T) {
	const header = "ver:3.0 server:s serial:1 pool:p poolserial:1 eventname:X "
	for name, test := range map[string]struct{ stream, want string }{
		"no length":         {header + "\n", `want a header with "len:"`},
		"no event name":     {"ver:3.0 len:3\nabc", `want a header with "eventname:"`},
		"length no number":  {header + "len:abc\n", `want a number behind "len:"`},
		"negative length":   {header + "len:-1\n", `want a number behind "len:"`},
		"length overflows":  {header + "len:99999999999999999999\n", `want a number behind "len:"`},
		"length too large":  {header + "len:1048577\n", "want a body of at most 1048576 bytes"},
		"serial no number":  {"ver:3.0 serial:x eventname:X len:0\n", `want a number behind "serial:"`},
		"endless header":    {strings.Repeat("x", 1<<20), "want a header line of at most 4096 bytes"},
		"long header":       {header + strings.Repeat("x", 5000) + " len:0\n", "want a header line of at most 4096 bytes"},
		"an empty line":     {"\n", `want a header with "eventname:"`},
		"header cut off":    {header, "want a header line: unexpected EOF"},
		"body cut off":      {header + "len:10\nabc", "want a body of 10 bytes: unexpected EOF"},
		"no body at all":    {header + "len:10\n", "want a body of 10 bytes: unexpected EOF"},
		"something foreign": {"HTTP/1.1 400 Bad Request\r\n\r\n", `got "HTTP/1.1 400 Bad Request\r"`},
	} {
		t.Run(name, func(t *testing.T) {
			var answers writeLog
			c := listener.NewConn(strings.NewReader(test.stream), &answers)
			_, err := c.Next()
			var protocol *listener.ProtocolError
			require.ErrorAs(t, err, &protocol)
			require.ErrorContains(t, err, test.want)
			require.Less(t, len(err.Error()), 400, "an error is for people")

			_, again := c.Next()
			require.Equal(t, err, again, "our place in the stream is lost for good")
			require.Equal(t, writeLog{"READY\n"}, answers, "nothing is said any more")
		})
	}
}

func TestConnPassesOnTheStreamsErrors(t *testing.T) {
	broken := errors.New("broken")
	_, err := listener.NewConn(iotest.ErrReader(broken), io.Discard).Next()
	require.ErrorIs(t, err, broken)

	c := listener.NewConn(strings.NewReader(""), failingWriter{broken})
	_, err = c.Next()
	require.ErrorIs(t, err, broken)
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

func TestConnPanicsOutOfTurn(t *testing.T) {
	c := listener.NewConn(strings.NewReader(python("TICK_5", "when:5")), io.Discard)
	require.Panics(t, func() { c.Reply(listener.OK) })
	_, err := c.Next()
	require.NoError(t, err)
	require.Panics(t, func() { c.Next() })
}

func TestConnCanFail(t *testing.T) {
	var answers writeLog
	c := listener.NewConn(strings.NewReader(python("TICK_5", "when:5")), &answers)
	_, err := c.Next()
	require.NoError(t, err)
	require.NoError(t, c.Reply(listener.Fail))
	require.Equal(t, "RESULT 4\nFAIL", answers[1])
}

// Whatever comes, the reader ends, says READY once for each event, and gives no
// more than came.
func FuzzConn(f *testing.F) {
	f.Add([]byte(python("PROCESS_STATE_STOPPING", "processname:a groupname:a from_state:RUNNING pid:1") + python("TICK_5", "when:5")))
	f.Add([]byte(python("REMOTE_COMMUNICATION", "type:mytype\nhello\nwörld €")))
	f.Add([]byte(golang("PROCESS_STATE_RUNNING", "processname:é groupname: from_state:Starting pid:1")))
	f.Add([]byte("ver:3.0 eventname:X len:1048576\n"))
	f.Add([]byte("\n\n\n"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		var answers writeLog
		c := listener.NewConn(bufio.NewReader(bytes.NewReader(stream)), &answers)
		total := 0
		for events := 0; ; events++ {
			event, err := c.Next()
			require.Len(t, answers, 2*events+1)
			if err != nil {
				return
			}
			total += len(event.Body) + 1
			require.LessOrEqual(t, total, len(stream))
			event.ProcessState()
			require.NoError(t, c.Reply(listener.OK))
		}
	})
}

// The rest of a body in characters belongs to it, and the next event stays whole.
func FuzzConnCharacters(f *testing.F) {
	f.Add("type:x\nwörld €", "when:5")
	f.Add("", "€")
	f.Fuzz(func(t *testing.T, first, second string) {
		if !utf8.ValidString(first) || !utf8.ValidString(second) || len(first)+len(second) > 60_000 {
			t.Skip("supervisord sends UTF-8, and at once only what fits a pipe")
		}
		for _, framed := range []func(name, body string) string{python, golang} {
			peer := &dialogue{events: []string{framed("A", first), framed("B", second)}}
			c := listener.NewConn(peer, peer)
			for _, body := range []string{first, second} {
				event, err := c.Next()
				require.NoError(t, err)
				require.Equal(t, body, event.Body)
				require.NoError(t, c.Reply(listener.OK))
			}
		}
	})
}
