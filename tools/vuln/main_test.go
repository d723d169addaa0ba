package main

import (
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	const head = `{"config":{"protocol_version":"v1.0.0"}}`
	for name, tt := range map[string]struct {
		in     string
		out    string
		failed bool
	}{
		"nothing found":      {head, "", false},
		"the toolchain":      {head + `{"finding":{"osv":"GO-1","fixed_version":"v1.26.9","trace":[{"module":"stdlib","version":"v1.26.8","package":"net/http"}]}}`, "GO-1 stdlib@v1.26.8, fixed in v1.26.9\n", false},
		"a module":           {head + `{"finding":{"osv":"GO-2","fixed_version":"v1.41.0","trace":[{"module":"example.com/m","version":"v1.37.0","package":"example.com/m/p","function":"F"}]}}`, "FAULT GO-2 example.com/m@v1.37.0, fixed in v1.41.0\n", true},
		"nothing calls it":   {head + `{"finding":{"osv":"GO-2","fixed_version":"v2","trace":[{"module":"example.com/m","version":"v1","package":"example.com/m/p"}]}}`, "GO-2 example.com/m@v1, fixed in v2\n", false},
		"nothing imports it": {head + `{"finding":{"osv":"GO-2","trace":[{"module":"example.com/m","version":"v1.37.0"}]}}`, "", false},
	} {
		var out strings.Builder
		failed, err := report(strings.NewReader(tt.in), &out)
		if err != nil || failed != tt.failed || out.String() != tt.out {
			t.Errorf("%s: %v %q %v", name, failed, out.String(), err)
		}
	}
	for _, bad := range []string{"", "{"} {
		if _, err := report(strings.NewReader(bad), &strings.Builder{}); err == nil {
			t.Errorf("%q is no report", bad)
		}
	}
}
