package main

import (
	"fmt"
	"strings"
	"time"
)

// The names of the house. HAProxy calls the programs by the same names as
// supervisord does, in the backend app.
var (
	lbNames = []string{"lb1", "lb2"}
	servers = []string{"web1", "web2", "web3", "web4"}
)

// slowStarter is the server that needs a while before it can answer.
const slowStarter = "web2"

const linger = 300 * time.Millisecond

// haproxyConfig is the configuration of one load balancer. Its frontend is
// file descriptor 3: the demo listens and hands the socket over, so that no
// port can be taken and none is fixed.
func haproxyConfig(dir, name string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `global
    nbthread 2
    maxconn 400
    stats socket unix@%[1]s/%[2]s.sock mode 600 level admin

defaults
    mode http
    timeout connect 2s
    timeout client 10s
    timeout server 10s
    timeout check 1s
    # Who cannot be connected to is not tried again: the next server is.
    retries 3
    option redispatch 1

frontend web
    bind fd@3
    stats enable
    stats uri /stats
    stats refresh 1s
    default_backend app

backend app
    balance roundrobin
    option httpchk GET /
    default-server check inter 500ms fall 3 rise 2
`, dir, name)
	for _, s := range servers {
		fmt.Fprintf(&b, "    server %[2]s unix@%[1]s/%[2]s.sock\n", dir, s)
	}
	return b.String()
}

// supervisordConfig is the configuration of supervisord: four programs that
// know nothing about load balancers, and the listener that does.
func supervisordConfig(dir string, root bool, delay time.Duration) string {
	var b strings.Builder
	user := ""
	if root { // without it supervisord warns that it was not told to be root
		user = "user=root\n"
	}
	// Everything goes to stdout, which is a file of ours, and nothing is rotated.
	fmt.Fprintf(&b, `[supervisord]
nodaemon=true
%[2]slogfile=/dev/null
logfile_maxbytes=0
pidfile=%[1]s/supervisord.pid
childlogdir=%[1]s

[unix_http_server]
file=%[1]s/sv.sock
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl=unix://%[1]s/sv.sock
`, dir, user)

	for _, s := range servers {
		wait := time.Duration(0)
		if s == slowStarter {
			wait = delay
		}
		fmt.Fprintf(&b, `
[program:%[2]s]
command=%[1]s/demo app -name %[2]s -socket %[1]s/%[2]s.sock -delay %[3]s -linger %[4]s
stopsignal=TERM
stopwaitsecs=10
startsecs=1
autorestart=true
redirect_stderr=true
stdout_logfile=%[1]s/%[2]s.log
`, dir, s, wait, linger)
	}

	fmt.Fprintf(&b, `
[eventlistener:haproxy]
command=%[1]s/supervisor-haproxy listen`, dir)
	for _, lb := range lbNames {
		fmt.Fprintf(&b, " --member unix://%s/%s.sock", dir, lb)
	}
	for _, s := range servers {
		fmt.Fprintf(&b, " %[1]s:app/%[1]s", s)
	}
	fmt.Fprintf(&b, `
environment=SUPERVISOR_HAPROXY_STATE_FILE="%[1]s/listener.state"
events=PROCESS_STATE
buffer_size=1024
priority=-5
autorestart=true
startretries=1000
stdout_logfile=NONE
stderr_logfile=%[1]s/listener.log
`, dir)
	return b.String()
}
