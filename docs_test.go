package bedrockkit_test

import (
	"fmt"
	"go/ast"
	"go/build"
	"go/doc"
	"go/doc/comment"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// guides declare what the code of a guide uses without showing it.
var guides = map[string]string{
	"async.md": `var (
			ctx     context.Context
			cfg     aws.Config
			chat    *converse.Client
			queues  *sqs.Client
			names   asyncq.Queues
			status  *dynamostatus.Store
			results *s3blobs.Store
			secret  string
		)`,
	"batch.md": `var t *testing.T`,
	"errors.md": `var (
			ctx     context.Context
			chat    *converse.Client
			request converse.Request
		)`,
	"fallback.md": `var (
			t           *testing.T
			ctx         context.Context
			cfg, europe aws.Config
			request     converse.Request
		)`,
	"migrating.md": `var (
			ctx     context.Context
			cfg     aws.Config
			runtime *bedrockruntime.Client
			input   *bedrockruntime.ConverseStreamInput
		)`,
	"quickstart.md": `var ctx context.Context`,
	"caching.md": `var (
			ctx     context.Context
			cfg     aws.Config
			client  *bedrockx.Client
			model   bedrockkit.ModelID
			tenant  string
			chat    *converse.Client
			request converse.Request
			redisClient *redis.Client
			o       *bedrockx.Options
		)`,
	"guardrails.md": `var (
			ctx     context.Context
			cfg     aws.Config
			client  *bedrockx.Client
			model   bedrockkit.ModelID
			request anthropic.Request
		)`,
	"mcp.md": `var (
			ctx    context.Context
			client *bedrockx.Client
			shelf  *mcptools.Server
			dial   mcptools.Dial
		)`,
	"observability.md": `var cfg aws.Config`,
	"pricing.md": `var (
			ctx      context.Context
			products refresh.Products
		)`,
	"models.md": `var cfg aws.Config`,
	"quotas.md": `var (
			ctx         context.Context
			cfg         aws.Config
			redisClient *redis.Client
			quotas      []quota.Quota
		)`,
	"streaming.md": `var (
			err      error
			bounded  context.Context
			registry *resume.Registry
			srv      *http.Server
			chat     *converse.Client
		)`,
	"testing.md": `var (
			t   *testing.T
			srv *bedrocktest.Server
			file []byte
			cfg aws.Config
		)
		func Greet(context.Context, *bedrockruntime.Client) (string, error)`,
	"tools.md": `type Review struct{}
		var (
			ctx            context.Context
			cfg            aws.Config
			shelf          map[string]int
			chat           *converse.Client
			request        converse.Request
			stored         []converse.Message
			id, text       string
			approved       string
			sessionID      string
		)`,
}

// elsewhere are the packages of others that guides use.
var elsewhere = []string{
	"context", "errors", "fmt", "io", "iter", "log", "net/http", "os", "strconv", "strings", "testing", "testing/synctest", "time",
	"github.com/aws/aws-lambda-go/events",
	"github.com/aws/aws-sdk-go-v2/aws",
	"github.com/aws/aws-sdk-go-v2/service/bedrock",
	"github.com/aws/aws-sdk-go-v2/config",
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime",
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types",
	"github.com/aws/aws-sdk-go-v2/service/dynamodb",
	"github.com/aws/aws-sdk-go-v2/service/s3",
	"github.com/aws/aws-sdk-go-v2/service/sqs",
	"github.com/modelcontextprotocol/go-sdk/mcp",
	"github.com/redis/go-redis/v9",
	"github.com/stretchr/testify/assert",
	"github.com/stretchr/testify/require",
}

// goBlock is Go code in Markdown.
var goBlock = regexp.MustCompile("(?ms)^```go\n(.*?)^```$")

// The Go code of the guides compiles. What it leaves out is an ellipsis.
func TestGuidesCompile(t *testing.T) {
	used := slices.Clone(elsewhere)
	for dir, p := range packages(t) {
		switch {
		case p.Name == "main", strings.Contains("/"+dir+"/", "/internal/"), floors[folder(dir)] == floors["examples"]:
		case dir == "asyncq/telemetry", dir == "converse/telemetry": // the guides' telemetry is that of bedrockx
		default:
			used = append(used, strings.TrimSuffix(module+"/"+dir, "/."))
		}
	}
	var imports strings.Builder
	for _, imported := range used {
		fmt.Fprintf(&imports, "import %q\n", imported)
	}
	fset := token.NewFileSet()
	config := types.Config{
		Importer: exported(t, fset, used),
		Error: func(err error) {
			// That something is declared or imported and not used is right for a part.
			if !err.(types.Error).Soft {
				t.Error(err)
			}
		},
	}
	files, err := filepath.Glob("docs/*.md")
	require.NoError(t, err)
	checked := 0
	for _, file := range files {
		text := read(t, file)
		for _, at := range goBlock.FindAllStringSubmatchIndex(text, -1) {
			checked++
			code := strings.ReplaceAll(text[at[2]:at[3]], "…", "")
			line := fmt.Sprintf("//line %s:%d\n", filepath.Base(file), 1+strings.Count(text[:at[2]], "\n"))
			if strings.HasPrefix(code, "func ") {
				code = line + code
			} else {
				code = "func _() {\n" + line + code + "}"
			}
			parsed, err := parser.ParseFile(fset, file, "package guide\n"+imports.String()+guides[filepath.Base(file)]+"\n"+code, parser.SkipObjectResolution)
			if assert.NoError(t, err) {
				_, _ = config.Check("guide", fset, []*ast.File{parsed}, nil)
			}
		}
	}
	assert.NotZero(t, checked)
}

// unknown is what a type checker says of a part of a program and is right for
// one: names that it does not declare, values that it does not use.
var unknown = regexp.MustCompile(`^undefined: \w+$|is not used|^too many return values`)

// The Go code in doc comments fits what it calls. What a comment does not
// declare is unknown, so this finds less than a compiler would: functions,
// fields and types of packages that there are not.
func TestDocCommentsCompile(t *testing.T) {
	all := packages(t)
	maps.DeleteFunc(all, func(dir string, p *build.Package) bool {
		return p.Name == "main" || strings.Contains("/"+dir+"/", "/internal/")
	})
	// name is that of a package in a guide, by its path.
	name := func(imported string) string {
		return strings.TrimPrefix(path.Base(strings.TrimSuffix(imported, "/v9")), "go-")
	}
	common := map[string]string{}
	for _, imported := range elsewhere {
		common[name(imported)] = imported
	}
	used := slices.Clone(elsewhere)
	for dir, p := range all {
		common[p.Name] = strings.TrimSuffix(module+"/"+dir, "/.")
		used = append(append(used, common[p.Name]), p.Imports...)
	}
	fset := token.NewFileSet()
	imports := exported(t, fset, used)
	checked := 0
	for dir, p := range all {
		names := maps.Clone(common)
		for _, imported := range p.Imports {
			names[name(imported)] = imported
		}
		names[p.Name] = strings.TrimSuffix(module+"/"+dir, "/.")
		var header strings.Builder
		header.WriteString("package example\n")
		for name, imported := range names {
			fmt.Fprintf(&header, "import %s %q\n", name, imported)
		}
		for _, text := range docs(t, dir, p.GoFiles) {
			for _, block := range new(comment.Parser).Parse(text).Content {
				shown, ok := block.(*comment.Code)
				if !ok {
					continue
				}
				code := strings.ReplaceAll(shown.Text, "…", "")
				if !strings.HasPrefix(code, "func ") {
					code = "func _() error {\n" + code + "\nreturn nil\n}"
				}
				parsed, err := parser.ParseFile(fset, dir, header.String()+code, parser.SkipObjectResolution)
				if err != nil {
					continue // a table, JSON or a command
				}
				checked++
				config := types.Config{Importer: imports, Error: func(err error) {
					if e := err.(types.Error); !e.Soft && !unknown.MatchString(e.Msg) {
						t.Errorf("%s: %s\n%s", dir, e.Msg, shown.Text)
					}
				}}
				_, _ = config.Check("example", fset, []*ast.File{parsed}, nil)
			}
		}
	}
	assert.Greater(t, checked, 40)
}

// docs are the doc comments of a package and of what it exports.
func docs(t *testing.T, dir string, names []string) []string {
	t.Helper()
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range names {
		file, err := parser.ParseFile(fset, filepath.Join(filepath.FromSlash(dir), name), nil, parser.ParseComments|parser.SkipObjectResolution)
		require.NoError(t, err)
		files = append(files, file)
	}
	p, err := doc.NewFromFiles(fset, files, module)
	require.NoError(t, err)
	texts := []string{p.Doc}
	for _, f := range p.Funcs {
		texts = append(texts, f.Doc)
	}
	for _, typ := range p.Types {
		texts = append(texts, typ.Doc)
		for _, f := range slices.Concat(typ.Funcs, typ.Methods) {
			texts = append(texts, f.Doc)
		}
	}
	return texts
}

// exported imports packages from what the go command has compiled.
func exported(t *testing.T, fset *token.FileSet, packages []string) types.Importer {
	t.Helper()
	list := exec.Command("go", append([]string{"list", "-export", "-deps", "-f", "{{.ImportPath}}={{.Export}}"}, packages...)...)
	list.Stderr = os.Stderr
	out, err := list.Output()
	require.NoError(t, err)
	files := map[string]string{}
	for line := range strings.Lines(string(out)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), "=")
		files[path] = file
	}
	return importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(files[path]) })
}
