package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"time"

	"github.com/mangaassist/bedrockkit/bedrocktest"
)

// The fake of package bedrocktest is a server; its requests are made here without a
// network, so that a client's part is not counted.

const (
	bareHandler  = "limit: a handler that copies the same bytes"
	fakeConverse = "bedrocktest, Converse"
	fakeStream   = "bedrocktest, ConverseStream of 300 tokens"
	fakeTyped    = "bedrocktest, InvokeModel"

	fakeRequests = 50      // in a piece of work
	fakeHeld     = 4 << 20 // the bound that the fake is given, in bytes
	fakeSoak     = 20_000  // requests after which it may hold no more
	fakeMargin   = 4 << 20 // for its tables, and for the size of a request's struct
	fakeQuestion = 1000    // bytes
	fakeAccess   = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/us-east-1/bedrock/aws4_request, SignedHeaders=host;x-amz-date, Signature=" +
		"5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
)

// sink is a response that is dropped; flushes cost nothing.
type sink struct {
	header http.Header
	status int
	bytes  int
}

func (s *sink) Header() http.Header { return s.header }
func (s *sink) WriteHeader(n int)   { s.status = n }
func (s *sink) Flush()              {}

func (s *sink) Write(p []byte) (int, error) {
	if s.status == 0 {
		s.status = http.StatusOK
	}
	s.bytes += len(p)
	return len(p), nil
}

// fake races the fake's operations beside a handler that only copies.
func (c *course) fake() (*race, error) {
	answer := strings.TrimSpace(strings.Repeat("manga ", 300))
	srv, err := bedrocktest.New(func(o *bedrocktest.Options) {
		o.InProcess = true
		o.KeepBytes = fakeHeld
		o.Responder = func(context.Context, *bedrocktest.Request) *bedrocktest.Reply { return bedrocktest.Text(answer) }
	})
	if err != nil {
		return nil, err
	}
	defer srv.Close()
	question := strings.Repeat("manga ", fakeQuestion/6)
	converse := fmt.Sprintf(`{"messages":[{"role":"user","content":[{"text":%q}]}],"inferenceConfig":{"maxTokens":500}}`, question)
	invoke := fmt.Sprintf(`{"anthropic_version":"bedrock-2023-05-31","max_tokens":500,"messages":[{"role":"user","content":%q}]}`, question)
	ask := func(h http.Handler, operation, body string) (int, error) {
		r := httptest.NewRequest(http.MethodPost, "/model/"+model+"/"+operation, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", fakeAccess)
		r.Header.Set("X-Amz-Date", "20260101T000000Z")
		w := &sink{header: http.Header{}}
		h.ServeHTTP(w, r)
		if w.status != http.StatusOK || w.bytes < len(answer) {
			return 0, fmt.Errorf("status %d with %d bytes", w.status, w.bytes)
		}
		return w.bytes, nil
	}
	copied := []byte(answer)
	bare := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.Write(copied)
	})
	took := map[string]time.Duration{}
	count := map[string]int{}
	operation := func(name string, h http.Handler, operation, body string) contestant {
		return contestant{name, func(context.Context) (int, error) {
			began := time.Now()
			for range fakeRequests {
				if _, err := ask(h, operation, body); err != nil {
					return 0, err
				}
			}
			took[name] += time.Since(began)
			count[name] += fakeRequests
			return 0, nil
		}}
	}
	contestants := []contestant{
		operation(bareHandler, bare, "converse", converse),
		operation(fakeConverse, srv, "converse", converse),
		operation(fakeTyped, srv, "invoke", invoke),
		operation(fakeStream, srv, "converse-stream", converse),
	}
	r := &race{Title: "The fake of bedrocktest without a network; a question of 1 KB, an answer of 300 tokens", Per: "request", Baseline: bareHandler}
	if err := c.measure(r, contestants, fakeRequests, -1); err != nil {
		return nil, err
	}
	for i, row := range r.Rows {
		r.Rows[i].Rate = float64(count[row.Name]) / took[row.Name].Seconds()
	}

	// Its memory is bounded: another twenty thousand requests leave it as it was.
	runtime.GC()
	before := footprint()
	for range min(fakeSoak, 1000*c.work) {
		if _, err := ask(srv, "converse", converse); err != nil {
			return nil, err
		}
	}
	runtime.GC()
	after := footprint()
	if grown := after.bytes - before.bytes; grown > fakeHeld+fakeMargin {
		return nil, fmt.Errorf("the fake holds %d bytes more than before", grown)
	}
	r.Note = fmt.Sprintf("The fake remembers %d requests, of at most %d MiB; the process then holds %.1f MiB.",
		len(srv.Requests()), fakeHeld>>20, float64(after.bytes)/(1<<20))
	return r, nil
}
