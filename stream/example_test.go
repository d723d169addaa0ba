package stream_test

import (
	"context"
	"fmt"
	"log"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/mistral"
	"github.com/mangaassist/bedrockkit/stream"
)

func ExampleConverse() {
	fake, err := bedrocktest.New(func(o *bedrocktest.Options) { o.InProcess = true })
	if err != nil {
		log.Fatal(err)
	}
	defer fake.Close()
	fake.Reply(bedrocktest.Text("Berserk, Vagabond, Monster."))
	client := bedrockx.New(fake.Client()) // for the real one: bedrockx.NewFromConfig(cfg)

	s, err := stream.Converse(context.Background(), client, &bedrockruntime.ConverseStreamInput{
		ModelId: aws.String("us.amazon.nova-lite-v1:0"),
		Messages: []types.Message{{
			Role:    types.ConversationRoleUser,
			Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: "Three seinen manga, please."}},
		}},
	})
	if err != nil {
		log.Fatal(err)
	}
	for text, err := range s.Text() {
		if err != nil {
			log.Fatal(err) // what came before is in s.Result()
		}
		fmt.Print(text)
	}
	fmt.Println()
	fmt.Println(s.Result().StopReason, s.Result().Complete)
	// Output:
	// Berserk, Vagabond, Monster.
	// end_turn true
}

// A typed request of any family, and its decoder.
func ExampleInvoke() {
	fake, err := bedrocktest.New(func(o *bedrocktest.Options) { o.InProcess = true })
	if err != nil {
		log.Fatal(err)
	}
	defer fake.Close()
	fake.Reply(bedrocktest.Text("Berserk, Vagabond, Monster."))
	client := bedrockx.New(fake.Client()) // for the real one: bedrockx.NewFromConfig(cfg)

	s, err := stream.Invoke(context.Background(), client, "mistral.mistral-large-2407-v1:0", mistral.ChatRequest{
		MaxTokens: 100,
		Messages:  []mistral.Message{mistral.User("Three seinen manga, please.")},
	}, stream.Mistral)
	if err != nil {
		log.Fatal(err)
	}
	for text, err := range s.Text() {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Print(text)
	}
	fmt.Println()
	fmt.Println(s.Result().StopReason, s.Usage().OutputTokens)
	// Output:
	// Berserk, Vagabond, Monster.
	// end_turn 6
}
