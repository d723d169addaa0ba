package telemetry_test

import (
	"context"
	"fmt"
	"log"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	bedrocktelemetry "github.com/mangaassist/bedrockkit/bedrockx/telemetry"
	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/converse/telemetry"
)

func Example() {
	fake, err := bedrocktest.New(func(o *bedrocktest.Options) { o.InProcess = true })
	if err != nil {
		log.Fatal(err)
	}
	defer fake.Close()
	fake.Reply(bedrocktest.Text("Three copies."))

	// OpenTelemetry's global provider gets the spans, if the program has set one.
	client := bedrockx.New(fake.Client(), bedrocktelemetry.Option())
	chat := converse.New(client, func(o *converse.Options) {
		o.Model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
	})
	agent := telemetry.NewAgent(chat, func(o *telemetry.Options) { o.Name = "store" })
	result, err := agent.Run(context.Background(), converse.Request{
		Messages: []converse.Message{converse.User("Is Berserk in stock?")},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Text())
	// Output: Three copies.
}
