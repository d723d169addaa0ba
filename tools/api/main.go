// Command api lists what the module exports, a line each: packages, names,
// methods and fields. The list is kept in testdata/api.txt, so that the reader of
// a change sees what it does to the API.
//
//	go -C tools run ./api -update
package main

import (
	"cmp"
	"flag"
	"fmt"
	"go/types"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

const module = "github.com/mangaassist/bedrockkit"

func main() {
	update := flag.Bool("update", false, "write the list")
	flag.Parse()
	if err := run("..", *update); err != nil {
		fmt.Fprintln(os.Stderr, "api:", err)
		os.Exit(1)
	}
}

// run holds the list of the module in dir against what is there, or writes it.
func run(dir string, update bool) error {
	lines, err := list(dir)
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "testdata", "api.txt")
	text := strings.Join(lines, "\n") + "\n"
	if update {
		return os.WriteFile(file, []byte(text), 0o666)
	}
	kept, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if string(kept) == text {
		return nil
	}
	old := strings.Split(strings.TrimSpace(string(kept)), "\n")
	for _, line := range old {
		if !slices.Contains(lines, line) {
			fmt.Println("-", line)
		}
	}
	for _, line := range lines {
		if !slices.Contains(old, line) {
			fmt.Println("+", line)
		}
	}
	return fmt.Errorf("the exported API is not that of testdata/api.txt. If it is meant to change, write it down in CHANGELOG.md and run: go -C tools run ./api -update")
}

// list returns the lines of all packages that a user can import, sorted.
func list(dir string) ([]string, error) {
	loaded, err := packages.Load(&packages.Config{Dir: dir, Mode: packages.NeedName | packages.NeedTypes | packages.NeedImports | packages.NeedDeps | packages.NeedSyntax | packages.NeedTypesInfo}, "./...")
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, p := range loaded {
		if len(p.Errors) > 0 {
			return nil, p.Errors[0]
		}
		path := strings.TrimPrefix(strings.TrimPrefix(p.PkgPath, module), "/")
		if p.Name == "main" || strings.Contains("/"+path+"/", "/internal/") || strings.HasPrefix(path, "examples/") {
			continue
		}
		lines = append(lines, exported(cmp.Or(path, "bedrockkit"), p.Types)...)
	}
	slices.Sort(lines)
	return slices.Compact(lines), nil
}

// exported lists a package.
func exported(path string, p *types.Package) []string {
	short := func(other *types.Package) string {
		if other == p {
			return ""
		}
		return other.Name()
	}
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, path+": "+fmt.Sprintf(format, args...)) }
	for _, name := range p.Scope().Names() {
		object := p.Scope().Lookup(name)
		if !object.Exported() {
			continue
		}
		named, isType := object.(*types.TypeName)
		if !isType {
			add("%s", types.ObjectString(object, short))
			continue
		}
		switch under := named.Type().Underlying().(type) {
		case *types.Struct:
			add("type %s struct", name)
			for field := range under.Fields() {
				if field.Exported() {
					add("type %s struct, %s %s", name, field.Name(), types.TypeString(field.Type(), short))
				}
			}
		case *types.Interface:
			add("type %s interface", name)
			for method := range under.Methods() {
				add("type %s interface, %s%s", name, method.Name(), strings.TrimPrefix(types.TypeString(method.Type(), short), "func"))
			}
		default:
			add("type %s %s", name, types.TypeString(under, short))
		}
		if t, ok := named.Type().(*types.Named); ok && !named.IsAlias() {
			for method := range t.Methods() {
				if method.Exported() {
					add("%s", types.ObjectString(method, short))
				}
			}
		}
	}
	return lines
}
