package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// startApp runs an app until stop is called, and returns a client for it.
func startApp(t *testing.T, a *app) (client *http.Client, stop func(), ended chan error) {
	dir, err := makeDir() // short, unlike t.TempDir
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	a.Socket = filepath.Join(dir, "s")
	require.NoError(t, os.WriteFile(a.Socket, nil, 0o600), "left behind by a predecessor")
	ctx, stop := context.WithCancel(t.Context())
	ended = make(chan error, 1)
	go func() { ended <- a.run(ctx) }()
	t.Cleanup(stop)
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", a.Socket)
		},
	}}, stop, ended
}

func get(c *http.Client, path string) (int, string, error) {
	resp, err := c.Get("http://app" + path)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, strings.TrimSpace(string(body)), err
}

func TestAppAnswers(t *testing.T) {
	client, stop, ended := startApp(t, &app{Name: "web1"})
	require.Eventually(t, func() bool { _, _, err := get(client, "/"); return err == nil }, 5*time.Second, 5*time.Millisecond)
	code, body, err := get(client, "/")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, "web1", body)
	code, _, err = get(client, "/other")
	require.NoError(t, err)
	require.Equal(t, http.StatusNotFound, code)
	stop()
	require.NoError(t, <-ended)
}

// Told to end, it takes new requests for a while, and finishes what it has.
func TestAppDrainsItself(t *testing.T) {
	client, stop, ended := startApp(t, &app{Name: "web1", Linger: 200 * time.Millisecond})
	require.Eventually(t, func() bool { _, _, err := get(client, "/"); return err == nil }, 5*time.Second, 5*time.Millisecond)
	stop()
	told := time.Now()
	_, body, err := get(client, "/")
	require.NoError(t, err)
	require.Equal(t, "web1", body)
	require.NoError(t, <-ended)
	require.GreaterOrEqual(t, time.Since(told), 200*time.Millisecond)
	_, _, err = get(client, "/")
	require.Error(t, err)
}

func TestAppEndsBeforeItServes(t *testing.T) {
	client, stop, ended := startApp(t, &app{Name: "web2", Delay: time.Hour})
	_, _, err := get(client, "/")
	require.Error(t, err)
	stop()
	require.NoError(t, <-ended)
}
