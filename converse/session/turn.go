package session

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/converse"
)

// A turn is one request to a session.
type turn struct {
	client  *Client
	id      string
	claim   *claim
	request converse.Request
	options []func(*converse.Options)
}

// begin loads the history, puts the new messages after it and claims the
// session. The context that it returns ends when the claim is lost.
func (c *Client) begin(ctx context.Context, id string, req converse.Request, optFns []func(*converse.Options)) (*turn, context.Context, error) {
	h, err := c.store.Load(ctx, id)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, nil, fmt.Errorf("session: loading: %w", err)
	}
	t := &turn{client: c, id: id, request: req, options: optFns}
	messages, err := extend(h.Messages, req.Messages)
	if err != nil {
		return nil, nil, fmt.Errorf("session: %w: %w", bedrockx.ErrValidation, err)
	}
	switch open := converse.OpenCalls(messages); {
	case len(open) == 0 && len(messages) > 0 && messages[len(messages)-1].Role == converse.RoleAssistant:
		return nil, nil, fmt.Errorf("session: %w: the request has no message, and the history no open call", bedrockx.ErrValidation)
	case len(open) > 0 && !slices.ContainsFunc(req.Messages, func(m converse.Message) bool { return m.Role != converse.RoleUser }):
		// Only calls of the stored history run; those that come with a request
		// may be anybody's.
		t.options = append([]func(*converse.Options){func(o *converse.Options) { o.Resume = true }}, optFns...)
	}
	claimed, err := c.claim(ctx, id, h)
	if err != nil {
		return nil, nil, fmt.Errorf("session: claiming: %w", err)
	}
	t.claim = claimed
	if t.request.Messages, err = c.trim(ctx, messages); err != nil {
		t.end()
		return nil, nil, err
	}
	return t, claimed.ctx, nil
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

// trim cuts a history that is over its bound.
func (c *Client) trim(ctx context.Context, messages []converse.Message) ([]converse.Message, error) {
	total := int64(0)
	for _, m := range messages {
		total += c.options.EstimateTokens(m)
	}
	if count := c.options.CountTokens; count != nil && total > c.options.MaxTokens/2 {
		if n, err := count(ctx, messages); err != nil {
			c.report(ctx, fmt.Errorf("session: counting tokens: %w; the estimate goes", err))
		} else {
			total = n
		}
	}
	if total <= c.options.MaxTokens {
		return messages, nil
	}
	kept, cut := Trim(messages, c.options.KeepTokens, c.options.EstimateTokens)
	if len(cut) == 0 || c.options.Summarize == nil {
		return kept, nil
	}
	summary, err := c.summarize(ctx, cut)
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("session: summing up: %w", context.Cause(ctx))
	case err != nil && total <= 2*c.options.MaxTokens:
		c.report(ctx, fmt.Errorf("session: summing up: %w; the history is sent whole", err))
		return messages, nil
	case err != nil:
		c.report(ctx, fmt.Errorf("session: summing up: %w; the history is cut without a summary", err))
		return kept, nil
	}
	first := converse.User("Summary of the conversation so far:\n" + summary)
	return append(converse.Append([]converse.Message{first}, kept[0]), kept[1:]...), nil
}

// summarize calls the summarizer; a panic in it is an error.
func (c *Client) summarize(ctx context.Context, cut []converse.Message) (summary string, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("it panicked: %v", v)
		}
	}()
	if summary, err = c.options.Summarize(ctx, cut); err == nil && summary == "" {
		err = errors.New("the summary is empty")
	}
	return summary, err
}

// save saves the history, if the request has come to something, and returns
// what there is of errors.
func (t *turn) save(ctx context.Context, result *converse.RunResult, err error) error {
	if err != nil && len(result.Messages) <= len(t.request.Messages) && len(converse.OpenCalls(result.Messages)) == len(converse.OpenCalls(t.request.Messages)) {
		return t.lost(ctx, err)
	}
	version, lost := t.claim.stop()
	if lost != nil {
		return errors.Join(err, fmt.Errorf("session: saving: %w", lost))
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.client.options.SaveTimeout)
	defer cancel()
	if _, failed := t.client.store.Save(ctx, t.id, History{Messages: result.Messages, Version: version}); failed != nil {
		return errors.Join(err, fmt.Errorf("session: saving: %w", failed))
	}
	t.claim.saved = true
	return err
}

// lost adds to the error of a loop that its claim was lost, if that ended it.
func (t *turn) lost(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, ErrConflict) && !errors.Is(err, ErrConflict) {
		return errors.Join(err, cause)
	}
	return err
}

// end gives the claim back, unless the history was saved.
func (t *turn) end() {
	t.claim.release()
}
