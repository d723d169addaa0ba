package bedrocktest_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
)

// ask is the code under test: any code that has a Bedrock client.
func ask(client *bedrockruntime.Client, question string) (string, error) {
	out, err := client.Converse(context.Background(), &bedrockruntime.ConverseInput{
		ModelId: aws.String("us.anthropic.claude-haiku-4-5-20251001-v1:0"),
		Messages: []types.Message{{
			Role:    types.ConversationRoleUser,
			Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: question}},
		}},
	})
	if err != nil {
		return "", err
	}
	message := out.Output.(*types.ConverseOutputMemberMessage).Value
	return message.Content[0].(*types.ContentBlockMemberText).Value, nil
}

// In a test, NewServer(t) takes the place of New, Close and the checks.
func Example() {
	srv, err := bedrocktest.New()
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()

	srv.Reply(bedrocktest.Text("Try Vinland Saga."))
	answer, err := ask(srv.Client(), "A seinen manga, please")
	fmt.Println(answer, err)
	fmt.Println(srv.Requests()[0].Op, srv.Requests()[0].LastText())
	// Output:
	// Try Vinland Saga. <nil>
	// Converse A seinen manga, please
}

// The SDK retries a throttled request; the fake lets it, and shows that it did.
func ExampleThrottle() {
	srv, err := bedrocktest.New(func(o *bedrocktest.Options) { o.InProcess = true })
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()

	srv.Reply(bedrocktest.Throttle(), bedrocktest.Text("Sorry for the wait."))
	fmt.Println(ask(srv.Client(), "Hello?"))
	for _, r := range srv.Requests() {
		fmt.Println(r.Outcome.Status, r.Outcome.Code)
	}
	// Output:
	// Sorry for the wait. <nil>
	// 429 ThrottlingException
	// 200
}

// A Responder is a model: it sees the whole conversation and decides.
func ExampleResponder() {
	srv, err := bedrocktest.New(func(o *bedrocktest.Options) {
		o.InProcess = true
		o.Responder = func(_ context.Context, req *bedrocktest.Request) *bedrocktest.Reply {
			if req.LastText() == "Goodbye" {
				return bedrocktest.Text("See you!")
			}
			return bedrocktest.Text("Hm.")
		}
	})
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()
	fmt.Println(ask(srv.Client(), "Hello"))
	fmt.Println(ask(srv.Client(), "Goodbye"))
	// Output:
	// Hm. <nil>
	// See you! <nil>
}

// A hook answers the next request of an operation, before anything else does.
func ExampleServer_Control() {
	srv, err := bedrocktest.New(func(o *bedrocktest.Options) {
		o.InProcess, o.Responder = true, bedrocktest.Echo
	})
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()

	srv.Control(bedrockkit.OpConverse, func(context.Context, *bedrocktest.Request) *bedrocktest.Reply {
		return bedrocktest.Exception("AccessDeniedException")
	})
	_, err = ask(srv.Client(), "Hello")
	var denied *types.AccessDeniedException
	fmt.Println(errors.As(err, &denied))
	fmt.Println(ask(srv.Client(), "Hello"))
	// Output:
	// true
	// You said: Hello <nil>
}

// A stream that breaks in the middle is one line.
func ExampleReply_AbortAfter() {
	srv, err := bedrocktest.New(func(o *bedrocktest.Options) { o.InProcess = true })
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()

	srv.Reply(bedrocktest.Text("This sentence is never").AbortAfter(400))
	out, err := srv.Client().ConverseStream(context.Background(), &bedrockruntime.ConverseStreamInput{
		ModelId: aws.String("amazon.nova-lite-v1:0"),
		Messages: []types.Message{{
			Role:    types.ConversationRoleUser,
			Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: "Tell me"}},
		}},
	})
	if err != nil {
		log.Fatal(err)
	}
	stream := out.GetStream()
	defer stream.Close()
	for range stream.Events() {
	}
	fmt.Println(srv.Requests()[0].Outcome.End)
	// Output:
	// aborted
}

// Sample makes tool inputs that fit a schema.
func ExampleSample() {
	fmt.Println(string(bedrocktest.Sample([]byte(`{
		"type": "object",
		"required": ["title", "volume", "format"],
		"properties": {
			"title":  {"type": "string", "minLength": 3},
			"volume": {"type": "integer", "minimum": 5},
			"format": {"enum": ["paper", "ebook"]},
			"note":   {"type": "string"}
		}
	}`))))
	// Output:
	// {"format":"paper","title":"title","volume":5}
}
