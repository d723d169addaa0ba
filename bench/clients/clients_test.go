// Package clients compares clients by two tasks: an answer that is printed as it
// comes, and a tool loop. README has the table.
package clients

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mangaassist/bedrockkit/bedrocktest"
)

var clients = []struct{ dir, name string }{
	{"sdk", "AWS SDK"}, {"anthropic", "anthropic-sdk-go"}, {"fantasy", "fantasy"}, {"bedrockkit", "bedrockkit"},
}

// A stream ends between two events, as if it were complete: the connection was
// closed by a proxy. README says who notices, and how many lines each task takes.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", bin+string(filepath.Separator), "./...")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	rows := map[string][]string{}
	for _, client := range clients {
		rows["lines: an answer as it comes"] = append(rows["lines: an answer as it comes"], fmt.Sprint(lines(t, client.dir, "answer")))
		rows["lines: a tool loop"] = append(rows["lines: a tool loop"], fmt.Sprint(lines(t, client.dir, "loop")))

		program := filepath.Join(bin, client.dir)
		info, err := os.Stat(program)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %.1f MB", client.name, float64(info.Size())/1e6)

		srv := bedrocktest.NewServer(t)
		srv.Reply(bedrocktest.Text("one two three"), bedrocktest.Text("I look.").ToolUse("stock", map[string]string{"title": "Monster"}), bedrocktest.Text("There is one."),
			bedrocktest.Text("one two three four five six").ChunkSize(4))
		if out, err := run(program, srv.URL(), "answer"); err != nil || out != "one two three" {
			t.Errorf("%s: %q, %v", client.name, out, err)
		}
		if out, err := run(program, srv.URL(), "loop"); err != nil || out != "There is one." {
			t.Errorf("%s: %q, %v", client.name, out, err)
		}
		whole, err := run(program, srv.URL(), "answer")
		if err != nil {
			t.Errorf("%s: %v", client.name, err)
		}
		noticed := "an error"
		cut := bedrocktest.NewServer(t)
		cut.Reply(bedrocktest.Text("one two three four five six").ChunkSize(4).EndAfter(4))
		short, err := run(program, cut.URL(), "answer")
		if len(short) >= len(whole) {
			t.Errorf("%s: the stream was not cut: %q", client.name, short)
		}
		if err == nil {
			noticed = "no error, a short answer"
		}
		rows["a stream ends between two events"] = append(rows["a stream ends between two events"], noticed)
	}
	for name, cells := range rows {
		row := "| " + name + " | " + strings.Join(cells, " | ") + " |"
		if !bytes.Contains(readme, []byte(row)) {
			t.Errorf("README.md lacks\n%s", row)
		}
	}
}

// run runs a client's program against a fake.
func run(program, url, task string) (string, error) {
	cmd := exec.Command(program, task)
	cmd.Env = []string{"AWS_ENDPOINT_URL_BEDROCK_RUNTIME=" + url, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=AKIDEXAMPLE",
		"AWS_SECRET_ACCESS_KEY=example", "AWS_EC2_METADATA_DISABLED=true", "AWS_MAX_ATTEMPTS=1"}
	out, err := cmd.Output()
	return string(out), err
}

// lines are those of a function's body.
func lines(t *testing.T, dir, name string) int {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, filepath.Join(dir, "main.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, decl := range file.Decls {
		if f, ok := decl.(*ast.FuncDecl); ok && f.Name.Name == name {
			return set.Position(f.Body.Rbrace).Line - set.Position(f.Body.Lbrace).Line - 1
		}
	}
	t.Fatalf("%s has no function %s", dir, name)
	return 0
}
