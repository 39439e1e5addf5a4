package haproxysock_test

import (
	"errors"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
)

const saved = `# pxname,svname,status,type,iid,sid,desc,
fe,FRONTEND,OPEN,0,2,0,"a, ""b""",
app,web1,UP 1/3,2,3,1,,
app,web2,no check,2,3,2,,
app,BACKEND,UP,1,3,0,,
app2,BACKEND,UP,1,4,0,,
`

func scanCSV(t *testing.T, text string, filters ...haproxysock.StatFilter) ([]string, error) {
	t.Helper()
	var rows []string
	err := haproxysock.ScanCSV(strings.NewReader(text), "lb.csv", filters, []string{"pxname", "svname", "desc", "nosuch"}, func(s *haproxysock.StatScanner) error {
		require.True(t, s.Has(0))
		require.False(t, s.Has(3))
		require.Empty(t, s.Text(3))
		rows = append(rows, s.Text(0)+"/"+s.Text(1)+s.Text(2))
		return nil
	})
	return rows, err
}

func TestScanCSVFiltersAsHAProxyDoes(t *testing.T) {
	all := []string{`fe/FRONTENDa, "b"`, "app/web1", "app/web2", "app/BACKEND", "app2/BACKEND"}
	for name, text := range map[string]string{
		"as a page sends it":     saved,
		"as a socket sends it":   saved + "\n",
		"as Windows saves it":    strings.ReplaceAll(saved, "\n", "\r\n"),
		"with something behind":  saved + "\n# pxname,svname,\nother,FRONTEND,\n",
		"the last line unbroken": saved[:len(saved)-1],
	} {
		rows, err := scanCSV(t, text)
		if strings.Contains(name, "unbroken") {
			require.ErrorContains(t, err, "cut off", name)
			continue
		}
		require.NoError(t, err, name)
		require.Equal(t, all, rows, name)
	}
	rows, err := scanCSV(t, saved, haproxysock.StatFilter{Proxy: "app", Kinds: haproxysock.Servers}, haproxysock.StatFilter{Kinds: haproxysock.Frontends})
	require.NoError(t, err)
	require.Equal(t, all[:3], rows)
	rows, err = scanCSV(t, saved, haproxysock.StatFilter{Proxy: "app", Server: 2})
	require.NoError(t, err)
	require.Equal(t, []string{"app/web2"}, rows)
}

func TestScanCSVErrors(t *testing.T) {
	_, err := scanCSV(t, saved, haproxysock.StatFilter{Proxy: "ap"})
	require.ErrorIs(t, err, haproxysock.ErrNoBackend)
	require.ErrorContains(t, err, "lb.csv")
	for text, want := range map[string]string{
		"":                                   "which begin with # pxname",
		"<html>\n<body>Sign in</body>\n":     "which begin with # pxname",
		"# pxname,svname,status,\na,b,UP,\n": "a column type",
		"# pxname,svname,type,sid,\na,b,\n":  "a row of 4 columns",
	} {
		_, err := scanCSV(t, text)
		var garbled *haproxysock.ProtocolError
		require.ErrorAs(t, err, &garbled, text)
		require.ErrorContains(t, err, want, text)
	}
	broken := errors.New("broken")
	err = haproxysock.ScanCSV(iotest.ErrReader(broken), "lb.csv", nil, nil, nil)
	require.Equal(t, broken, err)
}
