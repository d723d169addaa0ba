package deploy_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/examples/chatserver/rest"
)

var update = flag.Bool("update", false, "write what is generated, and the golden files, anew")

// A line of a template that ends so is followed by what a source makes.
var generated = regexp.MustCompile(`^( *(?:- )?)[^ #]\S*: (?:\| # from (vtl/\S+)|# from (\w+) (.+))$`)

// The templates hold what their sources say: mapping templates, models of requests,
// ARNs of models. With -update it is written.
func TestGenerated(t *testing.T) {
	for _, file := range templateFiles(t) {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		want := withHash(generate(t, string(data)))
		if *update && want != string(data) {
			require.NoError(t, os.WriteFile(file, []byte(want), 0o644))
			continue
		}
		if want != string(data) {
			t.Errorf("%s does not hold what its sources say; run go test -run TestGenerated -update", file)
		}
	}
}

// generate puts anew what is below the lines that name a source.
func generate(t *testing.T, template string) string {
	var out []string
	lines := strings.Split(template, "\n")
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		out = append(out, line)
		m := generated.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		indent := len(m[1])
		for i+1 < len(lines) && (lines[i+1] == "" || strings.HasPrefix(lines[i+1], strings.Repeat(" ", indent+1))) {
			i++
		}
		for _, l := range strings.Split(strings.TrimRight(source(t, m[3], m[2]+m[4]), "\n"), "\n") {
			if l != "" {
				l = strings.Repeat(" ", indent+2) + l
			}
			out = append(out, l)
		}
	}
	return strings.Join(out, "\n")
}

// source is what a source makes.
func source(t *testing.T, kind, name string) string {
	t.Helper()
	switch kind {
	case "": // a file
		text, err := os.ReadFile(filepath.Join("templates", name))
		require.NoError(t, err)
		return string(text)
	case "rest":
		return requestModel(t, name)
	case "models":
		return modelMap(t, name)
	}
	require.Fail(t, "there is no source", "%s %s", kind, name)
	return ""
}

// requestModel is a schema of package rest as API Gateway takes it: draft 4, with
// neither defaults nor formats (API Gateway Developer Guide, "Important notes").
func requestModel(t *testing.T, name string) string {
	t.Helper()
	var document struct {
		Components struct{ Schemas map[string]any }
	}
	require.NoError(t, json.Unmarshal(rest.Document(), &document))
	schema, ok := document.Components.Schemas[name].(map[string]any)
	require.True(t, ok, "package rest has no schema %s", name)
	plain(schema)
	if items, ok := schema["properties"].(map[string]any)["items"].(map[string]any); ok {
		// A message of SQS is too small for pictures; the HTTP API takes them.
		delete(items["items"].(map[string]any)["properties"].(map[string]any), "image")
	}
	schema["$schema"] = "http://json-schema.org/draft-04/schema#"
	return encode(t, schema)
}

// plain removes the keywords that API Gateway does not know.
func plain(schema map[string]any) {
	for _, keyword := range []string{"default", "format", "description", "title", "example"} {
		delete(schema, keyword)
	}
	if properties, ok := schema["properties"].(map[string]any); ok {
		for _, p := range properties {
			plain(p.(map[string]any))
		}
	}
	if items, ok := schema["items"].(map[string]any); ok {
		plain(items)
	}
}

func encode(t *testing.T, v any) string {
	t.Helper()
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	require.NoError(t, e.Encode(v))
	require.NoError(t, e.Close())
	return b.String()
}

// The models behind the names of the API.
var models = map[string]bedrockkit.ModelID{
	"haiku":  "anthropic.claude-haiku-4-5-20251001-v1:0",
	"sonnet": "anthropic.claude-sonnet-4-6",
}

// geographies are those of the parameter Geography.
var geographies = []string{"us", "eu", "jp", "au", "global"}

// modelMap is a mapping of root.yaml: the profiles, or the ARNs of a model.
func modelMap(t *testing.T, name string) string {
	t.Helper()
	mapping := map[string]map[string]any{}
	set := func(top, second string, value any) {
		if mapping[top] == nil {
			mapping[top] = map[string]any{}
		}
		mapping[top][second] = value
	}
	if name == "profiles" {
		for _, geography := range geographies {
			for name, model := range models {
				profile := profileOf(t, model, geography)
				set(geography, strings.ToUpper(name[:1])+name[1:], string(profile.ID))
			}
		}
		return encode(t, mapping)
	}
	model, ok := models[name]
	require.True(t, ok, "there is no model %s", name)
	for _, geography := range geographies {
		profile := profileOf(t, model, geography)
		require.NotEmpty(t, profile.Routes, "the table of models does not know the regions of %s", profile.ID)
		for _, route := range profile.Routes {
			for _, from := range route.From {
				set(from, geography, modelARNs(model, route.To))
			}
		}
	}
	return encode(t, mapping)
}

func profileOf(t *testing.T, model bedrockkit.ModelID, geography string) bedrockkit.Profile {
	t.Helper()
	capability, ok := bedrockkit.Capabilities(model)
	require.True(t, ok, "the table of models does not have %s", model)
	profile, ok := capability.Profile(geography)
	require.True(t, ok, "%s has no profile of %s", model, geography)
	return profile
}

// modelARNs are the ARNs of a model in regions. A global profile asks for the ARN
// without a region, too (Amazon Bedrock User Guide, "Global cross-Region inference").
func modelARNs(model bedrockkit.ModelID, regions []string) []string {
	var arns []string
	for _, region := range regions {
		arns = append(arns, fmt.Sprintf("arn:aws:bedrock:%s::foundation-model/%s", region, model))
		if region == "*" {
			arns = append(arns, fmt.Sprintf("arn:aws:bedrock:::foundation-model/%s", model))
		}
	}
	slices.Sort(arns)
	return arns
}

var deployment = regexp.MustCompile(`\bDeployment[0-9a-f]{8}\b`)

// withHash names the deployment of an API after the template, so that a change of
// the template makes a new deployment.
func withHash(template string) string {
	sum := sha256.Sum256([]byte(deployment.ReplaceAllString(template, "Deployment")))
	return deployment.ReplaceAllString(template, fmt.Sprintf("Deployment%x", sum[:4]))
}

// A change of a method makes a new deployment.
func TestHashFollows(t *testing.T) {
	before := "  Deployment00000000:\n    Timeout: 29\n"
	after := withHash(strings.Replace(before, "29", "30", 1))
	assert.NotEqual(t, deployment.FindString(withHash(before)), deployment.FindString(after))
	assert.Equal(t, after, withHash(after))
}
