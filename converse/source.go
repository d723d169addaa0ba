package converse

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"github.com/mangaassist/bedrockkit/stream"
)

// SourceOptions are the options of [NewSource]. The zero value of a field means its
// default.
type SourceOptions struct {
	// ToolResults is how many bytes of the text of a tool's result are sent to the
	// reader. The default is 0: the reader sees only whether the tool failed. Images
	// and documents are never sent.
	ToolResults int
}

// A Source is a tool loop as messages. It is a [stream.Source] for [stream.Write] and
// [stream.Broadcast]. [Client.Source] here and in package session return one.
//
// Its messages are the text and the reasoning of each round, the tools that the model
// asks for and their results, the usage and cost of each round, and at the end the
// stop reason, usage and cost of the whole loop. A loop that waits for the user
// ([ErrPending]) ends with a message of type complete, which names the waiting calls.
// A loop that a tool stopped ([ErrStopped]) also ends with complete.
//
// An error has the code that [stream.ErrorMessage] gives it. For a bound of the loop
// the code is max_rounds, max_tool_calls, max_run_tokens, max_run_cost or
// max_run_time. The text of an error is never sent. Messages yields the error with the
// last message, for the log.
//
// Close cancels the loop. If the reader leaves, the loop is canceled too; the reader
// then waits until it has ended, so that a session is saved.
type Source struct {
	events  func(context.Context) iter.Seq2[RunEvent, error]
	options SourceOptions
	ctx     context.Context
	cancel  context.CancelCauseFunc
	used    atomic.Bool
	result  atomic.Pointer[RunResult]
}

var _ stream.Source = (*Source)(nil)

// Source returns the loop of [Client.RunStream] as a source. The loop begins when the
// source is read, and ends if ctx ends.
func (c *Client) Source(ctx context.Context, req Request, optFns ...func(*Options)) *Source {
	return NewSource(ctx, func(ctx context.Context) iter.Seq2[RunEvent, error] {
		return c.RunStream(ctx, req, optFns...)
	})
}

// NewSource returns the events of a loop as a source: the events of
// [Client.RunStream], or of your own function around it. The function must end when
// its context ends.
//
//	answer := converse.NewSource(ctx, func(ctx context.Context) iter.Seq2[converse.RunEvent, error] {
//		return chat.RunStream(ctx, request)
//	}, func(o *converse.SourceOptions) { o.ToolResults = 2000 })
func NewSource(ctx context.Context, events func(context.Context) iter.Seq2[RunEvent, error], optFns ...func(*SourceOptions)) *Source {
	s := &Source{events: events}
	for _, fn := range optFns {
		fn(&s.options)
	}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	return s
}

// Close cancels the loop. A running read of Messages then ends with an error message
// with the code canceled.
func (s *Source) Close() error {
	s.cancel(stream.ErrClosed)
	return nil
}

// Result returns the result of the loop, with the conversation to keep for the next
// request. It is nil until the loop has ended.
func (s *Source) Result() *RunResult { return s.result.Load() }

// Messages yields the loop's messages; see [Source]. A source can be read once; a
// second read returns [stream.ErrUsed].
func (s *Source) Messages() iter.Seq2[stream.Message, error] {
	return func(yield func(stream.Message, error) bool) {
		if s.used.Swap(true) {
			yieldError(yield, stream.ErrUsed, 1)
			return
		}
		defer s.Close()
		var sequence int64
		names := map[string]string{} // of the tools, by the id of the use
		ended := false               // by its last message, or by the reader
		for ev, err := range s.events(s.ctx) {
			if ev.Result != nil {
				s.result.Store(ev.Result)
			}
			if ended {
				continue // it is canceled, and comes to its end
			}
			m := s.message(ev, err, names)
			if m.Type == "" {
				continue
			}
			sequence++
			m.Sequence = sequence
			if ended = !yield(m, err) || m.Last(); ended {
				s.Close()
			}
		}
		if !ended {
			yieldError(yield, errors.New("the loop ended without a result"), sequence+1)
		}
	}
}

// yieldError yields the message of an error.
func yieldError(yield func(stream.Message, error) bool, err error, sequence int64) {
	m := stream.ErrorMessage(err)
	m.Sequence = sequence
	yield(m, err)
}

// message is the message of an event, the zero one if it has none.
func (s *Source) message(ev RunEvent, err error, names map[string]string) stream.Message {
	switch {
	case err != nil || ev.Result != nil:
		return lastMessage(ev.Result, err)
	case ev.Text != "":
		return stream.Message{Type: stream.TypeToken, Round: ev.Round, Data: ev.Text}
	case ev.Reasoning != "":
		return stream.Message{Type: stream.TypeReasoning, Round: ev.Round, Data: ev.Reasoning}
	case ev.ToolUse != nil:
		names[ev.ToolUse.ID] = ev.ToolUse.Name
		m := stream.Message{Type: stream.TypeToolUse, Round: ev.Round, ToolUseID: ev.ToolUse.ID, ToolName: ev.ToolUse.Name, Input: ev.ToolUse.Input}
		if len(m.Input) == 0 {
			m.Input = json.RawMessage("{}")
		}
		return m
	case ev.ToolResult != nil:
		m := stream.Message{Type: stream.TypeToolResult, Round: ev.Round, ToolUseID: ev.ToolResult.ToolUseID, ToolName: names[ev.ToolResult.ToolUseID], Status: stream.StatusSuccess}
		if ev.ToolResult.Status == ToolError {
			m.Status = stream.StatusError
		}
		m.Data, m.Truncated = shown(ev.ToolResult.Content, s.options.ToolResults)
		return m
	case ev.Response != nil:
		m := stream.Message{Type: stream.TypeUsage, Round: ev.Round, Usage: &ev.Response.Usage, StopReason: ev.Response.StopReason}
		if ev.Response.Cost != nil {
			m.Cost = ev.Response.Cost.String()
		}
		return m
	}
	return stream.Message{}
}

// lastMessage is the message that ends a loop.
func lastMessage(r *RunResult, err error) stream.Message {
	m := stream.Message{Type: stream.TypeComplete}
	switch pending, _ := err.(*PendingError); {
	case pending != nil:
		for _, c := range pending.Calls {
			m.Pending = append(m.Pending, stream.Pending{ToolUseID: c.ToolUse.ID, ToolName: c.ToolUse.Name, Question: c.Question})
		}
	case err != nil && errors.Unwrap(err) != ErrStopped:
		m = stream.ErrorMessage(err)
	}
	if r == nil {
		return m
	}
	if last := r.Last(); last != nil {
		m.Usage = &r.Usage
		if m.Type == stream.TypeComplete {
			m.StopReason = last.StopReason
		}
		if r.Cost != nil {
			m.Cost = r.Cost.String()
		}
	}
	return m
}

// shown is the beginning of the text of a tool's result, and whether there is
// more of it.
func shown(content Contents, most int) (text string, cut bool) {
	if most <= 0 {
		return "", false
	}
	var b strings.Builder
	for _, c := range content {
		var piece string
		switch c := c.(type) {
		case Text:
			piece = string(c)
		case JSON:
			piece = string(c)
		}
		if piece == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		if b.WriteString(piece); b.Len() > most {
			break
		}
	}
	if text = b.String(); len(text) <= most {
		return text, false
	}
	for !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most], true
}
