// Command rest is the Lambda function behind the REST API: questions, batches and
// statuses.
package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/mangaassist/bedrockkit/examples/chatserver/app"
	"github.com/mangaassist/bedrockkit/examples/chatserver/deploy/lambda/proxy"
)

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	settings := app.FromEnv(os.Getenv)
	if settings.Bedrock == "aws" {
		settings.Jobs.Role = "api" // other functions do the jobs
	}
	server, err := app.Build(context.Background(), settings, log)
	if err != nil {
		log.Error("the function cannot start", "error", err)
		os.Exit(1)
	}
	lambda.Start(proxy.Handler(server.API()))
}
