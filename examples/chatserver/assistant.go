package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/examples/chatserver/shop"
)

const systemPrompt = `You are MangaAssist, a knowledgeable assistant for a Japanese manga store. ` +
	`Use the available tools to look up catalog data, check order statuses and verify availability. ` +
	`Always use tools when the user asks about specific manga, orders or stock, and state nothing about them that a tool did not tell. ` +
	`Format recommendations with title (Japanese and romanized), author, genre and a brief description. ` +
	`Respond in the language of the user's last message.`

// answerTimeout bounds one answer with all its rounds.
const answerTimeout = 3 * time.Minute

// An assistant answers questions about the store: the model, the tools and the
// words it is told. It keeps no conversation.
type assistant struct {
	chat   *converse.Client
	models map[string]bedrockkit.ModelID // by the names that clients use
}

func newAssistant(client *bedrockx.Client, store *shop.Shop, models map[string]bedrockkit.ModelID) *assistant {
	temperature := 0.5
	return &assistant{
		models: models,
		chat: converse.New(client, func(o *converse.Options) {
			o.System = systemPrompt
			o.Temperature = &temperature
			o.Tools = []converse.Function{
				converse.Tool(shop.SearchMangaCatalogTool, shop.SearchMangaCatalogDescription, store.SearchMangaCatalog, schema(shop.SearchMangaCatalogSchema)),
				converse.Tool(shop.GetOrderStatusTool, shop.GetOrderStatusDescription, store.GetOrderStatus, schema(shop.GetOrderStatusSchema)),
				converse.Tool(shop.CheckMangaAvailabilityTool, shop.CheckMangaAvailabilityDescription, store.CheckMangaAvailability, schema(shop.CheckMangaAvailabilitySchema)),
			}
		}),
	}
}

func schema(raw string) func(*converse.ToolOptions) {
	return func(o *converse.ToolOptions) { o.Schema = []byte(raw) }
}

// answer streams the answer to a question that has been validated.
func (a *assistant) answer(ctx context.Context, q question) iter.Seq2[converse.RunEvent, error] {
	return func(yield func(converse.RunEvent, error) bool) {
		ctx, cancel := context.WithTimeout(ctx, answerTimeout)
		defer cancel()
		for ev, err := range a.chat.RunStream(ctx, a.request(q)) {
			if !yield(ev, err) {
				return
			}
		}
	}
}

// answerWhole returns the answer to a question when it is complete.
func (a *assistant) answerWhole(ctx context.Context, q question) (*converse.RunResult, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	return a.chat.Run(ctx, a.request(q))
}

func (a *assistant) request(q question) converse.Request {
	return converse.Request{
		Model: a.models[q.Model], Messages: q.Messages,
		MaxTokens: q.MaxTokens, Temperature: q.Temperature,
	}
}

// problem is what a client is told of an error: what happened and whether to
// try again, without a word of AWS's.
type problem struct {
	Code      string `json:"code"`
	Message   string `json:"message"`
	Retryable bool   `json:"retryable"`
	status    int
}

func problemOf(err error) problem {
	switch {
	case errors.Is(err, bedrockx.ErrThrottled), errors.Is(err, bedrockx.ErrOverloaded), errors.Is(err, bedrockx.ErrNotReady):
		return problem{Code: "busy", Message: "The assistant is busy. Please try again in a moment.", Retryable: true, status: 429}
	case errors.Is(err, bedrockx.ErrDailyQuota), errors.Is(err, bedrockx.ErrQuota):
		return problem{Code: "quota", Message: "The assistant has reached its limit for today.", status: 429}
	case errors.Is(err, bedrockx.ErrContextOverflow):
		return problem{Code: "too_long", Message: "The conversation is too long for the model. Start a new one.", status: 400}
	case errors.Is(err, bedrockx.ErrTimeout), errors.Is(err, bedrockx.ErrStalled), errors.Is(err, context.DeadlineExceeded):
		return problem{Code: "timeout", Message: "The model took too long. Please try again.", Retryable: true, status: 504}
	case errors.Is(err, bedrockx.ErrTruncated), errors.Is(err, bedrockx.ErrCorrupt), errors.Is(err, bedrockx.ErrConnection):
		return problem{Code: "interrupted", Message: "The answer was interrupted. Please try again.", Retryable: true, status: 502}
	case errors.Is(err, converse.ErrMaxRounds), errors.Is(err, converse.ErrMaxToolCalls):
		return problem{Code: "too_many_tools", Message: "The assistant could not finish its look-ups. Try a simpler question.", status: 502}
	case errors.Is(err, bedrockx.ErrAccessDenied), errors.Is(err, bedrockx.ErrNotFound):
		return problem{Code: "model_unavailable", Message: "The model is not available to this server. Its log says what to allow.", status: 502}
	}
	return problem{Code: "internal", Message: "The assistant failed. Please try again.", Retryable: true, status: 500}
}

// A badInput says what is wrong with what a client sent.
type badInput struct{ path, message string }

func (e *badInput) Error() string {
	if e.path == "" {
		return e.message
	}
	return fmt.Sprintf("%s: %s", e.path, e.message)
}
