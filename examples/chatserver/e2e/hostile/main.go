// Command hostile is the chat server with a model and a catalogue that attack its pages.
// It is for the tests in the browser, which see that nothing comes of it.
//
//	hostile -corpus corpus.json
//
// prints its address. The model answers a question with its words; "tool N" has it search
// for the text N of the corpus first. The fields of the catalogue, and of analyses, are
// texts of the corpus. An analysis with the note "fail once N" fails at the first try.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/examples/chatserver/app"
	"github.com/mangaassist/bedrockkit/examples/chatserver/catalog"
	"github.com/mangaassist/bedrockkit/examples/chatserver/shop"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "hostile:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("hostile", flag.ContinueOnError)
	file := flags.String("corpus", "corpus.json", "`file` of the texts")
	slow := flags.Duration("slow", 0, "`time` that an analysis takes")
	if err := flags.Parse(args); err != nil {
		return err
	}
	texts, err := corpus(*file)
	if err != nil {
		return err
	}
	books, err := library(texts)
	if err != nil {
		return err
	}
	settings := app.FromEnv(func(string) string { return "" })
	settings.Addr, settings.TPS, settings.Cache = "127.0.0.1:0", 1e6, "off"
	settings.Books = books
	settings.Respond = (&model{texts: texts, slow: *slow, tried: map[string]bool{}}).respond
	server, err := app.Build(ctx, settings, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer server.Close()
	listener, err := net.Listen("tcp", settings.Addr)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "http://%s/\n", listener.Addr())
	return server.Serve(ctx, listener)
}

func corpus(file string) ([]string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var entries []struct{ Text string }
	if err := json.Unmarshal(data, &entries); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if len(entries) == 0 {
		return nil, fmt.Errorf("%s has no texts", file)
	}
	var texts []string
	for _, e := range entries {
		texts = append(texts, e.Text)
	}
	return texts, nil
}

// library is a catalogue whose names, authors and descriptions are the texts.
func library(texts []string) (*catalog.Catalog, error) {
	var manga []catalog.Manga
	for i, text := range texts {
		next := texts[(i+1)%len(texts)]
		manga = append(manga, catalog.Manga{
			ID: fmt.Sprintf("MNG-HOST%04d", i), Title: text, Romaji: next, English: text,
			Authors: []catalog.Author{{Name: text, Japanese: next}}, Genres: []catalog.Genre{"horror"},
			StartYear: 2000, EndYear: 2001, Status: catalog.Finished, Volumes: 3, Publisher: text, Magazine: next,
			Description: catalog.Text{EN: text, JA: next},
		})
	}
	data, err := json.Marshal(manga)
	if err != nil {
		return nil, err
	}
	return catalog.Load(strings.NewReader(string(data)))
}

// model plays the model.
type model struct {
	texts []string
	slow  time.Duration

	mu    sync.Mutex
	tried map[string]bool
}

var (
	toolQuestion = regexp.MustCompile(`^tool (\d+)$`)
	failNote     = regexp.MustCompile(`fail once (\d+)`)
	subject      = regexp.MustCompile(`MNG-HOST(\d{4})`)
)

func (m *model) respond(ctx context.Context, r *bedrocktest.Request) *bedrocktest.Reply {
	question := r.LastText()
	schema, tool := r.OutputSchema, ""
	if mode := r.ToolChoice.Mode; schema == nil && (mode == "any" || mode == "tool") && len(r.Tools) == 1 {
		schema, tool = r.Tools[0].Schema, r.Tools[0].Name
	}
	if schema != nil {
		return m.analyse(ctx, question, schema, tool)
	}
	if results := r.ToolResults(); len(results) > 0 {
		return bedrocktest.Text("Found:\n\n" + m.texts[len(r.Messages)%len(m.texts)])
	}
	if found := toolQuestion.FindStringSubmatch(question); found != nil {
		if i, err := strconv.Atoi(found[1]); err == nil && i < len(m.texts) {
			return bedrocktest.ToolUse(shop.SearchMangaCatalogTool, shop.SearchInput{Query: clip(m.texts[i], 200)})
		}
	}
	return bedrocktest.Text(question)
}

// analyse fills the schema with texts of the corpus.
func (m *model) analyse(ctx context.Context, question string, schema json.RawMessage, tool string) *bedrocktest.Reply {
	select {
	case <-time.After(m.slow):
	case <-ctx.Done():
		return nil
	}
	found := subject.FindStringSubmatch(question)
	if note := failNote.FindString(question); note != "" && found != nil {
		m.mu.Lock()
		again := m.tried[note+found[0]]
		m.tried[note+found[0]] = true
		m.mu.Unlock()
		if !again {
			return bedrocktest.Exception("ValidationException")
		}
	}
	at := 0
	if found != nil {
		at, _ = strconv.Atoi(found[1]) // it is digits
	}
	data, err := json.Marshal(m.fill(schema, &at))
	if err != nil {
		return bedrocktest.Exception("ValidationException")
	}
	if tool == "" {
		return bedrocktest.Text(string(data))
	}
	return bedrocktest.NewReply().Block(bedrocktest.Block{ToolUse: &bedrocktest.ToolCall{Name: tool, Input: data}})
}

// fill is a value of a schema with the next text for each string.
func (m *model) fill(schema json.RawMessage, at *int) any {
	var s struct {
		Type       string
		Enum       []any
		Minimum    int
		Items      json.RawMessage
		Properties map[string]json.RawMessage
	}
	if err := json.Unmarshal(schema, &s); err != nil {
		return nil
	}
	switch {
	case len(s.Enum) > 0:
		return s.Enum[0]
	case s.Type == "object":
		object := map[string]any{}
		for name, property := range s.Properties {
			object[name] = m.fill(property, at)
		}
		return object
	case s.Type == "array":
		return []any{m.fill(s.Items, at), m.fill(s.Items, at)}
	case s.Type == "integer" || s.Type == "number":
		return s.Minimum
	case s.Type == "boolean":
		return false
	}
	*at++
	return m.texts[*at%len(m.texts)]
}

func clip(text string, most int) string {
	if r := []rune(text); len(r) > most {
		return string(r[:most])
	}
	return text
}
