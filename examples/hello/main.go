// Command hello asks a model one question and prints the answer as it comes, with
// what it cost. Bedrock is a fake one inside the program: it needs no account.
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
	fake, err := bedrocktest.New() // a Bedrock inside this program
	if err != nil {
		log.Fatal(err)
	}
	defer fake.Close()
	fake.Reply(bedrocktest.Text("ワンピース (One Piece) by Eiichiro Oda: pirates, friendship and a very long voyage."))

	chat := converse.New(bedrockx.New(fake.Client()), func(o *converse.Options) {
		o.Model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
	})
	question := converse.User("Which action manga should I read first?")
	for ev, err := range chat.RunStream(context.Background(), converse.Request{Messages: []converse.Message{question}}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Print(ev.Text) // as it comes
		if ev.Result != nil {
			fmt.Printf("\n%d tokens for $%s\n", ev.Result.Usage.Total(), ev.Result.Cost)
		}
	}
}
