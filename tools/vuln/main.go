// Command vuln reads what `govulncheck -format json` has found, from standard
// input. It prints each known fault once that is in an imported package, and
// fails if one is in a function of a module that is called, as govulncheck does.
// Faults of the Go toolchain are only printed: a newer Go fixes them.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

type message struct {
	Finding *struct {
		OSV          string `json:"osv"`
		FixedVersion string `json:"fixed_version"`
		Trace        []struct {
			Module   string `json:"module"`
			Version  string `json:"version"`
			Package  string `json:"package"`
			Function string `json:"function"`
		} `json:"trace"` // the first is where the fault is
	} `json:"finding"`
}

func main() {
	failed, err := report(os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "reading the findings:", err)
		os.Exit(2)
	}
	if failed {
		os.Exit(1)
	}
}

func report(r io.Reader, w io.Writer) (failed bool, err error) {
	told := map[string]bool{}
	read := 0
	for dec := json.NewDecoder(r); ; read++ {
		var m message
		if err := dec.Decode(&m); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return false, err
		}
		if m.Finding == nil || len(m.Finding.Trace) == 0 {
			continue
		}
		at := m.Finding.Trace[0]
		if at.Package == "" {
			continue // of the module, in a package that nothing imports
		}
		line := fmt.Sprintf("%s %s@%s, fixed in %s", m.Finding.OSV, at.Module, at.Version, m.Finding.FixedVersion)
		called := at.Function != ""
		if called && at.Module != "stdlib" && at.Module != "toolchain" {
			failed = true
			line = "FAULT " + line
		}
		if !told[line] {
			told[line] = true
			fmt.Fprintln(w, line)
		}
	}
	if read == 0 {
		return false, errors.New("there is nothing")
	}
	return failed, nil
}
