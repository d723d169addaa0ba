package stream_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"

	"github.com/mangaassist/bedrockkit"
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

// A typed request of any family, which knows how its answer is read.
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
	})
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

// ask returns an answer of the text from a fake Bedrock.
func ask(text string) (s *stream.Stream, done func()) {
	fake, err := bedrocktest.New(func(o *bedrocktest.Options) { o.InProcess = true })
	if err != nil {
		log.Fatal(err)
	}
	fake.Reply(bedrocktest.Text(text).ChunkSize(8).Usage(bedrockkit.Usage{InputTokens: 10, OutputTokens: 4}))
	s, err = stream.Converse(context.Background(), bedrockx.New(fake.Client()), &bedrockruntime.ConverseStreamInput{
		ModelId: aws.String("us.amazon.nova-lite-v1:0"),
		Messages: []types.Message{{
			Role:    types.ConversationRoleUser,
			Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: "Three seinen manga, please."}},
		}},
	})
	if err != nil {
		log.Fatal(err)
	}
	return s, func() { fake.Close() }
}

// An answer as server-sent events. A page reads them with an EventSource, which
// it must close at the end, or the browser asks again:
//
//	const events = new EventSource("/ask?q=…");
//	events.addEventListener("token", (e) => show(JSON.parse(e.data).data));
//	events.addEventListener("complete", () => events.close());
//	events.addEventListener("failed", () => events.close());
//
// Package stream/resume has a handler that survives a lost connection as well.
func ExampleWrite() {
	handler := func(w http.ResponseWriter, r *http.Request) {
		s, done := ask("Berserk, Vagabond, Monster.")
		defer done()
		err := stream.Write(r.Context(), s, stream.SSE(w), func(o *stream.WriteOptions) {
			o.Coalesce = time.Second
		})
		if err != nil {
			log.Print(err) // the reader was sent its kind
		}
	}
	w := httptest.NewRecorder()
	handler(w, httptest.NewRequest("GET", "/ask", nil))
	fmt.Print(w.Body)
	// Output:
	// id: 1
	// event: token
	// data: {"type":"token","data":"Berserk, Vagabond, Monster.","sequence":1}
	//
	// id: 2
	// event: complete
	// data: {"type":"complete","sequence":2,"usage":{"input_tokens":10,"output_tokens":4},"stop_reason":"end_turn","cost":"0.00000156"}
}

// A reader comes back with the last sequence that it has seen.
func ExampleResume() {
	s, done := ask("Berserk, Vagabond, Monster.")
	defer done()
	ctx := context.Background()
	shared := stream.NewBroadcast()
	go shared.Run(s)

	var seen int64
	for m, err := range shared.Subscribe(ctx, 0) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%d %q\n", m.Sequence, m.Data)
		if seen = m.Sequence; seen == 2 {
			break // its connection is lost
		}
	}
	var rest strings.Builder
	if err := stream.Write(ctx, stream.Resume(ctx, shared.Subscribe, seen), stream.PlainText(&rest)); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%q\n", rest.String())
	// Output:
	// 1 "Berserk,"
	// 2 " Vagabon"
	// "d, Monster."
}

// Readers are not sent what an answer cost.
func ExampleFilter() {
	s, done := ask("Berserk.")
	defer done()
	answer := stream.Filter(s, func(m *stream.Message) bool {
		m.Cost, m.Usage = "", nil
		return m.Type != stream.TypeReasoning
	})
	err := stream.Write(context.Background(), answer, stream.JSON(func(_ context.Context, data []byte) error {
		fmt.Println(string(data))
		return nil
	}))
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// {"type":"token","data":"Berserk.","sequence":1}
	// {"type":"complete","sequence":2,"stop_reason":"end_turn"}
}

// The body of a streaming AWS Lambda function.
func ExampleNewReader() {
	s, done := ask("Berserk, Vagabond, Monster.")
	defer done()
	body := stream.NewReader(context.Background(), s, stream.PlainText)
	defer body.Close()
	if _, err := io.Copy(os.Stdout, body); err != nil {
		log.Fatal(err)
	}
	// Output:
	// Berserk, Vagabond, Monster.
}
