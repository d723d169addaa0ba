package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/mangaassist/bedrockkit/batch"
	"github.com/mangaassist/bedrockkit/bedrockx"
	claude "github.com/mangaassist/bedrockkit/bedrockx/anthropic"
	"github.com/mangaassist/bedrockkit/converse"
)

// The files of batch inference: records as they are written, with all checks, and
// results as they are read, beside encoding/json over plain structs, which checks
// nothing.

const (
	plainJSONAnthropic = "encoding/json, Anthropic's body"
	plainJSONConverse  = "encoding/json, Converse"
	batchAnthropic     = "bedrockkit batch, Anthropic's body"
	batchConverse      = "bedrockkit batch, Converse"

	recordsAPiece = 500
)

var (
	enrich      = strings.Repeat("You enrich a manga catalogue: genres, themes, reading level, similar series. Answer in JSON. ", 8)
	description = strings.Repeat("A boy whose body stretches like rubber sails for the treasure that will make him king. 海賊王を目指す少年の冒険譚。", 6)
	enriched    = strings.Repeat("The themes are friendship, freedom and inherited will; it is for readers of twelve years. ", 6)
)

type plainRecord[In any] struct {
	ID    string `json:"recordId"`
	Input In     `json:"modelInput"`
}

type plainBody struct {
	Version   string      `json:"anthropic_version"`
	MaxTokens int         `json:"max_tokens"`
	System    []plainText `json:"system"`
	Messages  []plainTurn `json:"messages"`
}

type plainText struct {
	Type string `json:"type,omitempty"`
	Text string `json:"text"`
}

type plainTurn struct {
	Role    string      `json:"role"`
	Content []plainText `json:"content"`
}

type plainConverse struct {
	Messages  []plainTurn `json:"messages"`
	System    []plainText `json:"system"`
	Inference struct {
		MaxTokens int `json:"maxTokens"`
	} `json:"inferenceConfig"`
}

// counted counts what is written and drops it.
type counted int

func (c *counted) Write(p []byte) (int, error) { *c += counted(len(p)); return len(p), nil }

func writeJSON[In any](record func(i int) In) (int, error) {
	var n counted
	w := bufio.NewWriter(&n)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for i := range recordsAPiece {
		if err := enc.Encode(plainRecord[In]{ID: fmt.Sprintf("title-%d", i), Input: record(i)}); err != nil {
			return 0, err
		}
	}
	return int(n), w.Flush()
}

func writeOurs[In bedrockx.Payload[Out], Out any](w io.Writer, record func(i int) In) (int, error) {
	written, err := batch.Write(w, batch.Job{Model: model}, recordsOf(record))
	return int(written.Bytes), err
}

func recordsOf[In any](record func(i int) In) iter.Seq2[batch.Record[In], error] {
	return func(yield func(batch.Record[In], error) bool) {
		for i := range recordsAPiece {
			if !yield(batch.Record[In]{ID: fmt.Sprintf("title-%d", i), Input: record(i)}, nil) {
				return
			}
		}
	}
}

func anthropicRecord(int) claude.Request {
	return claude.Request{MaxTokens: 200, System: claude.Text(enrich), Messages: []claude.Message{claude.User(description)}}
}

func converseRecord(int) batch.Converse {
	return batch.Converse{MaxTokens: 200, System: converse.Texts(enrich), Messages: []converse.Message{converse.User(description)}}
}

// batch is both together, record by record: what a set costs its process.
func (c *course) batch() (*race, error) {
	written, err := c.written()
	if err != nil {
		return nil, err
	}
	read, err := c.read()
	if err != nil {
		return nil, err
	}
	var both []contestant
	for i, w := range written {
		both = append(both, contestant{w.name, func(ctx context.Context) (int, error) {
			if _, err := w.run(ctx); err != nil {
				return 0, err
			}
			return read[i].run(ctx)
		}})
	}
	r := &race{Title: "Records of batch inference, written, checked and their results read", Per: "record", Baseline: plainJSONAnthropic}
	return r, c.measure(r, both, recordsAPiece, recordsAPiece*len(enriched))
}

func (c *course) records() (*race, error) {
	contestants, err := c.written()
	if err != nil {
		return nil, err
	}
	r := &race{Title: "Records of batch inference, written and checked; 1.5 KB each", Per: "record", Baseline: plainJSONAnthropic}
	return r, c.measure(r, contestants, recordsAPiece, -1)
}

func (c *course) written() ([]contestant, error) {
	var contestants []contestant
	add := func(name string, run func() (int, error)) {
		contestants = append(contestants, contestant{name, func(context.Context) (int, error) {
			n, err := run()
			if err == nil && n < recordsAPiece*(len(enrich)+len(description)) {
				err = fmt.Errorf("%d bytes do not hold the records", n)
			}
			return n, err
		}})
	}
	add(plainJSONAnthropic, func() (int, error) {
		return writeJSON(func(int) plainBody {
			return plainBody{claude.Version, 200, []plainText{{"text", enrich}}, []plainTurn{{"user", []plainText{{"text", description}}}}}
		})
	})
	add(batchAnthropic, func() (int, error) { return writeOurs(io.Discard, anthropicRecord) })
	add(plainJSONConverse, func() (int, error) {
		return writeJSON(func(int) plainConverse {
			v := plainConverse{System: []plainText{{Text: enrich}}, Messages: []plainTurn{{"user", []plainText{{Text: description}}}}}
			v.Inference.MaxTokens = 200
			return v
		})
	})
	add(batchConverse, func() (int, error) { return writeOurs(io.Discard, converseRecord) })
	return contestants, nil
}

type plainAnthropicResult struct {
	ID     string `json:"recordId"`
	Output struct {
		ID         string      `json:"id"`
		Role       string      `json:"role"`
		Model      string      `json:"model"`
		Content    []plainText `json:"content"`
		StopReason string      `json:"stop_reason"`
		Usage      struct {
			Input  int `json:"input_tokens"`
			Output int `json:"output_tokens"`
		} `json:"usage"`
	} `json:"modelOutput"`
}

type plainConverseResult struct {
	ID     string `json:"recordId"`
	Output struct {
		Output struct {
			Message plainTurn `json:"message"`
		} `json:"output"`
		StopReason string `json:"stopReason"`
		Usage      struct {
			Input  int `json:"inputTokens"`
			Output int `json:"outputTokens"`
		} `json:"usage"`
	} `json:"modelOutput"`
}

// outputFile is an output file: the records' lines, with an answer each.
func outputFile[In bedrockx.Payload[Out], Out any](record func(i int) In, answer string) ([]byte, error) {
	var in, out bytes.Buffer
	if _, err := writeOurs(&in, record); err != nil {
		return nil, err
	}
	for line := range bytes.Lines(in.Bytes()) {
		out.Write(bytes.TrimSuffix(line, []byte("}\n")))
		out.WriteString(`,"modelOutput":` + answer + "}\n")
	}
	return out.Bytes(), nil
}

func readJSON[Result any](file []byte, text func(*Result) string) (int, error) {
	n := 0
	lines := bufio.NewReader(bytes.NewReader(file))
	for {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF {
			return n, nil
		}
		var r Result
		if err := json.Unmarshal(line, &r); err != nil {
			return 0, err
		}
		n += len(text(&r))
	}
}

func readOurs[In bedrockx.Payload[Out], Out any](file []byte, text func(Out) string) (int, error) {
	n := 0
	for r, err := range batch.Read[In](bytes.NewReader(file)) {
		if err == nil {
			err = r.Err
		}
		if err != nil {
			return 0, err
		}
		n += len(text(r.Output))
	}
	return n, nil
}

func (c *course) results() (*race, error) {
	contestants, err := c.read()
	if err != nil {
		return nil, err
	}
	r := &race{Title: "Results of batch inference, read; 2 KB each", Per: "record", Baseline: plainJSONAnthropic}
	return r, c.measure(r, contestants, recordsAPiece, recordsAPiece*len(enriched))
}

func (c *course) read() ([]contestant, error) {
	quoted, err := json.Marshal(enriched)
	if err != nil {
		return nil, err
	}
	bodies, err := outputFile(anthropicRecord, fmt.Sprintf(`{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[{"type":"text","text":%s}],`+
		`"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":300,"output_tokens":150}}`, quoted))
	if err != nil {
		return nil, err
	}
	answers, err := outputFile(converseRecord, fmt.Sprintf(`{"output":{"message":{"role":"assistant","content":[{"text":%s}]}},"stopReason":"end_turn",`+
		`"usage":{"inputTokens":300,"outputTokens":150,"totalTokens":450},"metrics":{"latencyMs":900}}`, quoted))
	if err != nil {
		return nil, err
	}
	return []contestant{
		{plainJSONAnthropic, func(context.Context) (int, error) {
			return readJSON(bodies, func(r *plainAnthropicResult) string { return r.Output.Content[0].Text })
		}},
		{batchAnthropic, func(context.Context) (int, error) {
			return readOurs[claude.Request](bodies, claude.Response.Text)
		}},
		{plainJSONConverse, func(context.Context) (int, error) {
			return readJSON(answers, func(r *plainConverseResult) string { return r.Output.Output.Message.Content[0].Text })
		}},
		{batchConverse, func(context.Context) (int, error) {
			return readOurs[batch.Converse](answers, (*converse.Response).Text)
		}},
	}, nil
}
