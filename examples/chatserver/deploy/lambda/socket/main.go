// Command socket is the Lambda function behind the WebSocket API: its routes $connect,
// $default and $disconnect. Answers are posted to the connection.
//
// $default should start the function and not wait for it (X-Amz-Invocation-Type:
// Event): an integration has 29 s, and an answer may take three minutes.
//
// An answer is known to the copy of the function that gives it, and to no other. So
// the messages "stop" and "resume" mostly find no answer here. Containers behind
// the WebSocket API have no such limit.
package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	"github.com/mangaassist/bedrockkit/examples/chatserver/app"
	"github.com/mangaassist/bedrockkit/examples/chatserver/auth"
	"github.com/mangaassist/bedrockkit/examples/chatserver/deploy/lambda/connections"
	"github.com/mangaassist/bedrockkit/examples/chatserver/socket"
)

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	gateway, err := open(context.Background(), log)
	if err != nil {
		log.Error("the function cannot start", "error", err)
		os.Exit(1)
	}
	lambda.Start(handle(gateway))
}

func open(ctx context.Context, log *slog.Logger) (*socket.Gateway, error) {
	api, known, err := connections.Open(ctx, os.Getenv)
	if err != nil {
		return nil, err
	}
	server, err := app.Build(ctx, app.FromEnv(os.Getenv), log)
	if err != nil {
		return nil, err
	}
	return server.Gateway(api, known)
}

// margin is how much of the function's time an answer does not get, so that the
// client can still learn that the time was over.
const margin = 5 * time.Second

// handle takes the events of the three routes. The status of $connect decides about
// the connection; that of the others is seen in the log of the API alone.
func handle(gateway *socket.Gateway) func(context.Context, events.APIGatewayWebsocketProxyRequest) (events.APIGatewayProxyResponse, error) {
	return func(ctx context.Context, event events.APIGatewayWebsocketProxyRequest) (events.APIGatewayProxyResponse, error) {
		if deadline, ok := ctx.Deadline(); ok {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, deadline.Add(-min(margin, time.Until(deadline)/2)))
			defer cancel()
		}
		id := event.RequestContext.ConnectionID
		var err error
		switch event.RequestContext.EventType {
		case "CONNECT":
			err = gateway.Connect(ctx, opening(event))
		case "MESSAGE":
			body := []byte(event.Body)
			if event.IsBase64Encoded {
				if body, err = base64.StdEncoding.DecodeString(event.Body); err != nil {
					return events.APIGatewayProxyResponse{}, fmt.Errorf("the event's body is not base64: %w", err)
				}
			}
			err = gateway.Answer(ctx, id, body)
		case "DISCONNECT":
			err = gateway.Disconnect(ctx, id)
		default:
			err = fmt.Errorf("the event's type is %q; it is CONNECT, MESSAGE or DISCONNECT", event.RequestContext.EventType)
		}
		var refused *auth.Refused
		switch {
		case errors.As(err, &refused):
			return events.APIGatewayProxyResponse{StatusCode: refused.Status, Body: refused.Message}, nil
		case errors.Is(err, socket.ErrNoConnection):
			return events.APIGatewayProxyResponse{StatusCode: http.StatusGone}, nil
		}
		return events.APIGatewayProxyResponse{StatusCode: http.StatusOK}, err
	}
}

// opening is what $connect says of a connection.
func opening(event events.APIGatewayWebsocketProxyRequest) socket.Opening {
	o := socket.Opening{
		ConnectionID: event.RequestContext.ConnectionID, Address: event.RequestContext.Identity.SourceIP,
		Header: http.Header{}, Query: url.Values(event.MultiValueQueryStringParameters),
	}
	for name, value := range event.Headers {
		o.Header.Set(name, value)
	}
	for name, values := range event.MultiValueHeaders {
		o.Header[http.CanonicalHeaderKey(name)] = values
	}
	return o
}
