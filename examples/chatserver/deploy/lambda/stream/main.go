// Command stream is the Lambda function behind the streaming method of the REST API:
// answers as server-sent events, while the model writes.
package main

import (
	"context"
	"log/slog"
	"net/http"
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/mangaassist/bedrockkit/examples/chatserver/app"
	"github.com/mangaassist/bedrockkit/examples/chatserver/deploy/lambda/proxy"
)

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	server, err := app.Build(context.Background(), app.FromEnv(os.Getenv), log)
	if err != nil {
		log.Error("the function cannot start", "error", err)
		os.Exit(1)
	}
	// The method has a path of its own, as a REST API streams a method or maps it.
	api := http.NewServeMux()
	api.Handle("POST /v1/manga/stream", at("/v1/manga/query", server.API()))
	lambda.Start(proxy.Stream(api))
}

// at is a handler that is asked for another path.
func at(path string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = r.Clone(r.Context())
		r.URL.Path = path
		next.ServeHTTP(w, r)
	})
}
