package bedrockx_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strings"

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
