package cluster

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// What an expression can say of what. The types are only for checking: at run
// time a member is a *Report, a backend a *backend, and servers and frontends are
// *Row, whose columns may be empty. docs/expressions.md explains the words.
var (
	intType    = reflect.TypeFor[int]()
	boolType   = reflect.TypeFor[bool]()
	stringType = reflect.TypeFor[string]()
	anyType    = reflect.TypeFor[any]()
)

// A vocabulary is what can be said, as types that have only those names that an
// expression has, which is quicker by much.
type vocabulary struct {
	server, frontend, backend, member reflect.Type

	words map[reflect.Type]map[string]reflect.Type // by type of what they are said of
}

// columnTypes are the columns whose types are known.
var columnTypes = sync.OnceValue(func() map[string]reflect.Type {
	columns := map[string]reflect.Type{}
	for name := range strings.FieldsSeq(textColumns) {
		columns[name] = stringType
	}
	for name := range strings.FieldsSeq(numberColumns) {
		columns[name] = intType
	}
	return columns
})

// newVocabulary makes types with the columns among names, and those unknown,
// which may be a backend's name on a member and a column elsewhere. On a member,
// proxies are backends too.
func newVocabulary(names, unknown, proxies []string) *vocabulary {
	v := &vocabulary{words: map[reflect.Type]map[string]reflect.Type{}}
	fn := func(out reflect.Type, in ...reflect.Type) reflect.Type {
		return reflect.FuncOf(in, []reflect.Type{out}, false)
	}
	many := func(out, in reflect.Type) reflect.Type {
		return reflect.FuncOf([]reflect.Type{reflect.SliceOf(in)}, []reflect.Type{out}, true)
	}
	row := func(kind string, words map[string]reflect.Type) reflect.Type {
		var s structType
		s.add("a "+kind, boolType) // no two kinds are the same type
		s.addAll(words)
		for _, name := range names {
			if typ := columnTypes()[name]; typ != nil && (kind != "member" || typ == intType) {
				s.add(name, typ)
			}
		}
		for _, name := range unknown {
			if kind == "member" {
				s.add(name, v.backend)
			} else {
				s.add(name, anyType)
			}
		}
		if kind == "member" {
			for _, name := range proxies {
				s.add(name, v.backend)
			}
		}
		t := s.make()
		v.words[t] = words
		return t
	}
	v.server = row("server", map[string]reflect.Type{
		"name": stringType, "in_rotation": boolType, "up": boolType, "down": boolType,
		"drained": boolType, "maint": boolType, "backup": boolType,
	})
	v.frontend = row("frontend", map[string]reflect.Type{"name": stringType})
	v.backend = row("backend", map[string]reflect.Type{
		"name": stringType, "in_rotation": intType, "up": intType, "down": intType,
		"drained": intType, "maint": intType, "backups": intType, "total": intType,
		"rolling_restartable": many(boolType, intType),
		"survives":            fn(boolType, intType),
		"survives_without":    many(boolType, stringType),
		"servers":             many(reflect.SliceOf(v.server), stringType),
		"server":              fn(v.server, stringType),
	})
	v.member = row("member", map[string]reflect.Type{
		"address":             stringType,
		"backend":             fn(v.backend, stringType),
		"backends":            fn(reflect.SliceOf(v.backend)),
		"frontend":            fn(v.frontend, stringType),
		"frontends":           fn(reflect.SliceOf(v.frontend)),
		"servers":             many(reflect.SliceOf(v.server), stringType),
		"rolling_restartable": many(boolType, intType),
		"survives":            fn(boolType, intType),
		"survives_without":    many(boolType, stringType),
		"disagree":            fn(boolType),
	})
	return v
}

// known reports whether name is a column or a word anywhere.
func (v *vocabulary) known(name string) bool {
	if _, ok := columnTypes()[name]; ok {
		return true
	}
	for _, words := range v.words {
		if _, ok := words[name]; ok {
			return true
		}
	}
	return false
}

// on reports whether name is a column or a word of t.
func (v *vocabulary) on(t reflect.Type, name string) bool {
	if _, ok := v.words[t][name]; ok {
		return true
	}
	typ, ok := columnTypes()[name]
	return ok && (t != v.member || typ == intType)
}

// all are the names that can be said of t.
func (v *vocabulary) all(t reflect.Type) []string {
	var names []string
	for name := range columnTypes() {
		if v.on(t, name) {
			names = append(names, name)
		}
	}
	for name := range v.words[t] {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// functions are the words of typ that are called.
func (v *vocabulary) functions(typ reflect.Type) []string {
	var names []string
	for name, t := range v.words[typ] {
		if t.Kind() == reflect.Func {
			names = append(names, name)
		}
	}
	return names
}

// tell puts the words that people use into a message that names types.
func (v *vocabulary) tell(message string) string {
	for _, t := range []struct { // one holds the next, so in this order
		typ  reflect.Type
		word string
	}{{v.member, "member"}, {v.backend, "backend"}, {v.frontend, "frontend"}, {v.server, "server"}} {
		message = strings.ReplaceAll(message, t.typ.String(), t.word)
	}
	return message
}

// A structType collects the fields of a struct whose names only the tags tell.
type structType struct{ fields []reflect.StructField }

func (s *structType) add(name string, typ reflect.Type) {
	s.fields = append(s.fields, reflect.StructField{
		Name: "F" + strconv.Itoa(len(s.fields)),
		Type: typ,
		Tag:  reflect.StructTag(`expr:` + strconv.Quote(name)),
	})
}

// addAll adds in order, so that the same names make the same type.
func (s *structType) addAll(fields map[string]reflect.Type) {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		s.add(name, fields[name])
	}
}

func (s *structType) make() reflect.Type { return reflect.StructOf(s.fields) }

// knownVocabulary tells which words there are.
var knownVocabulary = sync.OnceValue(func() *vocabulary { return newVocabulary(nil, nil, nil) })
