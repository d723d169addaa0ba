// Command hello asks a model one question and prints the answer as it comes,
// with what it cost. It needs no account: Bedrock is a fake one, inside the
// program.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/converse"
)

func main() {
	fake, err := bedrocktest.New() // for the real one: bedrockx.NewFromConfig(cfg)
	if err != nil {
		log.Fatal(err)
	}
	defer fake.Close()
	client := bedrockx.New(fake.Client())
	fake.Reply(bedrocktest.Text("こんにちは! Try One Piece, Naruto or Bleach."))

	chat := converse.New(client, func(o *converse.Options) { o.Model = "us.anthropic.claude-haiku-4-5-20251001-v1:0" })
	answer, err := chat.Stream(context.Background(), converse.Request{
		Messages: []converse.Message{converse.User("Which action manga should I read?")},
	})
	if err != nil {
		log.Fatal(err)
	}
	for text, err := range answer.Text() {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Print(text)
	}
	fmt.Printf("\n%d tokens, $%s\n", answer.Usage().Total(), answer.Result().Cost)
}
