// Command hello asks a model one question and prints the answer as it comes,
// with what it cost. It needs no account: Bedrock is a fake one inside the
// program, unless it is run with -bedrock aws.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/mangaassist/bedrockkit/converse"
)

func main() {
	client, closeBedrock := connect() // bedrockx.NewFromConfig(cfg), or a fake
	defer closeBedrock()
	chat := converse.New(client, func(o *converse.Options) {
		o.Model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
	})
	question := converse.User("Which action manga should I read first?")
	for ev, err := range chat.RunStream(context.Background(), converse.Request{Messages: []converse.Message{question}}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Print(ev.Text)
		if ev.Result != nil {
			fmt.Printf("\n%d tokens for $%s\n", ev.Result.Usage.Total(), ev.Result.Cost)
		}
	}
}
