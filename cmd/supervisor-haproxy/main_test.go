package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock/haproxytest"
)

// In tests, supervisor-haproxy on $PATH is this very program.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"supervisor-haproxy": main, "deploy-over-ssh": deployOverSSH})
}

// What a user sees. $LB1 and $LB2 are two HAProxys, the second one over TCP.
func TestScripts(t *testing.T) {
	const config = `
frontend fe
  bind unix@{dir}/fe.sock
  default_backend web
backend web
  server web01 127.0.0.1:9
  server web02 127.0.0.1:9
`
	lb1, lb2 := haproxytest.Start(t, config), haproxytest.Start(t, config)
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("LB1", lb1.Unix.String())
			env.Setenv("LB2", lb2.TCP.String())
			env.Setenv("NOBODY", "unix://"+env.WorkDir+"/nobody.sock")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			// state SERVER STATE: both HAProxys show it.
			"state": func(ts *testscript.TestScript, neg bool, args []string) {
				for _, lb := range []*haproxytest.HAProxy{lb1, lb2} {
					if got := string(lb.State(args[0]).Admin.Asked()); (got == args[1]) == neg {
						ts.Fatalf("%s is %s on %s", args[0], got, lb.Unix)
					}
				}
			},
		},
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
	})
}
