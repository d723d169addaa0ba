package assistant

import (
	"context"

	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/converse/session"
	"github.com/mangaassist/bedrockkit/examples/chatserver/auth"
	"github.com/mangaassist/bedrockkit/examples/chatserver/rest"
	"github.com/mangaassist/bedrockkit/stream"
)

// A conversation that has more than maxHistory tokens, by estimate, is summed up: the
// newest questions stay, up to keepHistory tokens, and a summary takes the place of
// the others. So a long conversation costs no more with each question.
const (
	maxHistory  = 16_000
	keepHistory = 6_000
)

// newSessions returns the conversations of the REST API. Haiku sums them up.
func (a *Assistant) newSessions() *session.Client {
	return session.New(a.chat, a.store, func(o *session.Options) {
		o.MaxTokens, o.KeepTokens = maxHistory, keepHistory
		o.Summarize = session.Summarizer(a.chat, func(o *converse.Options) { o.Model = a.models["haiku"] })
		o.OnError = func(ctx context.Context, err error) {
			a.options.Log.WarnContext(ctx, "a conversation goes on without something", "error", err)
		}
	})
}

// recent is what is asked of a conversation over the WebSocket, which the client
// keeps: the newest questions, up to maxHistory tokens.
func recent(messages []converse.Message) []converse.Message {
	kept, _ := session.Trim(messages, maxHistory, converse.EstimateTokens)
	return kept
}

// Answer implements [rest.Assistant].
func (a *Assistant) Answer(ctx context.Context, q rest.Question) (rest.Answer, error) {
	var result *converse.RunResult
	var err error
	if q.ConversationID != "" {
		result, err = a.sessions.Run(ctx, conversation(ctx, q), a.restRequest(q), restOptions(q)...)
	} else {
		result, err = a.chat.Run(ctx, a.restRequest(q), restOptions(q)...)
	}
	if err != nil {
		return rest.Answer{}, err
	}
	last := result.Last()
	return rest.Answer{Text: result.Text(), Model: last.Model, Usage: result.Usage, StopReason: last.StopReason, Cost: result.Cost, Cached: Cached(result)}, nil
}

// Stream implements [rest.Assistant].
func (a *Assistant) Stream(ctx context.Context, q rest.Question) (stream.Source, error) {
	if q.ConversationID != "" {
		return a.sessions.Source(ctx, conversation(ctx, q), a.restRequest(q), restOptions(q)...), nil
	}
	return a.chat.Source(ctx, a.restRequest(q), restOptions(q)...), nil
}

// conversation is the id of the session: a caller cannot go on with somebody else's
// conversation by its id.
func conversation(ctx context.Context, q rest.Question) string {
	return auth.CallerOf(ctx).ID + "/" + q.ConversationID
}

// wishes are how a language is asked for.
var wishes = map[string]string{"en": "\n\n(Please answer in English.)", "ja": "\n\n(日本語で答えてください。)"}

func (a *Assistant) restRequest(q rest.Question) converse.Request {
	return converse.Request{
		Model: a.models[q.Model], Messages: []converse.Message{converse.User(q.Text + wishes[q.Language])},
		MaxTokens: q.MaxTokens, Temperature: &q.Temperature, Guardrail: a.options.Guardrail,
	}
}

func restOptions(q rest.Question) []func(*converse.Options) {
	if q.Fresh {
		return []func(*converse.Options){Fresh}
	}
	return nil
}
