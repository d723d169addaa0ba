package session_test

import (
	"context"
	"fmt"
	"log"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/converse/session"
)

func Example() {
	fake, err := bedrocktest.New(func(o *bedrocktest.Options) { o.InProcess = true })
	if err != nil {
		log.Fatal(err)
	}
	defer fake.Close()
	fake.Reply(bedrocktest.Text("Three copies."), bedrocktest.Text("三冊あります。"))

	chat := converse.New(bedrockx.New(fake.Client()), func(o *converse.Options) {
		o.Model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
	})
	chats := session.New(chat, session.NewMemory())
	for _, question := range []string{"How many copies of Berserk?", "In Japanese?"} {
		result, err := chats.Run(context.Background(), "customer 17", converse.Request{
			Messages: []converse.Message{converse.User(question)},
		})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(result.Text(), len(result.Messages))
	}
	// Output:
	// Three copies. 2
	// 三冊あります。 4
}
