package cluster

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"

	"github.com/supervisor-haproxy/supervisor-haproxy/haproxysock"
)

// plainName is a name that an expression can have as it stands.
var plainName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// plainReflect is plain for the maps and lists that an expression's functions
// make, such as groupBy's.
func plainReflect(v any) any {
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Map:
		m := make(map[string]any, r.Len())
		for _, key := range r.MapKeys() {
			m[fmt.Sprint(key.Interface())] = plain(r.MapIndex(key).Interface())
		}
		return m
	case reflect.Slice:
		if r.Type().Elem().Kind() == reflect.Uint8 {
			return string(r.Bytes())
		}
		list := make([]any, r.Len())
		for i := range list {
			list[i] = plain(r.Index(i).Interface())
		}
		return list
	case reflect.Func, reflect.Chan, reflect.Pointer, reflect.Struct:
		return fmt.Sprint(v)
	}
	return v
}

// proxies are the names of all backends and frontends that the members that
// answered told of.
func (s *Snapshot) proxies() (backends, frontends []string) {
	for i := range s.Reports {
		r := &s.Reports[i]
		for _, rows := range [][]Row{r.names, r.Rows} {
			for k := range rows {
				switch rows[k].Kind {
				case haproxysock.Backends:
					backends = append(backends, rows[k].Proxy)
				case haproxysock.Frontends:
					frontends = append(frontends, rows[k].Proxy)
				}
			}
		}
	}
	slices.Sort(backends)
	slices.Sort(frontends)
	return slices.Compact(backends), slices.Compact(frontends)
}
