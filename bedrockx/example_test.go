package bedrockx_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"strings"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/anthropic"
	"github.com/mangaassist/bedrockkit/cache/memcache"
	"github.com/mangaassist/bedrockkit/stream"
)

// newFake stands for bedrockx.NewFromConfig(cfg) with a real account.
func newFake(replies ...*bedrocktest.Reply) (*bedrockx.Client, func()) {
	fake, err := bedrocktest.New(func(o *bedrocktest.Options) { o.InProcess = true })
	if err != nil {
		log.Fatal(err)
	}
	fake.Reply(replies...)
	return bedrockx.New(fake.Client()), func() { fake.Close() }
}

func ExampleInvoke() {
	client, done := newFake(bedrocktest.Text("Kentaro Miura."))
	defer done()

	result, err := bedrockx.Invoke(context.Background(), client, "us.anthropic.claude-haiku-4-5-20251001-v1:0", anthropic.Request{
		MaxTokens: 100,
		System:    anthropic.Text("Answer in a few words."),
		Messages:  []anthropic.Message{anthropic.User("Who wrote Berserk?")},
	})
	if errors.Is(err, bedrockx.ErrThrottled) {
		fmt.Println("come back later")
		return
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(result.Output.Text(), result.StopReason, result.Attempts)
	// Output: Kentaro Miura. end_turn 1
}

// A Payload of one's own: the body of a model that no package knows, here of a
// model that was imported. The pipeline does the rest.
func ExamplePayload() {
	client, done := newFake()
	defer done()

	vector, err := bedrockx.Invoke(context.Background(), client, "amazon.titan-embed-text-v2:0", embedding{Text: "pirates"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(vector.Output), "dimensions,", vector.Usage.InputTokens, "tokens")

	_, err = bedrockx.Invoke(context.Background(), client, "amazon.titan-embed-text-v2:0", embedding{})
	fmt.Println(errors.Is(err, bedrockx.ErrValidation))
	// Output:
	// 1024 dimensions, 2 tokens
	// true
}

// embedding is a request of one's own, []float64 its response.
type embedding struct {
	Text string `json:"inputText"`
}

func (e embedding) EncodeInvoke(bedrockkit.ModelID) (json.RawMessage, error) {
	if e.Text == "" {
		return nil, errors.New("there is no text to embed")
	}
	return json.Marshal(e)
}

func (e embedding) DecodeInvoke(body json.RawMessage) ([]float64, bedrockkit.Usage, bedrockkit.StopReason, error) {
	var response struct {
		Embedding []float64
	}
	err := json.Unmarshal(body, &response)
	return response.Embedding, bedrockkit.Usage{Unknown: true}, "", err // the headers tell the usage
}

// moderate refuses prompts and answers that check finds fault with, of unary
// calls and of streams alike.
func moderate(check func(text string) error) bedrockx.Middleware {
	return func(next bedrockx.Handler) bedrockx.Handler {
		return func(ctx context.Context, call *bedrockx.Call) error {
			if call.Body == nil { // the SDK's own input, which call.SDKInput returns
				return fmt.Errorf("%w: the prompt cannot be checked", bedrockx.ErrRefused)
			}
			if err := check(string(call.Body)); err != nil {
				return err
			}
			var answer strings.Builder // a stream may cut a word in two
			call.OnText = append(call.OnText, func(text string) error {
				answer.WriteString(text)
				return check(answer.String())
			})
			return next(ctx, call)
		}
	}
}

// A policy of one's own: a moderation check, which looks at every prompt before
// it is sent and at every answer before the caller sees it.
func ExampleMiddleware() {
	check := func(text string) error {
		if strings.Contains(text, "spoiler") {
			return fmt.Errorf("%w: no spoilers", bedrockx.ErrRefused)
		}
		return nil
	}
	client, done := newFake(
		bedrocktest.Text("Luffy sets sail."),
		bedrocktest.Text("Here is a spoiler: …"),
		bedrocktest.Text("First, no harm. Then the spo").Text("iler."),
	)
	defer done()

	const model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
	moderated := func(o *bedrockx.Options) { o.Middleware = append(o.Middleware, moderate(check)) }
	ask := func(text string) anthropic.Request {
		return anthropic.Request{MaxTokens: 100, Messages: []anthropic.Message{anthropic.User(text)}}
	}
	for _, prompt := range []string{"How does One Piece begin?", "A spoiler, please.", "How does it go on?"} {
		result, err := bedrockx.Invoke(context.Background(), client, model, ask(prompt), moderated)
		if err != nil {
			fmt.Println("refused:", errors.Is(err, bedrockx.ErrRefused))
			continue
		}
		fmt.Println(result.Output.Text())
	}

	s, err := stream.Invoke(context.Background(), client, model, ask("And then?"), moderated)
	if err != nil {
		fmt.Println(err)
		return
	}
	for text, err := range s.Text() {
		if err != nil {
			fmt.Println("\nrefused:", errors.Is(err, bedrockx.ErrRefused))
			break
		}
		fmt.Print(text)
	}
	// Output:
	// Luffy sets sail.
	// refused: true
	// refused: true
	// First, no harm. Then the spo
	// refused: true
}

// The same question twice: the second answer comes from the cache.
func ExampleNewCache() {
	client, done := newFake(bedrocktest.Text("Pirates."))
	defer done()
	answers := bedrockx.NewCache(memcache.New())
	defer answers.Close()

	for range 2 {
		result, err := bedrockx.Invoke(context.Background(), client, "us.anthropic.claude-haiku-4-5-20251001-v1:0", anthropic.Request{
			MaxTokens:   100,
			Temperature: new(float64), // 0
			Messages:    []anthropic.Message{anthropic.User("What is One Piece about?")},
		}, func(o *bedrockx.Options) {
			o.Cache = answers
			o.Tenant = "shop-1"
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(result.Output.Text(), result.CacheHit, result.Cost)
	}
	fmt.Println("saved:", answers.Stats().Saved)
	// Output:
	// Pirates. false 0.000022
	// Pirates. true 0
	// saved: 0.000022
}
