package assistant

import (
	"context"
	"iter"
	"log/slog"
	"time"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/converse/session"
	"github.com/mangaassist/bedrockkit/examples/chatserver/rest"
	"github.com/mangaassist/bedrockkit/examples/chatserver/shop"
)

const systemPrompt = `You are MangaAssist, a knowledgeable assistant for a Japanese manga store. ` +
	`Use the available tools to look up catalog data, check order statuses and verify availability. ` +
	`Always use tools when the user asks about specific manga, orders or stock, and state nothing about them that a tool did not tell. ` +
	`Format recommendations with title (Japanese and romanized), author, genre and a brief description. ` +
	`Respond in the language of the user's last message.`

// answerTimeout bounds one answer with all its rounds.
const answerTimeout = 3 * time.Minute

// maxToolResult bounds what the page is shown of a tool's result, in bytes.
const maxToolResult = 16 << 10

// An Assistant answers questions about the store: the model, the tools and the
// prompt. It keeps the conversations of the REST API; over the WebSocket the client
// sends what was said.
type Assistant struct {
	chat     *converse.Client
	sessions *session.Client
	store    session.Store // of the sessions
	models   map[string]bedrockkit.ModelID
	options  Options
}

// Options are the options of [New]. The zero value of a field means its default.
type Options struct {
	// Chat are options of the loop that asks the models. By default there are none
	// beside the prompt and the tools.
	Chat []func(*converse.Options)

	// Guardrail checks questions and answers. The default is none.
	Guardrail bedrockkit.Guardrail

	// Sessions keeps the conversations of the REST API. The default is the memory
	// of the process.
	Sessions session.Store

	// Log gets what a conversation goes on without, such as a summary. The default
	// is no log. It gets no question and no answer.
	Log *slog.Logger
}

var _ rest.Assistant = (*Assistant)(nil)

// New returns an assistant whose models have the names that clients use.
func New(client *bedrockx.Client, store *shop.Shop, models map[string]bedrockkit.ModelID, optFns ...func(*Options)) *Assistant {
	var options Options
	for _, fn := range optFns {
		fn(&options)
	}
	temperature := 0.5
	chat := converse.New(client, append([]func(*converse.Options){func(o *converse.Options) {
		o.System = converse.Texts(systemPrompt)
		o.Temperature = &temperature
		o.MaxRunTime = answerTimeout
		o.Tools = []converse.Tool{
			converse.NewTool(shop.SearchMangaCatalogTool, shop.SearchMangaCatalogDescription, store.SearchMangaCatalog, schema(shop.SearchMangaCatalogSchema)),
			converse.NewTool(shop.GetOrderStatusTool, shop.GetOrderStatusDescription, store.GetOrderStatus, schema(shop.GetOrderStatusSchema)),
			converse.NewTool(shop.CheckMangaAvailabilityTool, shop.CheckMangaAvailabilityDescription, store.CheckMangaAvailability, schema(shop.CheckMangaAvailabilitySchema)),
		}
	}}, options.Chat...)...)
	if options.Sessions == nil {
		options.Sessions = session.NewMemoryStore()
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	a := &Assistant{chat: chat, store: options.Sessions, models: models, options: options}
	a.sessions = a.newSessions()
	return a
}

// Chat is what the assistant asks its models with.
func (a *Assistant) Chat() *converse.Client { return a.chat }

// Model is the model of a name that clients use, "" if there is none.
func (a *Assistant) Model(name string) bedrockkit.ModelID { return a.models[name] }

func schema(raw string) func(*converse.ToolOptions) {
	return func(o *converse.ToolOptions) { o.Schema = []byte(raw) }
}

// Fresh is an option of a question: the model is asked, whatever the cache has.
func Fresh(o *converse.Options) {
	converse.Call(func(o *bedrockx.Options) { o.CachePolicy.Fresh = true })(o)
}

// Source is the answer of the model of that name to a conversation that the caller
// keeps.
func (a *Assistant) Source(ctx context.Context, model string, messages []converse.Message, optFns ...func(*converse.Options)) *converse.Source {
	return converse.NewSource(ctx, func(ctx context.Context) iter.Seq2[converse.RunEvent, error] {
		return a.chat.RunStream(ctx, converse.Request{Model: a.models[model], Messages: recent(messages), Guardrail: a.options.Guardrail}, optFns...)
	}, func(o *converse.SourceOptions) { o.ToolResults = maxToolResult })
}

// Cached reports whether an answer came from the cache, with all its look-ups.
func Cached(result *converse.RunResult) bool {
	for _, round := range result.Rounds {
		if !round.CacheHit {
			return false
		}
	}
	return len(result.Rounds) > 0
}
