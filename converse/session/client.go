package session

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/converse"
)

// Options are those of a [Client]. The zero value of a field means its default.
type Options struct {
	// MaxTokens is how many tokens a history may have, with the new messages,
	// before its beginning is cut. The default is 50,000.
	MaxTokens int

	// KeepTokens is how many are kept then. The default is half of MaxTokens.
	KeepTokens int

	// Summarize returns a summary of what is cut, which then begins the
	// history; see [Summarizer]. By default what is cut is gone. An error ends
	// the request.
	Summarize func(ctx context.Context, cut []converse.Message) (string, error)

	// EstimateTokens counts the tokens of a message. The default is the
	// function of that name.
	EstimateTokens func(converse.Message) int

	// SaveTimeout bounds the saving of a history. It is saved also where the
	// request's own context has ended. The default is 10 s.
	SaveTimeout time.Duration
}

// A Client holds conversations that are stored. It is safe for concurrent use.
type Client struct {
	chat    *converse.Client
	store   Store
	options Options
}

// New returns a client that asks chat and keeps the histories in store.
func New(chat *converse.Client, store Store, optFns ...func(*Options)) *Client {
	var o Options
	for _, fn := range optFns {
		fn(&o)
	}
	if o.MaxTokens <= 0 {
		o.MaxTokens = 50_000
	}
	if o.KeepTokens <= 0 || o.KeepTokens > o.MaxTokens {
		o.KeepTokens = o.MaxTokens / 2
	}
	if o.EstimateTokens == nil {
		o.EstimateTokens = EstimateTokens
	}
	if o.SaveTimeout <= 0 {
		o.SaveTimeout = 10 * time.Second
	}
	return &Client{chat: chat, store: store, options: o}
}

// A turn is one request to a session.
type turn struct {
	client  *Client
	id      string
	version int64
	request converse.Request
	options []func(*converse.Options)
}

// Run is [converse.Client.Run] with the history of a session before the
// messages of the request. The history is saved with the answer, and after an
// error with what the loop has come to, if it has come to something.
//
// The error may be the loop's and that of saving, such as [ErrConflict], joined.
// The result is never nil; its Messages are the whole history, or those of the
// request where the history could not be loaded or does not go with them.
func (c *Client) Run(ctx context.Context, id string, req converse.Request, optFns ...func(*converse.Options)) (*converse.RunResult, error) {
	t, err := c.begin(ctx, id, req, optFns)
	if err != nil {
		return &converse.RunResult{Messages: req.Messages}, err
	}
	result, err := c.chat.Run(ctx, t.request, t.options...)
	return result, t.save(ctx, result, err)
}

// RunStream is [Client.Run] as it happens, as [converse.Client.RunStream] tells
// it. The history is saved before the last event. Leaving the loop before it
// saves nothing: to stop a model and keep what there is, cancel the context and
// read on.
func (c *Client) RunStream(ctx context.Context, id string, req converse.Request, optFns ...func(*converse.Options)) iter.Seq2[converse.RunEvent, error] {
	return func(yield func(converse.RunEvent, error) bool) {
		t, err := c.begin(ctx, id, req, optFns)
		if err != nil {
			yield(converse.RunEvent{Result: &converse.RunResult{Messages: req.Messages}}, err)
			return
		}
		for ev, err := range c.chat.RunStream(ctx, t.request, t.options...) {
			if ev.Result != nil {
				err = t.save(ctx, ev.Result, err)
			}
			if !yield(ev, err) {
				return
			}
		}
	}
}

// begin loads the history and puts the new messages behind it.
func (c *Client) begin(ctx context.Context, id string, req converse.Request, optFns []func(*converse.Options)) (*turn, error) {
	h, err := c.store.Load(ctx, id)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, fmt.Errorf("session: loading: %w", err)
	}
	t := &turn{client: c, id: id, version: h.Version, request: req, options: optFns}
	messages, err := extend(h.Messages, req.Messages)
	if err != nil {
		return nil, fmt.Errorf("session: %w: %w", bedrockx.ErrValidation, err)
	}
	switch open := converse.OpenCalls(messages); {
	case len(open) == 0 && len(messages) > 0 && messages[len(messages)-1].Role == converse.RoleAssistant:
		return nil, fmt.Errorf("session: %w: the request has no message, and the history no open call", bedrockx.ErrValidation)
	case len(open) > 0 && !slices.ContainsFunc(req.Messages, func(m converse.Message) bool { return m.Role != converse.RoleUser }):
		// Only calls of the stored history run; those that come with a request
		// may be anybody's.
		t.options = append([]func(*converse.Options){func(o *converse.Options) { o.Resume = true }}, optFns...)
	}
	if t.request.Messages, err = c.trim(ctx, messages); err != nil {
		return nil, fmt.Errorf("session: summing up: %w", err)
	}
	return t, nil
}

// extend puts new messages behind a history. Results among them answer the open
// calls; other content means that the rest of those will not be answered.
func extend(history, added []converse.Message) ([]converse.Message, error) {
	var results []converse.ToolResult
	var rest []converse.Message
	for _, m := range added {
		other := converse.Message{Role: m.Role}
		for _, c := range m.Content {
			if r, ok := c.(converse.ToolResult); ok && len(rest) == 0 && m.Role == converse.RoleUser {
				results = append(results, r)
			} else {
				other.Content = append(other.Content, c)
			}
		}
		if len(other.Content) > 0 {
			rest = append(rest, other)
		}
	}
	if len(rest) > 0 {
		answered := map[string]bool{}
		for _, r := range results {
			answered[r.ToolUseID] = true
		}
		for _, call := range converse.OpenCalls(history) {
			if !answered[call.ID] {
				results = append(results, converse.ToolResult{ToolUseID: call.ID, Status: converse.ToolError,
					Content: converse.Contents{converse.Text("There is no result: the user went on without an answer to this call.")}})
			}
		}
	}
	messages, err := converse.Answer(history, results...)
	if err != nil {
		return nil, err
	}
	for _, m := range rest {
		messages = converse.Append(messages, m)
	}
	return messages, nil
}

func (c *Client) trim(ctx context.Context, messages []converse.Message) ([]converse.Message, error) {
	total := 0
	for _, m := range messages {
		total += c.options.EstimateTokens(m)
	}
	if total <= c.options.MaxTokens {
		return messages, nil
	}
	kept, cut := Trim(messages, c.options.KeepTokens, c.options.EstimateTokens)
	if len(cut) == 0 || c.options.Summarize == nil {
		return kept, nil
	}
	summary, err := c.options.Summarize(ctx, cut)
	if err != nil || summary == "" {
		return kept, err
	}
	first := converse.User("Summary of the conversation so far:\n" + summary)
	return append(converse.Append([]converse.Message{first}, kept[0]), kept[1:]...), nil
}

// save saves the history, if the request has come to something, and returns
// what there is of errors.
func (t *turn) save(ctx context.Context, result *converse.RunResult, err error) error {
	if err != nil && len(result.Messages) <= len(t.request.Messages) && len(converse.OpenCalls(result.Messages)) == len(converse.OpenCalls(t.request.Messages)) {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.client.options.SaveTimeout)
	defer cancel()
	if _, failed := t.client.store.Save(ctx, t.id, History{Messages: result.Messages, Version: t.version}); failed != nil {
		return errors.Join(err, fmt.Errorf("session: saving: %w", failed))
	}
	return err
}
