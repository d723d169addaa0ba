package main

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"reflect"
	"testing"
)

func TestExported(t *testing.T) {
	const source = `package p
type T struct { A int; b string }
func (t *T) M(x int) error { return nil }
func (T) hidden() {}
type I interface { Do(s string) }
type E string
const C E = "c"
func F[V any](v V) *T { return nil }
var v int
`
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, "p.go", source, 0)
	if err != nil {
		t.Fatal(err)
	}
	conf := types.Config{Importer: importer.Default()}
	p, err := conf.Check("p", set, []*ast.File{file}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`p: const C E`, `p: type E string`, `p: func F[V any](v V) *T`, `p: type I interface`, `p: type I interface, Do(s string)`,
		`p: type T struct`, `p: type T struct, A int`, `p: func (*T).M(x int) error`,
	}
	if got := exported("p", p); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
