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
//	  {"text": "cut in the middle", "faults": ["cut=200"]},
//	  {"when": {"op": "ConverseStream", "tool_result": true, "tool_error": false}, "delay": "2s",
//	   "blocks": [{"reasoning": "Hm."}, {"chunks": ["It is ", "sunny."]}], "stop": "end_turn"}
//	]
//
// A request gets the first step that matches it and is not used up. A step is
// used once, or for ever with repeat. When says which requests: op, model,
// contains (in the last user message, in any case), tool_result (whether the last
// message holds one), tool_error. A step answers with text, blocks or both, in
// which stop, usage, pace (tokens a second) and chunk_size (runes) may be set;
// or with an error, a status, or both, and a message. Any may have a delay and a
// header. Its faults say what happens to it, with the settings of [ParseFault].
type Script struct {
	mu    sync.Mutex
	steps []*step
}

type step struct {
	When *struct {
		Op        bedrockkit.Operation `json:"op"`
		Model     bedrockkit.ModelID   `json:"model"`
		Contains  string               `json:"contains"` // in the last user message, in any case
		ToolError *bool                `json:"tool_error"`
		HasResult *bool                `json:"tool_result"` // the last message holds a tool result
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

// A scriptBlock holds one of text, reasoning and a tool's use. Chunks alone are
// those of a text.
type scriptBlock struct {
	Text      *string  `json:"text"`
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
	var raw []json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			line := 1 + bytes.Count(data[:min(syntax.Offset, int64(len(data)))], []byte("\n"))
			return nil, fmt.Errorf("reading a script: line %d: %w", line, err)
		}
		return nil, fmt.Errorf("reading a script: it must be an array of steps: %w", err)
	}
	s := &Script{}
	for i, b := range raw {
		var st *step
		dec := json.NewDecoder(bytes.NewReader(b))
		dec.DisallowUnknownFields()
		err := dec.Decode(&st)
		switch {
		case err != nil:
		case st == nil:
			err = errors.New("it is null")
		default:
			st.reply, err = st.build()
		}
		if err != nil {
			return nil, fmt.Errorf("reading a script: step %d: %w", i+1, err)
		}
		s.steps = append(s.steps, st)
	}
	return s, nil
}

func (st *step) build() (*Reply, error) {
	if st.When != nil && st.When.Op != AnyOp && !known(st.When.Op) {
		return nil, fmt.Errorf("no such operation: %q", st.When.Op)
	}
	r := NewReply()
	if st.Error != "" || st.Status != 0 {
		var err error
		if r, err = st.failure(); err != nil {
			return nil, err
		}
	} else if st.Message != "" {
		return nil, errors.New("the message is that of an error; use text for what the model says")
	}
	if st.Text != "" {
		r.Text(st.Text)
	}
	for i, b := range st.Blocks {
		if err := b.add(r); err != nil {
			return nil, fmt.Errorf("block %d: %w", i+1, err)
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
		switch {
		case err != nil:
			return nil, err
		case f.Instead != nil:
			return nil, fmt.Errorf("fault %q replaces the answer; use the step's error", s)
		case f.Op != AnyOp || f.Nth != 0 || f.Every != 0 || f.Chance != 0:
			return nil, fmt.Errorf("fault %q: a step's faults say what happens to its answer; which requests it is for is said by when", s)
		}
		f.Apply(r)
	}
	switch {
	case st.Pace < 0 || st.ChunkSize < 0 || r.delay < 0:
		return nil, errors.New("pace, chunk_size and delay are 0 or more")
	case r.status == 0 && len(r.blocks) == 0 && st.Stop == "" && len(st.Faults) == 0:
		return nil, errors.New("it says nothing; text, blocks, error or status is expected")
	}
	r.Stop(st.Stop).Pace(st.Pace).ChunkSize(st.ChunkSize)
	r.usage = st.Usage
	return r, nil
}

// failure is the reply of a step that says an error, or a status alone.
func (st *step) failure() (*Reply, error) {
	_, known := exceptions[st.Error]
	switch {
	case st.Text != "" || len(st.Blocks) > 0:
		return nil, errors.New("it is an answer and an error at once")
	case st.Error != "" && !known && st.Status == 0:
		return nil, fmt.Errorf("no such exception of Bedrock Runtime: %q; one of your own needs a status", st.Error)
	case st.Status != 0 && (st.Status < 200 || st.Status > 599):
		return nil, fmt.Errorf("%d is no HTTP status of an answer", st.Status)
	}
	r := Error(st.Status, "", "")
	if st.Error != "" {
		r = Exception(st.Error)
	}
	if st.Status != 0 {
		r.status = st.Status
	}
	if st.Message != "" {
		r.message = st.Message
	}
	return r, nil
}

// add adds the block to a reply.
func (b scriptBlock) add(r *Reply) error {
	kinds := 0
	for _, is := range []bool{b.Text != nil, b.Reasoning != "", b.ToolUse != nil} {
		if is {
			kinds++
		}
	}
	switch {
	case kinds > 1 || kinds == 0 && b.Chunks == nil:
		return errors.New("one of text, reasoning and tool_use is expected")
	case b.ToolUse != nil && b.ToolUse.Name == "":
		return errors.New("the tool has no name")
	case b.ToolUse != nil:
		r.Block(Block{ToolUse: &ToolCall{ID: b.ToolUse.ID, Name: b.ToolUse.Name, Input: b.ToolUse.Input}})
	case b.Reasoning != "":
		r.Reasoning(b.Reasoning)
	case b.Text != nil:
		r.Text(*b.Text)
	default:
		r.Text("")
	}
	if b.Chunks != nil {
		r.Chunks(b.Chunks...)
	}
	return nil
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
