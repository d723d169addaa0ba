package dynamosession_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/converse/session"
	"github.com/mangaassist/bedrockkit/converse/session/dynamosession"
)

func Example() {
	ctx := context.Background()
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		log.Fatal(err)
	}
	chat := converse.New(bedrockx.NewFromConfig(cfg), func(o *converse.Options) {
		o.Model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
	})
	chats := session.New(chat, dynamosession.New(dynamodb.NewFromConfig(cfg), "chats", func(o *dynamosession.Options) {
		o.TTL = 30 * 24 * time.Hour
	}))
	result, err := chats.Run(ctx, "customer 17", converse.Request{Messages: []converse.Message{converse.User("And in English?")}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Text())
}
