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

	result, err := bedrockx.Invoke(context.Background(), client, "anthropic.claude-3-haiku-20240307-v1:0", anthropic.Request{
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

// A policy of one's own, here one that looks at every request before it goes
// out and counts what was spent.
func ExampleMiddleware() {
	moderate := func(next bedrockx.Handler) bedrockx.Handler {
		return func(ctx context.Context, call *bedrockx.Call) error {
			if strings.Contains(string(call.Body), "forbidden") {
				return errors.New("the request was refused by moderation")
			}
			call.OnEnd(func(err error) { fmt.Println("cost known:", call.Cost != nil) })
			return next(ctx, call)
		}
	}
	client, done := newFake(bedrocktest.Text("Hello!"))
	defer done()

	for _, text := range []string{"hello", "something forbidden"} {
		result, err := bedrockx.Invoke(context.Background(), client, "anthropic.claude-3-haiku-20240307-v1:0", anthropic.Request{
			MaxTokens: 100,
			Messages:  []anthropic.Message{anthropic.User(text)},
		}, func(o *bedrockx.Options) { o.Middleware = append(o.Middleware, moderate) })
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(result.Output.Text())
	}
	// Output:
	// cost known: true
	// Hello!
	// bedrock InvokeModel anthropic.claude-3-haiku-20240307-v1:0: unknown error: the request was refused by moderation
}
