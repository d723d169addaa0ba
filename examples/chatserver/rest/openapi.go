package rest

import (
	_ "embed"
	"encoding/json"
	"net/http"
	"sync"
)

//go:embed openapi.json
var paths []byte

// Document returns the OpenAPI description of the API: the paths with their
// examples, and the schemas that check requests.
func Document() []byte { return document() }

var document = sync.OnceValue(func() []byte {
	var doc map[string]any
	if err := json.Unmarshal(paths, &doc); err != nil {
		panic(err) // it is embedded
	}
	components := map[string]any{}
	for name, raw := range schemas {
		var schema map[string]any
		if err := json.Unmarshal(raw, &schema); err != nil {
			panic(err)
		}
		delete(schema, "$schema") // OpenAPI 3.0 has its own
		delete(schema, "title")
		components[name] = schema
	}
	doc["components"].(map[string]any)["schemas"] = components
	data, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		panic(err)
	}
	return append(data, '\n')
})

func (a *api) document(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Access-Control-Allow-Origin", "*") // it is public
	w.Write(Document())
}

// docsPage is the description for people. A test makes it: a program with
// html/template in it is larger by a third, as the linker must keep all methods.
//
//go:embed docs.html
var docsPage []byte

// docs shows the description.
func (a *api) docs(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	w.Write(docsPage)
}
