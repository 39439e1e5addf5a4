package listener_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/supervisor-haproxy/supervisor-haproxy/listener"
)

func process(group, name string) listener.ProcessState {
	return listener.ProcessState{Group: group, Process: name}
}

func TestSpecMapsProcessesToServers(t *testing.T) {
	for _, test := range []struct {
		spec, group, process string
		server               string // empty: the spec is not about the process
	}{
		{"instance1:plone01/plone0101", "instance1", "instance1", "plone01/plone0101"},
		{"instance1:plone01/plone0101", "app", "instance1", "plone01/plone0101"},
		{"instance1:plone01/plone0101", "", "instance1", "plone01/plone0101"},
		{"instance1:plone01/plone0101", "instance1", "instance11", ""},
		{"web:be:8080/s:1", "web", "web", "be:8080/s:1"},
		{"we=ird:b/s", "g", "we=ird", "b/s"},
		{"app:web1=b/s1", "app", "web1", "b/s1"},
		{"app:web1=b/s1", "", "web1", "b/s1"},
		{"app:web1=b/s1", "other", "web1", ""},
		{"app:web1=b:1/s:1", "app", "web1", "b:1/s:1"},
		{"g:we=ird=b/s", "g", "we=ird", "b/s"},
		{"web1=b/s1", "any", "web1", "b/s1"},
		{"web:*=app/{name}", "web", "web_00", "app/web_00"},
		{"web:*=app/{name}", "api", "web_00", ""},
		{"web:web_*=app/srv{num}", "web", "web_07", "app/srv07"},
		{"web:web_*=app/srv{num}", "web", "worker_07", ""},
		{"web:*_*=app/{name}-{num}", "web", "a_b_12", "app/a_b_12-12"},
		{"w*:*=app/{name}", "web", "x1", "app/x1"},
		{"web_*:app/{name}", "web", "web_3", "app/web_3"},
		{"web:*=b{num}/{name}", "web", "x12", "b12/x12"},
		{"web:web9=app/s{num}", "web", "web9", "app/s9"},
	} {
		s, err := listener.ParseSpec(test.spec)
		require.NoError(t, err)
		require.Equal(t, test.spec, s.String())
		p := process(test.group, test.process)
		require.Equal(t, test.server != "", s.Matches(p), "%s and %s", test.spec, p.Program())
		if test.server != "" {
			server, err := s.Server(test.process)
			require.NoError(t, err)
			require.Equal(t, test.server, server.String())
		}
	}
}

func TestSpecErrorsQuoteTheSpecAndSayWhatIsWanted(t *testing.T) {
	for spec, want := range map[string]string{
		"":                      "want program:backend/server",
		"None":                  "collective.recipe.supervisor",
		"web":                   "want program:backend/server",
		"web:app":               "want program:backend/server",
		"web:app/":              "want program:backend/server",
		"web:/s":                "want program:backend/server",
		":app/s":                `no program can be called ""`,
		":web=app/s":            "the group is empty",
		"g:=app/s":              `no program can be called "g:"`,
		"a:b:c=app/s":           `no program can be called "a:b:c"`,
		"web:app/s/t":           `'/' cannot be in a name of HAProxy's`,
		"web:app/s;x":           `';' cannot be in a name of HAProxy's`,
		"web:app/s x":           `' ' cannot be in a name of HAProxy's`,
		"web:app/é":             `'é' cannot be in a name of HAProxy's`,
		"web:*=app/s1":          "every process that \"*\" matches would be the same server",
		"web:*=app/{nam}":       "want {name} or {num}",
		"web:web=app/s{num}":    `"web" has none`,
		"my prog:app/s":         `no program can be called "my prog"`,
		"web:app/s\nx:app/t":    `cannot be in a name of HAProxy's`,
		"tcp://localhost:8800/": "want program:backend/server",
	} {
		_, err := listener.ParseSpec(spec)
		require.ErrorContains(t, err, want, "spec %q", spec)
		require.ErrorContains(t, err, "mapping ", "spec %q", spec)
	}
}

func TestSpecServerErrors(t *testing.T) {
	s, err := listener.ParseSpec("web:*=app/s{num}")
	require.NoError(t, err)
	_, err = s.Server("web")
	require.EqualError(t, err, `mapping "web:*=app/s{num}": process "web" does not end in a number`)

	s, err = listener.ParseSpec("web:*=app/{name}")
	require.NoError(t, err)
	_, err = s.Server("café")
	require.ErrorContains(t, err, `process "café"`)
	require.ErrorContains(t, err, `'é' cannot be in a name of HAProxy's`)
}

func TestMappingRefusesTheSameTwice(t *testing.T) {
	_, err := listener.ParseMapping([]string{"a:b/s1", "a:b/s2", "c:b/s1", "a=b/s1"})
	require.EqualError(t, err, `mapping "a=b/s1": says the same as "a:b/s1", want each program and server once`)
	specs, err := listener.ParseMapping([]string{"a:b/s1", "a:b/s2", "c:b/s1"})
	require.NoError(t, err)
	require.Len(t, specs, 3)
}

func FuzzParseSpec(f *testing.F) {
	for _, s := range []string{"instance1:plone01/plone0101", "web:*=app/{name}", "g:we=ird=b/s{num}", "None", "a*b*c:x/{num}"} {
		f.Add(s, "group", "name01")
	}
	f.Fuzz(func(t *testing.T, text, group, name string) {
		s, err := listener.ParseSpec(text)
		if err != nil {
			return
		}
		again, err := listener.ParseSpec(s.String())
		require.NoError(t, err)
		require.Equal(t, s, again)
		s.Matches(process(group, name))
		if server, err := s.Server(name); err == nil {
			require.NoError(t, server.Validate())
		}
	})
}
