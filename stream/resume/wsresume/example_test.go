package wsresume_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/coder/websocket"

	"github.com/mangaassist/bedrockkit/stream/resume"
	"github.com/mangaassist/bedrockkit/stream/resume/wsresume"
)

func ExampleHandler() {
	m := &model{words: []string{"One Piece"}, more: make(chan struct{}, 1)} // here you ask a model
	m.more <- struct{}{}
	registry := resume.New()
	mux := http.NewServeMux()
	mux.Handle("GET /answers/{id}/socket", wsresume.Handler(registry, func(w http.ResponseWriter, r *http.Request) (resume.Answer, bool) {
		// Here you check who asks, and whether the answer is theirs.
		return resume.Answer{ID: r.PathValue("id"), Open: m.open}, true
	}))
	srv := httptest.NewServer(mux)
	defer srv.Close()

	ctx := context.Background()
	url := "ws" + strings.TrimPrefix(srv.URL, "http") + "/answers/4f2a/socket"
	for _, query := range []string{"", "?after=1"} { // the second connection is after a loss
		conn, _, err := websocket.Dial(ctx, url+query, nil)
		if err != nil {
			panic(err)
		}
		for {
			_, data, err := conn.Read(ctx)
			if err != nil {
				fmt.Println("closed with", int(websocket.CloseStatus(err)))
				break
			}
			fmt.Println(string(data))
		}
	}
	fmt.Println("the model was asked", m.asked.Load(), "time")
	// Output:
	// {"type":"token","data":"One Piece","sequence":1}
	// {"type":"complete","sequence":2}
	// closed with 1000
	// {"type":"complete","sequence":2}
	// closed with 1000
	// the model was asked 1 time
}
