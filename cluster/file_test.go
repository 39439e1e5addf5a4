package cluster_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/supervisor-haproxy/supervisor-haproxy/cluster"
	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
)

const savedTable = "# pxname,svname,status,type,sid,\nfe,FRONTEND,OPEN,0,0,\nweb,web01,UP,2,1,\nweb,web02,MAINT,2,2,\nweb,BACKEND,UP,1,0,\n"

func saved(t *testing.T, text string) cluster.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "lb1.csv")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return cluster.File{Path: path}
}

func scan(ctx context.Context, s cluster.Source, filters ...haproxysock.StatFilter) (names []string, err error) {
	err = s.ScanStats(ctx, filters, []string{"svname", "status"}, func(s *haproxysock.StatScanner) error {
		names = append(names, s.Text(0)+" "+s.Text(1))
		return nil
	})
	return names, err
}

// A saved table answers as the HAProxy did, whether the socket's empty line was
// saved with it or not, and with either line break.
func TestFile(t *testing.T) {
	for _, text := range []string{savedTable, savedTable + "\n"} {
		f := saved(t, text)
		require.Equal(t, f.Path, f.String())
		for range 2 {
			all, err := scan(t.Context(), f)
			require.NoError(t, err)
			require.Equal(t, []string{"FRONTEND OPEN", "web01 UP", "web02 MAINT", "BACKEND UP"}, all)
		}
		all, err := scan(t.Context(), f, haproxysock.StatFilter{Proxy: "web", Kinds: haproxysock.Servers, Server: 2})
		require.NoError(t, err)
		require.Equal(t, []string{"web02 MAINT"}, all)
		_, err = scan(t.Context(), f, haproxysock.StatFilter{Proxy: "none"})
		require.ErrorIs(t, err, haproxysock.ErrNoBackend)
	}
}

// What is not a whole table is an error that names the file.
func TestFileGarbled(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "no rows": "# pxname,svname,status,type,sid,\n", "cut": savedTable[:len(savedTable)-3], "HTML": "<html>\n",
	} {
		f := saved(t, text)
		_, err := scan(t.Context(), f)
		protocol := (*haproxysock.ProtocolError)(nil)
		require.ErrorAs(t, err, &protocol, name)
		require.Equal(t, f.Path, protocol.Addr)
	}
}

// A file that cannot be read is told at once, a pipe that nobody writes to as well.
func TestFileUnreadable(t *testing.T) {
	f := cluster.File{Path: filepath.Join(t.TempDir(), "none.csv")}
	_, err := scan(t.Context(), f)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.Equal(t, f.Path+": no such file or directory", err.Error())

	require.NoError(t, syscall.Mkfifo(f.Path, 0o600))
	_, err = scan(t.Context(), f)
	require.EqualError(t, err, f.Path+": it is not a regular file")

	_, err = scan(t.Context(), cluster.File{Path: t.TempDir()})
	require.ErrorContains(t, err, "it is not a regular file")

	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	cancel(enough)
	_, err = scan(ctx, saved(t, savedTable))
	require.ErrorIs(t, err, enough)
}
