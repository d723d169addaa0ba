package main

import (
	"context"
	"net/http"

	"github.com/redis/go-redis/v9"

	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/stream"
	"github.com/mangaassist/bedrockkit/stream/resume"
	"github.com/mangaassist/bedrockkit/stream/resume/redisresume"
	"github.com/mangaassist/bedrockkit/stream/resume/wsresume"
)

func routes(mux *http.ServeMux, registry *resume.Registry, chat *converse.Client) {
	answer := func(w http.ResponseWriter, r *http.Request) (resume.Answer, bool) {
		// Here you check who asks, and whether the answer is theirs.
		question := r.FormValue("q")
		if len(question) > 4000 {
			http.Error(w, "a question has at most 4000 bytes", http.StatusBadRequest)
			return resume.Answer{}, false
		}
		a := resume.Answer{ID: r.PathValue("id")}
		if question != "" {
			a.Open = func(ctx context.Context) (stream.Source, error) {
				return chat.Stream(ctx, converse.Request{Messages: []converse.Message{converse.User(question)}})
			}
		}
		return a, true
	}
	mux.Handle("/answers", resume.Handler(registry, answer))
	mux.Handle("/answers/{id}", resume.Handler(registry, answer))
	mux.Handle("GET /answers/{id}/socket", wsresume.Handler(registry, answer))
}

// newRegistry returns a registry whose answers are in Redis, if there is one.
func newRegistry(shared *redis.Client, onEnd func(context.Context, string, error)) (*resume.Registry, error) {
	options := func(o *resume.Options) { o.OnEnd = onEnd }
	if shared == nil {
		return resume.New(options), nil
	}
	log, err := redisresume.New(shared) // made with ContextTimeoutEnabled
	if err != nil {
		return nil, err
	}
	return resume.New(options, func(o *resume.Options) { o.Log = log }), nil
}
