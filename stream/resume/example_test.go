package resume_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"

	"github.com/mangaassist/bedrockkit/stream"
	"github.com/mangaassist/bedrockkit/stream/resume"
)

func ExampleHandler() {
	var asked atomic.Int64
	registry := resume.New()
	mux := http.NewServeMux()
	mux.Handle("/answers/{id}", resume.Handler(registry, func(w http.ResponseWriter, r *http.Request) (resume.Answer, bool) {
		// Here you check who asks, and whether the answer is theirs.
		return resume.Answer{
			ID: r.PathValue("id"),
			Open: func(context.Context) (stream.Source, error) {
				asked.Add(1) // here you ask a model
				return source(func(yield func(stream.Message, error) bool) {
					_ = yield(stream.Message{Type: stream.TypeToken, Data: "One Piece", Sequence: 1}, nil) &&
						yield(stream.Message{Type: stream.TypeComplete, Sequence: 2}, nil)
				}), nil
			},
		}, true
	}))
	srv := httptest.NewServer(mux)
	defer srv.Close()

	// A browser's EventSource sends the id of the last event when it connects again.
	for _, seen := range []string{"", "0", "2"} {
		req, err := http.NewRequest(http.MethodGet, srv.URL+"/answers/4f2a", nil)
		if err != nil {
			panic(err)
		}
		if seen != "" {
			req.Header.Set("Last-Event-ID", seen)
		}
		res, err := srv.Client().Do(req)
		if err != nil {
			panic(err)
		}
		fmt.Printf("after %q: %s\n", seen, res.Status)
		for lines := bufio.NewScanner(res.Body); lines.Scan(); {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				fmt.Println(" ", data)
			}
		}
		_ = res.Body.Close()
	}
	fmt.Println("the model was asked", asked.Load(), "time")
	// Output:
	// after "": 200 OK
	//   {"type":"token","data":"One Piece","sequence":1}
	//   {"type":"complete","sequence":2}
	// after "0": 200 OK
	//   {"type":"token","data":"One Piece","sequence":1}
	//   {"type":"complete","sequence":2}
	// after "2": 204 No Content
	// the model was asked 1 time
}
