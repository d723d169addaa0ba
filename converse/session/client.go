package session

import (
	"context"
	"iter"
	"time"

	"github.com/mangaassist/bedrockkit/converse"
)

// Options are the options of a [Client]. The zero value of a field means its default.
type Options struct {
	// MaxTokens is how many tokens a history may have, including the new messages,
	// before its beginning is cut. The default is 50,000.
	MaxTokens int64

	// KeepTokens is how many tokens are kept then. The default is half of MaxTokens.
	KeepTokens int64

	// Summarize returns a summary of what is cut; the history then begins with it. See
	// [Summarizer]. By default there is no summary. If it fails or returns nothing,
	// OnError is called, and the request goes on with the whole history. A history
	// larger than twice MaxTokens is then cut without a summary.
	Summarize func(ctx context.Context, cut []converse.Message) (string, error)

	// EstimateTokens counts the tokens of a message. The default is
	// [converse.EstimateTokens].
	EstimateTokens func(converse.Message) int64

	// CountTokens counts the tokens of a history, for example with
	// [converse.Client.CountTokens], to decide whether it is over MaxTokens. It is
	// called only if the estimate is at least half of MaxTokens. If it fails, OnError
	// is called and the estimate is used. By default only the estimate is used.
	CountTokens func(context.Context, []converse.Message) (int64, error)

	// ClaimTime is how long a request keeps other requests to its session from
	// beginning. The claim is renewed while the request runs, and ends with the
	// request. So the time matters only after a crash: requests to the session return
	// [ErrConflict] until it is over. The default is one minute. The clocks of the
	// processes must differ by much less than that.
	ClaimTime time.Duration

	// OnError is called with errors that do not stop a request: a summary failed, or a
	// claim could not be renewed or released. It must be safe for concurrent use. Nil
	// means that nothing is reported.
	OnError func(ctx context.Context, err error)

	// SaveTimeout bounds how long saving a history may take. A history is saved even
	// if the request's own context has ended. The default is 10 s.
	SaveTimeout time.Duration
}

// A Client holds conversations and stores them. It is safe for concurrent use.
type Client struct {
	chat    *converse.Client
	store   Store
	options Options
}

// New returns a client that sends requests with chat and keeps the histories in store.
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
		o.EstimateTokens = converse.EstimateTokens
	}
	if o.ClaimTime <= 0 {
		o.ClaimTime = time.Minute
	}
	if o.SaveTimeout <= 0 {
		o.SaveTimeout = 10 * time.Second
	}
	return &Client{chat: chat, store: store, options: o}
}

// Run is [converse.Client.Run] with the history of a session before the messages of
// the request. The history is saved with the answer. After an error, it is saved with
// what the loop has added so far, if anything.
//
// Only one request to a session runs at a time. Another request returns [ErrConflict],
// before it asks the model or runs a tool.
//
// If both the loop and saving fail, the two errors are joined. The result is never
// nil. Its Messages are the whole history, or only the messages of the request if the
// history could not be loaded or does not fit them.
func (c *Client) Run(ctx context.Context, id string, req converse.Request, optFns ...func(*converse.Options)) (*converse.RunResult, error) {
	t, ctx, err := c.begin(ctx, id, req, optFns)
	if err != nil {
		return &converse.RunResult{Messages: req.Messages}, err
	}
	defer t.end()
	result, err := c.chat.Run(ctx, t.request, t.options...)
	return result, t.save(ctx, result, err)
}

// RunStream is [Client.Run] with the events of [converse.Client.RunStream]. The
// history is saved before the last event. If you leave the loop before it, nothing is
// saved. To stop a model and keep what there is, cancel the context and read to the
// end.
func (c *Client) RunStream(ctx context.Context, id string, req converse.Request, optFns ...func(*converse.Options)) iter.Seq2[converse.RunEvent, error] {
	return func(yield func(converse.RunEvent, error) bool) {
		t, ctx, err := c.begin(ctx, id, req, optFns)
		if err != nil {
			yield(converse.RunEvent{Result: &converse.RunResult{Messages: req.Messages}}, err)
			return
		}
		defer t.end()
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

// Source returns the turn of [Client.RunStream] as a source, for stream.Write and a
// stream.Broadcast. If the reader leaves, the loop is saved as far as it has come. The
// reader gets [ErrConflict] as the code "conflict", and [ErrTooLarge] as
// "session_too_large".
func (c *Client) Source(ctx context.Context, id string, req converse.Request, optFns ...func(*converse.Options)) *converse.Source {
	return converse.NewSource(ctx, func(ctx context.Context) iter.Seq2[converse.RunEvent, error] {
		return c.RunStream(ctx, id, req, optFns...)
	})
}

func (c *Client) report(ctx context.Context, err error) {
	if c.options.OnError != nil {
		c.options.OnError(ctx, err)
	}
}
