// Supervisor-haproxy keeps HAProxy's servers in step with the programs that
// supervisord runs behind them.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
)

// version is set by the linker for a release.
var version = ""

// common are the flags of every command.
type common struct {
	LogFormat string           `enum:"text,json" default:"text" help:"How log lines on stderr look: ${enum}."`
	LogLevel  slog.Level       `default:"info" help:"What is logged: debug, info, warn or error."`
	Version   kong.VersionFlag `short:"V" env:"-" help:"Show the version."`
}

// listening is the default command. Where the command line is certainly one of
// it, the model of all the others, a millisecond's work, is not built: the first
// READY does not wait for it.
type listening struct {
	common
	Listen listenCmd `cmd:"" default:"withargs" help:"Be a supervisord event listener: take servers out of rotation and put them back as their programs stop and start."`
}

type cli struct {
	listening
	Query  queryCmd  `cmd:"" help:"Ask all HAProxys at once, and print the answer."`
	Watch  watchCmd  `cmd:"" help:"Ask again and again, a line a time."`
	Wait   waitCmd   `cmd:"" help:"Wait until a condition holds on every HAProxy."`
	Check  checkCmd  `cmd:"" help:"Be a plugin of Nagios, Icinga and their like."`
	Status statusCmd `cmd:"" help:"Show every server on every HAProxy, and where they differ."`
	Drain  drainCmd  `cmd:"" help:"Let servers finish what they have, on every HAProxy."`
	Ready  readyCmd  `cmd:"" help:"Put servers back into rotation, on every HAProxy."`
	Maint  maintCmd  `cmd:"" help:"Take servers out of rotation, on every HAProxy."`
}

// isListening tells a command line of listen by its first word: no other
// command's name has what every address and mapping has.
func isListening(args []string) bool {
	return len(args) > 0 && (args[0] == "listen" || strings.ContainsAny(args[0], ":/@"))
}

func main() {
	var c cli
	var model any = &c
	if isListening(os.Args[1:]) {
		model = &c.listening
	}
	forgetEmptyEnvironment()
	k := kong.Must(model,
		kong.Name("supervisor-haproxy"),
		kong.WithHyphenPrefixedParameters(true), // -c -5:5
		kong.Description("Keeps HAProxy's servers in step with the programs that supervisord runs behind them.\n\n"+
			"Each flag can be set by the environment too: SUPERVISOR_HAPROXY_ and its name in capitals."),
		kong.DefaultEnvars("SUPERVISOR_HAPROXY"),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Vars{"version": versionText()},
	)
	if isCheck(os.Args[1:]) {
		defer unknownIfPanics()
		k.Exit = func(int) { os.Exit(int(stateUnknown)) } // --help and --version, as the guidelines have it
	}
	parsed, err := k.Parse(os.Args[1:])
	if err != nil && strings.HasPrefix(err.Error(), "unexpected argument ") {
		err = fmt.Errorf("%w: arguments stand together, with no flag between them; members may also be named by -m", err)
	}
	if err != nil && isCheck(os.Args[1:]) {
		endCheck(pluginResult{state: stateUnknown, text: briefly(err)})
	}
	if err != nil {
		k.Errorf("%s", hidePasswords(err.Error()))
		os.Exit(exitUsage)
	}

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	context.AfterFunc(ctx, stop) // a second signal kills
	parsed.BindTo(ctx, (*context.Context)(nil))
	parsed.Bind(c.logger())
	if err := parsed.Run(); err != nil {
		if text := err.Error(); text != "" {
			fmt.Fprintf(os.Stderr, "supervisor-haproxy: %s\n", hidePasswords(text))
		}
		os.Exit(exitCode(err))
	}
}

// forgetEmptyEnvironment makes a variable that is set to nothing, as buildout
// and compose files write it, the same as one that is not set.
func forgetEmptyEnvironment() {
	for _, pair := range os.Environ() {
		if name, value, _ := strings.Cut(pair, "="); value == "" && strings.HasPrefix(name, "SUPERVISOR_HAPROXY_") {
			os.Unsetenv(name)
		}
	}
}

// logger writes to stderr: stdout belongs to the event protocol.
func (c *common) logger() *slog.Logger {
	options := &slog.HandlerOptions{Level: c.LogLevel}
	if c.LogFormat == "json" {
		options.ReplaceAttr = durationsInSeconds
		return slog.New(slog.NewJSONHandler(os.Stderr, options))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, options))
}

// durationsInSeconds spares readers of JSON the nanoseconds.
func durationsInSeconds(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.Float64Value(a.Value.Duration().Seconds())
	}
	return a
}

func versionText() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
