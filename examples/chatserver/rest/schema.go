package rest

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

//go:embed schemas/*.json
var schemaFiles embed.FS

// schemas are the schemas by their names, such as MangaQueryRequest.
var schemas = func() map[string]json.RawMessage {
	files, err := schemaFiles.ReadDir("schemas")
	if err != nil {
		panic(err) // they are embedded
	}
	all := map[string]json.RawMessage{}
	for _, f := range files {
		data, err := schemaFiles.ReadFile(path.Join("schemas", f.Name()))
		if err != nil {
			panic(err)
		}
		all[strings.TrimSuffix(f.Name(), ".json")] = data
	}
	return all
}()

var (
	querySchema = compile("MangaQueryRequest")
	batchSchema = compile("BatchAnalysisRequest")

	summarySchema = compile("DailySummaryRequest")
)

// Schema returns a schema by its name, such as "FullEnrichment": the JSON of the file
// of that name, without what says which dialect it is in. It panics if there is none.
func Schema(name string) json.RawMessage {
	var schema map[string]json.RawMessage
	if err := json.Unmarshal(schemas[name], &schema); err != nil {
		panic(fmt.Errorf("schema %s: %w", name, err)) // it is embedded
	}
	delete(schema, "$schema")
	delete(schema, "title")
	data, err := json.Marshal(schema)
	if err != nil {
		panic(err)
	}
	return data
}

// Validate holds JSON against the schema of a name and returns what is wrong.
func Validate(name string, data []byte) []Detail {
	value, err := parse(data)
	if bad := (*bodyError)(nil); errors.As(err, &bad) {
		return []Detail{bad.Detail}
	}
	return validate(compiled(name), value)
}

var compiledSchemas sync.Map // of *jsonschema.Schema, by name

func compiled(name string) *jsonschema.Schema {
	schema, ok := compiledSchemas.Load(name)
	if !ok {
		schema, _ = compiledSchemas.LoadOrStore(name, compile(name))
	}
	return schema.(*jsonschema.Schema)
}

func compile(name string) *jsonschema.Schema {
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(schemas[name])))
	if err == nil {
		err = c.AddResource(name, doc)
	}
	if err != nil {
		panic(fmt.Errorf("schema %s: %w", name, err)) // it is embedded
	}
	return c.MustCompile(name)
}

// A Detail says what is wrong at one place of a body.
type Detail struct {
	Path      string `json:"path"` // a JSON pointer; empty for the whole body
	Message   string `json:"message"`
	Validator string `json:"validator"` // the keyword of the schema, such as "maxLength"
}

var english = message.NewPrinter(language.English)

// validate holds a value against a schema. It returns what is wrong, in the
// order of the paths.
func validate(schema *jsonschema.Schema, value any) []Detail {
	var invalid *jsonschema.ValidationError
	if err := schema.Validate(value); !errors.As(err, &invalid) {
		return nil
	}
	details := leaves(invalid, nil)
	slices.SortStableFunc(details, func(a, b Detail) int { return strings.Compare(a.Path, b.Path) })
	return details
}

// leaves adds the errors that have no cause of their own.
func leaves(e *jsonschema.ValidationError, details []Detail) []Detail {
	if len(e.Causes) > 0 {
		for _, cause := range e.Causes {
			details = leaves(cause, details)
		}
		return details
	}
	keywords := e.ErrorKind.KeywordPath()
	validator := "schema"
	if len(keywords) > 0 {
		validator = keywords[len(keywords)-1]
	}
	return append(details, Detail{pointer(e.InstanceLocation), e.ErrorKind.LocalizedString(english), validator})
}

// pointer is a JSON pointer (RFC 6901).
func pointer(location []string) string {
	var b strings.Builder
	for _, step := range location {
		b.WriteByte('/')
		b.WriteString(strings.NewReplacer("~", "~0", "/", "~1").Replace(step))
	}
	return b.String()
}
