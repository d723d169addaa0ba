package session_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/converse/session"
	"github.com/mangaassist/bedrockkit/stream"
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
	chats := session.New(chat, session.NewMemoryStore())
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

// A turn of a session as server-sent events.
func ExampleClient_Source() {
	fake, err := bedrocktest.New(func(o *bedrocktest.Options) { o.InProcess = true })
	if err != nil {
		log.Fatal(err)
	}
	defer fake.Close()
	fake.Reply(bedrocktest.Text("Three copies.").Usage(bedrockkit.Usage{InputTokens: 10, OutputTokens: 4}))
	chat := converse.New(bedrockx.New(fake.Client()), func(o *converse.Options) {
		o.Model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
	})
	chats := session.New(chat, session.NewMemoryStore())

	handler := func(w http.ResponseWriter, r *http.Request) {
		turn := chats.Source(r.Context(), "customer 17", converse.Request{
			Messages: []converse.Message{converse.User(r.FormValue("q"))},
		})
		err := stream.Write(r.Context(), turn, stream.SSE(w), func(o *stream.WriteOptions) { o.Coalesce = time.Second })
		if err != nil {
			log.Print(err) // the reader was sent its kind
		}
	}
	w := httptest.NewRecorder()
	handler(w, httptest.NewRequest("GET", "/ask?q=How+many+copies+of+Berserk%3F", nil))
	fmt.Print(w.Body)
	// Output:
	// id: 1
	// event: token
	// data: {"type":"token","data":"Three copies.","sequence":1,"round":1}
	//
	// id: 2
	// event: usage
	// data: {"type":"usage","sequence":2,"round":1,"usage":{"input_tokens":10,"output_tokens":4},"stop_reason":"end_turn","cost":"0.000033"}
	//
	// id: 3
	// event: complete
	// data: {"type":"complete","sequence":3,"usage":{"input_tokens":10,"output_tokens":4},"stop_reason":"end_turn","cost":"0.000033"}
}
