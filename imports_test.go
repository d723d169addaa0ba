package bedrockkit_test

import (
	"go/build"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "github.com/mangaassist/bedrockkit"

// floors are those of DESIGN.md, by folder. What is below a folder lives on its
// floor.
var floors = map[string]int{
	".":           0,
	"internal":    0,
	"event":       0,
	"pricing":     0,
	"cache":       0,
	"quota":       0,
	"parallel":    0,
	"bedrocktest": 0, // apart: see TestFake
	"bedrockx":    1,
	"stream":      2,
	"converse":    3,
	"asyncq":      4,
	"batch":       4,
	"cmd":         5,
	"examples":    5,
}

// mayImport says who may import a module of others, by the folder of the
// package; docs/adr/0005-dependencies.md argues each. A test may import any
// direct dependency.
var mayImport = map[string][]string{
	"github.com/aws/aws-sdk-go-v2":                                 {"."},
	"github.com/aws/smithy-go":                                     {"."},
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime":          {"."},
	"github.com/aws/aws-sdk-go-v2/service/bedrock":                 {"batch", "bedrockx/profiles", "cmd/bedrockbatch", "examples/batchjob", "examples/chatserver"},
	"github.com/aws/aws-sdk-go-v2/service/pricing":                 {"pricing/refresh/pricelist"},
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi": {"examples/chatserver", "stream/apigateway"},
	"github.com/aws/aws-sdk-go-v2/service/sqs":                     {"asyncq", "cmd", "examples"},
	"github.com/aws/aws-lambda-go":                                 {"asyncq/awslambda", "examples/chatserver/deploy"},
	"github.com/aws/aws-sdk-go-v2/service/sns":                     {"asyncq", "examples/chatserver"},
	"github.com/aws/aws-sdk-go-v2/service/s3":                      {"asyncq", "batch", "bedrocktest/fakes3", "cmd/bedrockbatch", "examples/batchjob", "examples/chatserver"},
	"code.dny.dev/ssrf":                                            {"asyncq"},
	"github.com/santhosh-tekuri/jsonschema/v6":                     {"examples/chatserver/rest"},
	"github.com/jackc/pgx/v5":                                      {"examples/chatserver/retrieve/pgvector"},
	"golang.org/x/text":                                            {"examples/chatserver/rest"},
	"github.com/golang-jwt/jwt/v5":                                 {"examples/chatserver/auth"},
	"github.com/MicahParks/keyfunc/v3":                             {"examples/chatserver/auth"},
	"golang.org/x/time":                                            {"examples/chatserver/auth"},
	"github.com/standard-webhooks/standard-webhooks/libraries":     {"asyncq/webhook"},
	"github.com/johannesboyne/gofakes3":                            {"bedrocktest/fakes3"},
	"github.com/aws/aws-sdk-go-v2/service/dynamodb":                {"asyncq", "cmd", "converse/session/dynamosession", "examples/chatserver"},
	"github.com/aws/aws-sdk-go-v2/config":                          {"examples", "cmd/asyncq", "cmd/bedrockbatch"},
	"github.com/redis/go-redis/v9":                                 {"asyncq/redisstatus", "cache/rediscache", "quota/redisquota", "stream/resume/redisresume", "examples/chatserver", "examples/resume"},
	"go.opentelemetry.io/otel":                                     {"asyncq/telemetry", "bedrockx/telemetry", "converse/telemetry", "examples/chatserver/metrics"},
	"go.opentelemetry.io/otel/trace":                               {"bedrockx/telemetry", "converse/telemetry"},
	"go.opentelemetry.io/otel/metric":                              {"asyncq/telemetry", "bedrockx/telemetry", "examples/chatserver/metrics"},
	"go.opentelemetry.io/otel/sdk":                                 {},
	"go.opentelemetry.io/otel/sdk/metric":                          {"examples/chatserver/metrics"},
	"github.com/alicebob/miniredis/v2":                             {},
	"github.com/google/jsonschema-go":                              {"converse"},
	"github.com/modelcontextprotocol/go-sdk":                       {"converse/mcptools", "examples/mcp"},
	"github.com/coder/websocket":                                   {"examples", "stream/resume/wsresume"},
	"github.com/stretchr/testify":                                  {},
	"go.uber.org/goleak":                                           {},
	"go.yaml.in/yaml/v3":                                           {},
}

// within reports whether a slash-separated path is folder or lies below it.
func within(p, folder string) bool {
	return folder == "." || p == folder || strings.HasPrefix(p, folder+"/")
}

// folder is the first part of a package's path, which says its floor.
func folder(dir string) string {
	first, _, _ := strings.Cut(dir, "/")
	return first
}

// owner is the module of mayImport that holds a package: the longest that fits.
func owner(imported string) string {
	var found string
	for m := range mayImport {
		if within(imported, m) && len(m) > len(found) {
			found = m
		}
	}
	return found
}

// packages reads every package of the module, by its folder. It reads the files
// itself, and not through the go command, so that a cached result of these
// tests ends with a change to any of them.
func packages(t *testing.T) map[string]*build.Package {
	t.Helper()
	found := map[string]*build.Package{}
	err := filepath.WalkDir(".", func(dir string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		name := entry.Name()
		if dir != "." && (strings.HasPrefix(name, ".") || name == "testdata" || name == "node_modules") {
			return fs.SkipDir
		}
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); dir != "." && err == nil {
			return fs.SkipDir // a module of its own
		}
		p, err := build.ImportDir(dir, 0)
		if _, none := err.(*build.NoGoError); none {
			return nil
		}
		found[filepath.ToSlash(dir)] = p
		return err
	})
	require.NoError(t, err)
	require.Contains(t, found, "bedrockx", "the walk has found nothing")
	return found
}

// ours is the folder of a package of this module.
func ours(imported string) (string, bool) {
	if imported == module {
		return ".", true
	}
	return strings.CutPrefix(imported, module+"/")
}

func external(imported string) bool {
	_, our := ours(imported)
	first, _, _ := strings.Cut(imported, "/")
	return !our && strings.Contains(first, ".")
}

// foundations are what every package may import, the ground floor included.
// They import nothing but each other.
var foundations = []string{".", "event", "internal/eventstream", "internal/jsonscan"}

// conformance is the package of bedrocktest that only tests of an account and of
// the fake import.
const conformance = "bedrocktest/conformance"

// Imports point down. A package may also import what lies in its own folder,
// and the foundations. The root package imports nothing.
func TestImportsPointDown(t *testing.T) {
	for dir, p := range packages(t) {
		floor, known := floors[folder(dir)]
		if dir == conformance {
			floor = 4 // it bounds what an account is asked by prices
		}
		if !assert.True(t, known, "%s is on no floor: add it to DESIGN.md and here", dir) {
			continue
		}
		for _, imported := range p.Imports {
			target, our := ours(imported)
			if !our {
				continue
			}
			allowed := floors[folder(target)] < floor || folder(target) == folder(dir) || slices.Contains(foundations, target)
			if folder(target) == "bedrocktest" {
				allowed = floor == 5 || folder(dir) == "bedrocktest"
			}
			if dir == "." {
				allowed = false
			}
			assert.True(t, allowed, "%s (floor %d) imports %s", dir, floor, target)
		}
	}
}

// A dependency is imported where it was argued for, and nowhere else.
func TestDependencies(t *testing.T) {
	used := map[string]bool{}
	for dir, p := range packages(t) {
		for _, imported := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			if external(imported) {
				m := owner(imported)
				assert.NotEmpty(t, m, "%s imports %s: argue for it in docs/adr/0005-dependencies.md", dir, imported)
				used[m] = true
			}
		}
		for _, imported := range p.Imports {
			if m := owner(imported); m != "" {
				assert.True(t, slices.ContainsFunc(mayImport[m], func(f string) bool { return within(dir, f) }),
					"%s imports %s, which is for %v only", dir, imported, mayImport[m])
			}
		}
	}
	for m := range mayImport {
		assert.True(t, used[m], "nothing imports %s", m)
	}
	adr, err := os.ReadFile("docs/adr/0005-dependencies.md")
	require.NoError(t, err)
	for _, m := range directDependencies(t) {
		assert.Contains(t, mayImport, m, "go.mod requires it")
	}
	argued := map[string][]string{}
	for _, row := range dependencyRow.FindAllStringSubmatch(string(adr), -1) {
		for _, m := range quoted.FindAllStringSubmatch(row[1], -1) {
			argued[m[1]] = []string{}
			switch row[2] {
			case "everywhere":
				argued[m[1]] = []string{"."}
			case "tests":
			default:
				for _, folder := range quoted.FindAllStringSubmatch(row[2], -1) {
					argued[m[1]] = append(argued[m[1]], folder[1])
				}
			}
		}
	}
	for m, folders := range mayImport {
		if assert.Contains(t, argued, m, "the ADR does not argue for it") {
			assert.ElementsMatch(t, folders, argued[m], "where %s may be imported, here and in the ADR", m)
		}
	}
}

// A row of the ADR's tables has modules, where they may be imported, and why.
var (
	dependencyRow = regexp.MustCompile("(?m)^\\| (`.*`) \\| (.*) \\| .* \\|$")
	quoted        = regexp.MustCompile("`([^`]+)`")
)

// directDependencies are those that go.mod requires directly.
func directDependencies(t *testing.T) []string {
	t.Helper()
	data, err := os.ReadFile("go.mod")
	require.NoError(t, err)
	var direct []string
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) == 2 && strings.Contains(fields[0], "/") && strings.HasPrefix(fields[1], "v") {
			direct = append(direct, fields[0])
		}
	}
	require.NotEmpty(t, direct)
	return direct
}

// The fake can be used by the tests of every package, so it imports none above
// the ground floor, and of others only the AWS SDK. Its S3 is apart, as it is
// gofakes3.
func TestFake(t *testing.T) {
	for dir, p := range packages(t) {
		if folder(dir) != "bedrocktest" {
			continue
		}
		for _, imported := range p.Imports {
			target, our := ours(imported)
			switch {
			case our:
				assert.Zero(t, floors[folder(target)], "%s imports %s", dir, target)
			case external(imported):
				assert.True(t, within(imported, "github.com/aws/aws-sdk-go-v2") || within(imported, "github.com/aws/smithy-go") || dir == "bedrocktest/fakes3",
					"%s imports %s", dir, imported)
			}
		}
	}
}

// What only tests need is not in a user's binary: testing is imported by
// packages whose name ends in test alone. That testify and goleak are imported
// by none is held by TestDependencies.
func TestNoTestingInBinaries(t *testing.T) {
	for dir, p := range packages(t) {
		if strings.HasSuffix(path.Base(dir), "test") {
			continue
		}
		for _, imported := range p.Imports {
			assert.False(t, within(imported, "testing"), "%s imports %s", dir, imported)
		}
	}
}
