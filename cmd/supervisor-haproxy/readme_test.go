package main

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock/haproxytest"
)

// readme gives the shell blocks of a section of the README.
func readme(t *testing.T, section string) (blocks []string) {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	_, part, ok := strings.Cut(string(text), "\n## "+section+"\n")
	require.True(t, ok, section)
	part, _, _ = strings.Cut(part, "\n## ")
	for _, m := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(part, -1) {
		blocks = append(blocks, m[1])
	}
	return blocks
}

const askingSection = "Ask all HAProxys at once"

// myapp is three servers behind a HAProxy, which checks them.
func myapp(apps []*webApp, each string) string {
	config := `
frontend fe
  bind unix@{dir}/fe.sock
  default_backend myapp
frontend page
  bind unix@{dir}/page.sock
  stats enable
  stats uri /stats
  stats auth user:password
backend myapp
  balance roundrobin
  timeout queue 30s
`
	for i, a := range apps {
		config += fmt.Sprintf("  server myserver%02d %s check inter 20ms rise 2 %s\n", i+1, a.Addr, each)
	}
	return config
}

func threeApps(t *testing.T, answers time.Duration) (apps []*webApp) {
	for range 3 {
		apps = append(apps, startWebApp(t, answers))
	}
	return apps
}

// in runs a script with /bin/sh.
func in(script string, env ...string) (stdout, stderr string, code int) {
	cmd := exec.Command("sh", "-c", script)
	cmd.Env = append(os.Environ(), env...)
	var out, err bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &err
	cmd.Run()
	return out.String(), err.String(), cmd.ProcessState.ExitCode()
}

// Each command line of the README is run against two HAProxys under load: an
// admin socket, and a statistics page with a password.
func TestREADMEsQuestionsAreAnswered(t *testing.T) {
	t.Parallel()
	want := map[string]string{ // the command's beginning → its output
		`query 'all(members, .myapp.survives(2))'`:                `^true\n$`,
		`query 'all(members, .survives_without("myserver01"))'`:   `^true\n$`,
		`query 'sum(members, .scur)'`:                             `^[1-9]\d*\n$`,
		`watch 'sum(members, .myapp.rate)'`:                       `^\S+T\S+ [1-9]\d*\n\S+ [1-9]\d*\n$`,
		`query 'sum(members, .myapp.qcur)'`:                       `^[1-9]\d*\n$`,
		`query -o table 'map(members, [.address, .myapp.server("`: `^unix://\S+ +\d+\nhttp://\S+ +\d+\n$`,
		`status`:                                `(?m)^  myapp/myserver03 +UP +ready +\d+ +1 +UP +ready +\d+ +1$`,
		`check 'myapp.in_rotation' -w 3: -c 2:`: `^HAPROXY OK: .* \| 'unix://\S+'=3;3:;2: 'http://\S+'=3;3:;2:\n$`,
		`wait --timeout 300s 'myapp.rolling_restartable()'`:          `^$`,
		`query 'all(members, .myapp.rolling_restartable())' $load_b`: `^true\n$`,
	}
	apps := threeApps(t, 20*time.Millisecond)
	lb1, lb2 := haproxytest.Start(t, myapp(apps, "maxconn 1")), haproxytest.Start(t, myapp(apps, "maxconn 1"))
	page := "http://user:password@" + haproxytest.Forward(t, lb2.Dir+"/page.sock") + "/stats"
	load := startTraffic(t, 12, lb1, lb2)
	haproxytest.Eventually(t, "both have had a second's traffic", func() error {
		out, _, _ := in(`supervisor-haproxy query 'min(map(members, .myapp.rate)) > 0 && min(map(members, .myapp.qcur)) > 0' `+lb1.Unix.String()+" "+page, "SUPERVISOR_HAPROXY_TIMEOUT=5s")
		if out != "true\n" {
			return fmt.Errorf("%s", out)
		}
		return nil
	})

	seen := map[string]bool{}
	for _, block := range readme(t, askingSection) {
		if strings.HasPrefix(block, "#!") {
			continue
		}
		for line := range strings.Lines(block) {
			args, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "supervisor-haproxy ")
			if !ok {
				continue
			}
			pattern := ""
			for begins, p := range want {
				if strings.HasPrefix(args, begins) {
					pattern, seen[begins] = p, true
				}
			}
			require.NotEmpty(t, pattern, "what is this to print? %s", line)
			out, errors, code := in(line,
				"SUPERVISOR_HAPROXY_MEMBERS="+lb1.Unix.String()+","+page,
				"load_balancers="+lb1.Unix.String()+" "+page,
				"SUPERVISOR_HAPROXY_COUNT=2", "SUPERVISOR_HAPROXY_INTERVAL=20ms")
			require.Equal(t, 0, code, line+out+errors)
			require.Regexp(t, pattern, out, line+errors)
			require.NotContains(t, out+errors, "password")
		}
	}
	require.Len(t, seen, len(want), "the README has lost a command")
	require.Empty(t, load.finish())
}

// The README's deploy script, under load: no request fails, though each app
// drops what it is answering when it is restarted.
func TestREADMEsDeployLosesNothing(t *testing.T) {
	t.Parallel()
	apps := threeApps(t, 20*time.Millisecond)
	lb1, lb2 := haproxytest.Start(t, myapp(apps, "")), haproxytest.Start(t, myapp(apps, ""))
	blocks := readme(t, askingSection)
	script := blocks[len(blocks)-1]
	require.True(t, strings.HasPrefix(script, "#!/bin/sh\n"), script)
	require.Contains(t, script, "supervisor-haproxy wait")
	script = strings.Replace(script, "unix:///run/haproxy/admin.sock,tcp://10.0.0.2:8800", lb1.Unix.String()+","+lb2.TCP.String(), 1)

	load := startTraffic(t, 10, lb1, lb2)
	load.flows(t, 100)
	out, errors, code := in(script, "PATH="+sshDir(t, apps)+":"+os.Getenv("PATH"), "SUPERVISOR_HAPROXY_INTERVAL=20ms")
	require.Equal(t, 0, code, out+errors)
	load.flows(t, 100)
	require.Empty(t, load.finish(), "requests that failed, of %d", load.sent.Load())
	for i, a := range apps {
		require.Equal(t, 2, a.Runs(), "myserver%02d was restarted", i+1)
	}
}

// sshDir holds an ssh that knows one command, which restarts an app of ours.
func sshDir(t *testing.T, apps []*webApp) string {
	t.Helper()
	dir := haproxytest.ShortDir(t)
	l, err := net.Listen("unix", dir+"/deploy.sock")
	require.NoError(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for i, a := range apps {
			if r.URL.Path == fmt.Sprintf("/myserver%02d/deploy-myapp", i+1) {
				if err := a.Restart(); err != nil {
					http.Error(w, err.Error(), http.StatusInternalServerError)
				}
				return
			}
		}
		http.NotFound(w, r)
	})}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	bin, err := exec.LookPath("deploy-over-ssh")
	require.NoError(t, err)
	text := "#!/bin/sh\nexec " + bin + " " + dir + "/deploy.sock \"$@\"\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "ssh"), []byte(text), 0o700))
	return dir
}

// deployOverSSH is what ssh does in these tests: it asks SOCKET for HOST/COMMAND.
func deployOverSSH() {
	client := &http.Client{Transport: unixTransport(os.Args[1])}
	resp, err := client.Get("http://ssh/" + strings.Join(os.Args[2:], "/"))
	if err != nil || resp.StatusCode != http.StatusOK {
		fmt.Fprintln(os.Stderr, "ssh: ", err, resp)
		os.Exit(255)
	}
}
