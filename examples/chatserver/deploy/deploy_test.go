package deploy_test

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// templateFiles are the templates, the root among them.
func templateFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("templates/*.yaml")
	require.NoError(t, err)
	require.Contains(t, files, "templates/root.yaml")
	return files
}

// A template is one of them. An intrinsic function is a mapping with its long name,
// such as {"Ref": "Api"}.
type template struct {
	Parameters, Conditions, Resources, Outputs map[string]any
}

func read(t *testing.T, file string) template {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	var node yaml.Node
	require.NoError(t, yaml.Unmarshal(data, &node), file)
	top, ok := value(t, node.Content[0]).(map[string]any)
	require.True(t, ok, file)
	section := func(name string) map[string]any {
		s, _ := top[name].(map[string]any)
		return s
	}
	return template{section("Parameters"), section("Conditions"), section("Resources"), section("Outputs")}
}

// value is a node as maps, slices, strings, numbers and booleans. CloudFormation
// takes neither anchors nor merges.
func value(t *testing.T, n *yaml.Node) any {
	t.Helper()
	require.Empty(t, n.Anchor, "line %d has an anchor", n.Line)
	require.NotEqual(t, yaml.AliasNode, n.Kind, "line %d has an alias", n.Line)
	if strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!") {
		name := n.Tag[1:]
		inner := *n
		inner.Tag = ""
		v := value(t, &inner)
		switch name {
		case "Ref", "Condition":
			return map[string]any{name: v}
		case "GetAtt":
			return map[string]any{"Fn::GetAtt": strings.SplitN(fmt.Sprint(v), ".", 2)}
		}
		return map[string]any{"Fn::" + name: v}
	}
	switch n.Kind {
	case yaml.MappingNode:
		m := map[string]any{}
		for i := 0; i < len(n.Content); i += 2 {
			key := n.Content[i].Value
			require.NotContains(t, m, key, "line %d: the key is there twice", n.Content[i].Line)
			m[key] = value(t, n.Content[i+1])
		}
		return m
	case yaml.SequenceNode:
		s := []any{}
		for _, c := range n.Content {
			s = append(s, value(t, c))
		}
		return s
	}
	var v any
	n = &yaml.Node{Kind: n.Kind, Tag: n.Tag, Value: n.Value, Style: n.Style}
	require.NoError(t, n.Decode(&v))
	return v
}

// walk calls visit with each mapping in a value.
func walk(v any, visit func(map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		visit(v)
		for _, inner := range v {
			walk(inner, visit)
		}
	case []any:
		for _, inner := range v {
			walk(inner, visit)
		}
	}
}

var variable = regexp.MustCompile(`\$\{([\w.:]+)\}`)

// references are the names that a template refers to, by Ref, Sub and GetAtt.
func (x template) references() map[string]bool {
	found := map[string]bool{}
	for _, section := range []any{x.Conditions, x.Resources, x.Outputs} {
		walk(section, func(m map[string]any) {
			if name, ok := m["Ref"].(string); ok {
				found[name] = true
			}
			if path, ok := m["Fn::GetAtt"].([]string); ok {
				found[path[0]] = true
			}
			text, ok := m["Fn::Sub"].(string)
			if list, isList := m["Fn::Sub"].([]any); isList {
				text, ok = list[0].(string), true
			}
			if ok {
				for _, v := range variable.FindAllStringSubmatch(text, -1) {
					found[strings.SplitN(v[1], ".", 2)[0]] = true
				}
			}
		})
	}
	return found
}

func properties(resource any) map[string]any {
	p, _ := resource.(map[string]any)["Properties"].(map[string]any)
	return p
}

// nested returns the files of the nested stacks of the root, by their names.
func nested(t *testing.T, root template) map[string]string {
	t.Helper()
	files := map[string]string{}
	for name, r := range root.Resources {
		url := properties(r)["TemplateURL"].(map[string]any)["Fn::Sub"].(string)
		files[name] = "templates/" + url[strings.LastIndexByte(url, '/')+1:]
	}
	return files
}

// The root passes to each nested stack what it needs and what it knows, asks for
// outputs that are there, and leaves no template out. No parameter is without use.
func TestNestedStacks(t *testing.T) {
	root := read(t, "templates/root.yaml")
	files := nested(t, root)
	for _, file := range templateFiles(t) {
		x := read(t, file)
		used := x.references()
		for name := range x.Parameters {
			assert.True(t, used[name], "%s does not use its parameter %s", file, name)
		}
		if file != "templates/root.yaml" {
			assert.Contains(t, slices.Collect(maps.Values(files)), file, "root.yaml does not have it")
		}
	}
	for stack, file := range files {
		x := read(t, file)
		passed, _ := properties(root.Resources[stack])["Parameters"].(map[string]any)
		for name := range passed {
			assert.Contains(t, x.Parameters, name, "root.yaml passes to %s what it does not take", stack)
		}
		for name, p := range x.Parameters {
			_, hasDefault := p.(map[string]any)["Default"]
			_, isPassed := passed[name]
			assert.True(t, hasDefault || isPassed, "root.yaml does not pass %s to %s, and it has no default", name, stack)
		}
	}
	for _, section := range []any{root.Resources, root.Outputs} {
		walk(section, func(m map[string]any) {
			path, ok := m["Fn::GetAtt"].([]string)
			if !ok {
				return
			}
			output, isOutput := strings.CutPrefix(path[1], "Outputs.")
			require.True(t, isOutput, "%v", path)
			require.Contains(t, files, path[0])
			assert.Contains(t, read(t, files[path[0]]).Outputs, output, "%s has no such output", path[0])
		})
	}
}

// The defaults switch on nothing that is open to the internet or that costs money
// by itself, and nothing has to be known but where the programs are.
func TestDefaults(t *testing.T) {
	root := read(t, "templates/root.yaml")
	var needed []string
	for name, p := range root.Parameters {
		p := p.(map[string]any)
		assert.NotEmpty(t, p["Description"], name)
		if _, ok := p["Default"]; !ok {
			needed = append(needed, name)
		}
	}
	slices.Sort(needed)
	assert.Equal(t, []string{"ArtifactBucket", "Image"}, needed)
	for name, want := range map[string]any{"CertificateArn": "", "Nightly": "DISABLED", "JwtIssuer": ""} {
		assert.Equal(t, want, root.Parameters[name].(map[string]any)["Default"], name)
	}
}

var account = regexp.MustCompile(`\b\d{12}\b`)

// Nothing names an account. Checks and goldens have AWS's example, 123456789012.
func TestNoAccount(t *testing.T) {
	require.NoError(t, filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if entry.Name() == "node_modules" {
				return fs.SkipDir
			}
			return nil
		}
		if entry.Name() == "package-lock.json" || filepath.Ext(path) == ".go" {
			return nil
		}
		data, err := os.ReadFile(path)
		for _, id := range account.FindAllString(string(data), -1) {
			top, _, _ := strings.Cut(filepath.ToSlash(path), "/")
			assert.True(t, (top == "check" || top == "testdata") && id == "123456789012", "%s has the account %s", path, id)
		}
		return err
	}))
}

// places are the roles of README.md, with the resource that has their environment.
var places = map[string][2]string{
	"rest": {"functions", "Rest"}, "stream": {"functions", "Stream"}, "socket": {"functions", "Socket"},
	"jobs": {"functions", "Jobs"}, "notify": {"functions", "Notify"},
	"api": {"service", "ApiTask"}, "worker": {"service", "WorkerTask"},
}

// environments are the names of the variables that each role has.
func environments(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	for role, place := range places {
		x := read(t, "templates/"+place[0]+".yaml")
		p := properties(x.Resources[place[1]])
		require.NotNil(t, p, role)
		var names []string
		if env, ok := p["Environment"].(map[string]any); ok {
			names = slices.Collect(maps.Keys(env["Variables"].(map[string]any)))
		} else {
			container := p["ContainerDefinitions"].([]any)[0].(map[string]any)
			for _, key := range []string{"Environment", "Secrets"} {
				for _, e := range container[key].([]any) {
					names = append(names, e.(map[string]any)["Name"].(string))
				}
			}
		}
		slices.Sort(names)
		found[role] = names
	}
	return found
}

var row = regexp.MustCompile("(?m)^\\| `(MANGA_[A-Z_]+)` \\|.*\\| ([^|]+) \\|$")

// The templates set what README.md says, for each role.
func TestSettings(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	want := map[string][]string{}
	for _, m := range row.FindAllStringSubmatch(string(readme), -1) {
		for _, role := range strings.Split(m[2], ", ") {
			role = strings.Trim(role, "`")
			want[role] = append(want[role], m[1])
		}
	}
	for _, names := range want {
		slices.Sort(names)
	}
	assert.Equal(t, want, environments(t))
}

var setting = regexp.MustCompile(`\bMANGA_[A-Z][A-Z_]*[A-Z]\b`)

// What a program reads from its environment is set by a template.
func TestSettingsOfPrograms(t *testing.T) {
	set := map[string]bool{}
	for _, names := range environments(t) {
		for _, name := range names {
			set[name] = true
		}
	}
	require.NoError(t, filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		data, err := os.ReadFile(path)
		for _, name := range setting.FindAllString(string(data), -1) {
			assert.True(t, set[name], "%s reads %s, which no template sets", path, name)
		}
		return err
	}))
}

// The queues are as docs/async.md says: fourteen days, ten receives or more, a
// hundred of an ordered one, and a visibility of six times the function's timeout.
func TestQueues(t *testing.T) {
	x := read(t, "templates/queues.yaml")
	letters := map[string]bool{}
	count := 0
	for name, r := range x.Resources {
		if r.(map[string]any)["Type"] != "AWS::SQS::Queue" {
			continue
		}
		count++
		p := properties(r)
		assert.Equal(t, 14*24*60*60, p["MessageRetentionPeriod"], name)
		assert.Equal(t, true, p["SqsManagedSseEnabled"], name)
		redrive, ok := p["RedrivePolicy"].(map[string]any)
		if !ok {
			letters[name] = true
			continue
		}
		dead := redrive["deadLetterTargetArn"].(map[string]any)["Fn::GetAtt"].([]string)[0]
		fifo := p["FifoQueue"] == true
		assert.Equal(t, fifo, properties(x.Resources[dead])["FifoQueue"] == true, "%s and %s are of two kinds", name, dead)
		least := 10
		if fifo {
			least = 100
		}
		assert.GreaterOrEqual(t, redrive["maxReceiveCount"], least, name)
	}
	assert.Equal(t, 7, count)
	assert.Len(t, letters, 2)
	functions := read(t, "templates/functions.yaml")
	timeout := properties(functions.Resources["Jobs"])["Timeout"].(int)
	assert.Equal(t, 6*timeout, x.Parameters["VisibilityTimeout"].(map[string]any)["Default"])
	for name, r := range functions.Resources {
		if r.(map[string]any)["Type"] == "AWS::Lambda::EventSourceMapping" {
			assert.Equal(t, []any{"ReportBatchItemFailures"}, properties(r)["FunctionResponseTypes"], name)
		}
	}
}

// The tables have the keys of the packages that use them, and a time to live.
func TestTables(t *testing.T) {
	x := read(t, "templates/data.yaml")
	keys := map[string]string{}
	for name, r := range x.Resources {
		if r.(map[string]any)["Type"] != "AWS::DynamoDB::Table" {
			continue
		}
		p := properties(r)
		assert.Equal(t, map[string]any{"AttributeName": "expires_at", "Enabled": true}, p["TimeToLiveSpecification"], name)
		assert.Equal(t, "PAY_PER_REQUEST", p["BillingMode"], name)
		keys[name] = p["KeySchema"].([]any)[0].(map[string]any)["AttributeName"].(string)
	}
	assert.Equal(t, map[string]string{"Sessions": "id", "Products": "manga_id", "Status": "request_id", "Webhooks": "id", "Connections": "connection_id"}, keys)
}

// Every log group forgets, and no log has what people ask.
func TestLogs(t *testing.T) {
	groups := 0
	for _, file := range templateFiles(t) {
		for name, r := range read(t, file).Resources {
			p := properties(r)
			switch r.(map[string]any)["Type"] {
			case "AWS::Logs::LogGroup":
				groups++
				assert.Equal(t, map[string]any{"Ref": "LogDays"}, p["RetentionInDays"], "%s: %s", file, name)
			case "AWS::StepFunctions::StateMachine":
				assert.Equal(t, false, p["LoggingConfiguration"].(map[string]any)["IncludeExecutionData"], name)
			}
			walk(p, func(m map[string]any) {
				if trace, ok := m["DataTraceEnabled"]; ok {
					assert.Equal(t, false, trace, "%s: %s", file, name)
				}
			})
		}
	}
	assert.Greater(t, groups, 7)
}

// An alarm has no more metrics than CloudWatch takes: ten in its expressions.
func TestAlarms(t *testing.T) {
	alarms := 0
	for name, r := range read(t, "templates/observe.yaml").Resources {
		p := properties(r)
		if r.(map[string]any)["Type"] != "AWS::CloudWatch::Alarm" {
			continue
		}
		alarms++
		assert.LessOrEqual(t, len(p["Metrics"].([]any)), 10, name)
		assert.NotEmpty(t, p["AlarmDescription"], name)
	}
	assert.Greater(t, alarms, 10)
}
