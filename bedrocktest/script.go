package bedrocktest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/mangaassist/bedrockkit"
)

// A Script is a list of replies in a file, each for the requests that it
// matches. It is JSON, an array of steps:
//
//	[
//	  {"when": {"contains": "weather"}, "repeat": true,
//	   "blocks": [{"text": "Let me look."}, {"tool_use": {"name": "weather", "input": {"city": "Tokyo"}}}]},
//	  {"text": "Hello!", "pace": 30},
//	  {"error": "ThrottlingException", "header": {"Retry-After": "2"}},
//	  {"text": "cut in the middle", "faults": ["cut=200"]}
//	]
//
// A request gets the first step that matches it and is not used up. A step is
// used once, or for ever with repeat. The settings of faults are those of
// [ParseFault].
type Script struct {
	mu    sync.Mutex
	steps []*step
}

type step struct {
	When *struct {
		Op        Op                 `json:"op"`
		Model     bedrockkit.ModelID `json:"model"`
		Contains  string             `json:"contains"` // in the last user message, in any case
		ToolError *bool              `json:"tool_error"`
		HasResult *bool              `json:"tool_result"` // the last message holds a tool result
	} `json:"when"`
	Repeat bool `json:"repeat"`

	Text      string                `json:"text"`
	Blocks    []scriptBlock         `json:"blocks"`
	Stop      bedrockkit.StopReason `json:"stop"`
	Usage     *bedrockkit.Usage     `json:"usage"`
	Pace      float64               `json:"pace"`
	ChunkSize int                   `json:"chunk_size"`
	Delay     string                `json:"delay"`
	Header    map[string]string     `json:"header"`
	Faults    []string              `json:"faults"`

	Error   string `json:"error"`
	Status  int    `json:"status"`
	Message string `json:"message"`

	reply *Reply
	used  bool
}

type scriptBlock struct {
	Text      string   `json:"text"`
	Reasoning string   `json:"reasoning"`
	Chunks    []string `json:"chunks"`
	ToolUse   *struct {
		ID    string          `json:"id"`
		Name  string          `json:"name"`
		Input json.RawMessage `json:"input"`
	} `json:"tool_use"`
}

// maxScript bounds a script file in bytes.
const maxScript = 10 << 20

// ParseScript reads a script. It must be at most 10 MiB.
func ParseScript(r io.Reader) (*Script, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxScript+1))
	if err != nil {
		return nil, fmt.Errorf("reading a script: %w", err)
	}
	if len(data) > maxScript {
		return nil, fmt.Errorf("reading a script: it is larger than %d bytes", maxScript)
	}
	s := &Script{}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s.steps); err != nil {
		return nil, fmt.Errorf("reading a script: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading a script: there is more after the array of steps")
	}
	for i, st := range s.steps {
		if st == nil {
			return nil, fmt.Errorf("reading a script: step %d is null", i+1)
		}
		if st.reply, err = st.build(); err != nil {
			return nil, fmt.Errorf("reading a script: step %d: %w", i+1, err)
		}
	}
	return s, nil
}

func (st *step) build() (*Reply, error) {
	if st.When != nil && st.When.Op != AnyOp && !st.When.Op.known() {
		return nil, fmt.Errorf("no such operation: %q", st.When.Op)
	}
	r := NewReply()
	if st.Error != "" {
		r = Exception(st.Error)
		if st.Message != "" {
			r.message = st.Message
		}
		if st.Status != 0 {
			r.status = st.Status
		}
		if r.status < 200 || r.status > 599 {
			return nil, fmt.Errorf("%d is no HTTP status of an answer", r.status)
		}
	}
	if st.Text != "" {
		r.Text(st.Text)
	}
	for i, b := range st.Blocks {
		switch {
		case b.ToolUse != nil && b.ToolUse.Name == "":
			return nil, fmt.Errorf("block %d: the tool has no name", i+1)
		case b.ToolUse != nil:
			r.Block(Block{ToolUse: &ToolCall{ID: b.ToolUse.ID, Name: b.ToolUse.Name, Input: b.ToolUse.Input}})
		case b.Reasoning != "":
			r.Reasoning(b.Reasoning)
		default:
			r.Text(b.Text)
		}
		if b.Chunks != nil {
			r.Chunks(b.Chunks...)
		}
	}
	if st.Delay != "" {
		d, err := time.ParseDuration(st.Delay)
		if err != nil {
			return nil, fmt.Errorf("delay: %w", err)
		}
		r.Delay(d)
	}
	for k, v := range st.Header {
		r.Header(k, v)
	}
	for _, s := range st.Faults {
		f, err := ParseFault(s)
		if err != nil {
			return nil, err
		}
		if f.Instead != nil {
			return nil, fmt.Errorf("fault %q replaces the answer; use the step's error", s)
		}
		f.Apply(r)
	}
	r.Stop(st.Stop).Pace(st.Pace).ChunkSize(st.ChunkSize)
	r.usage = st.Usage
	return r, nil
}

func (st *step) matches(req *Request) bool {
	w := st.When
	if w == nil {
		return true
	}
	results := req.ToolResults()
	failed := false
	for _, r := range results {
		failed = failed || r.Error
	}
	return (w.Op == AnyOp || w.Op == req.Op) &&
		(w.Model == "" || w.Model == req.Model) &&
		strings.Contains(strings.ToLower(req.LastText()), strings.ToLower(w.Contains)) &&
		(w.HasResult == nil || *w.HasResult == (len(results) > 0)) &&
		(w.ToolError == nil || *w.ToolError == failed)
}

// Responder answers by the script, and what it does not answer by next, which
// may be nil.
func (s *Script) Responder(next Responder) Responder {
	return func(ctx context.Context, req *Request) *Reply {
		if r := s.take(req); r != nil {
			return r
		}
		if next == nil {
			return nil
		}
		return next(ctx, req)
	}
}

func (s *Script) take(req *Request) *Reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.steps {
		if !st.used && st.matches(req) {
			st.used = !st.Repeat
			return st.reply
		}
	}
	return nil
}
