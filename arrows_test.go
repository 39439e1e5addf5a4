package arrows_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"os"

	"github.com/stretchr/testify/require"
)

const module = "github.com/supervisor-haproxy/supervisor-haproxy"

// arrows holds ARCHITECTURE.md's map: which of our packages a package may
// import, each with its reason. Test helpers are for _test.go files.
var arrows = map[string][]string{
	"haproxysock": {},                           // floor 1: the words and the socket know nobody
	"cluster":     {"haproxysock"},              // many members, each behind a socket
	"haproxypage": {"haproxysock"},              // a page is asked and told in the words of the socket
	"reconcile":   {"cluster", "haproxysock"},   // wishes in the words of the socket, carried out through members
	"listener":    {"reconcile", "haproxysock"}, // events become wishes; only reconcile tells members
	"cmd/supervisor-haproxy": { // wires all of them
		"listener", "reconcile", "cluster", "haproxypage", "haproxysock",
	},
	"demo": {"haproxysock"}, // drives the program from outside, as its users do, and looks at HAProxy

	"haproxysock/haproxytest": {"haproxysock"},
	"listener/listenertest":   {"haproxysock/haproxytest"},
}

// testHelpers may be imported by tests, and by other helpers.
var testHelpers = []string{"haproxysock/haproxytest", "listener/listenertest"}

// forbidden are imports that a floor does not get, with the reason.
var forbidden = map[string]string{
	"os/signal": "signals are cmd's",
	"flag":      "flags are cmd's",
	"log":       "loggers are handed in",
}

func TestImportsFollowTheMap(t *testing.T) {
	checked := map[string]bool{}
	require.NoError(t, fs.WalkDir(os.DirFS("."), ".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && file != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(file, ".go") {
			return nil
		}
		pkg := path.Dir(file)
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		require.NoError(t, err)
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			require.NoError(t, err)
			checkImport(t, file, pkg, imported)
		}
		checked[pkg] = true
		return nil
	}))
	for pkg := range arrows {
		require.True(t, checked[pkg], "%s stands in the map and not in the tree", pkg)
	}
}

func checkImport(t *testing.T, file, pkg, imported string) {
	t.Helper()
	isTest := strings.HasSuffix(file, "_test.go")
	if pkg == "." {
		return // this test
	}
	allowed, ok := arrows[pkg]
	require.True(t, ok, "%s: package %s does not stand in the map", file, pkg)

	ours, ok := strings.CutPrefix(imported, module+"/")
	switch {
	case !ok:
		reason, no := forbidden[imported]
		require.False(t, no && !isTest && !isMain(pkg), "%s imports %s: %s", file, imported, reason)
	case slices.Contains(testHelpers, ours):
		require.True(t, isTest || slices.Contains(testHelpers, pkg), "%s imports %s: only tests may", file, ours)
	case ours == pkg:
		require.True(t, isTest, "%s imports itself", file)
	case isTest:
		// A test may put a lower package between itself and a real HAProxy.
		require.True(t, below(ours, pkg), "%s imports %s, which is not below %s", file, ours, pkg)
	default:
		require.Contains(t, allowed, ours, "%s: the map has no arrow from %s to %s", file, pkg, ours)
	}
}

// isMain reports whether pkg is a program.
func isMain(pkg string) bool { return pkg == "demo" || strings.HasPrefix(pkg, "cmd/") }

// below reports whether the arrows lead from pkg down to other.
func below(other, pkg string) bool {
	for _, next := range arrows[pkg] {
		if next == other || below(other, next) {
			return true
		}
	}
	return false
}
