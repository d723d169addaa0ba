// Package apigateway sends answers to the WebSocket connections of an Amazon
// API Gateway.
//
//	api := apigatewaymanagementapi.NewFromConfig(cfg, func(o *apigatewaymanagementapi.Options) {
//		o.BaseEndpoint = aws.String("https://abc123.execute-api.us-east-1.amazonaws.com/prod")
//	})
//	err := stream.Write(ctx, answer, apigateway.Connection(api, connectionID))
//	if errors.Is(err, apigateway.ErrGone) {
//		… // the reader has left; the model was stopped
//	}
//
// Each message is a request. It is billed, and counts toward the 10,000 requests a
// second that an account has in a region for all its APIs. So text that arrives within
// 250 ms is sent as one message.
package apigateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi/types"

	"github.com/mangaassist/bedrockkit/stream"
)

// ErrGone is the error of a connection that was closed or never existed; the service
// answers 410 to both. errors.As finds the SDK's error.
var ErrGone = errors.New("the connection is gone")

// MaxMessage is the maximum size of one message in bytes. The service refuses more
// (API Gateway quotas, WebSocket APIs: message payload size).
const MaxMessage = 128 << 10

// PostToConnectionAPI is what a [Connection] calls.
// [*apigatewaymanagementapi.Client] implements it.
type PostToConnectionAPI interface {
	PostToConnection(context.Context, *apigatewaymanagementapi.PostToConnectionInput, ...func(*apigatewaymanagementapi.Options)) (*apigatewaymanagementapi.PostToConnectionOutput, error)
}

// Connection returns a sink for [stream.Write] that posts each message as JSON to one
// connection. If a post fails, the answer ends; so if the reader has gone, the model
// is stopped. The SDK's client retries.
//
// It waits 250 ms for more text before it posts a message; Sink.Coalesce and
// stream.WriteOptions.Coalesce change that. A message has at most 32 KiB, which API
// Gateway meters as one message; Sink.MaxMessage may be up to [MaxMessage]. API
// Gateway closes a connection that is idle for ten minutes: for answers that may be
// silent for so long, set stream.WriteOptions.Heartbeat.
func Connection(api PostToConnectionAPI, connectionID string) stream.Sink {
	sink := stream.JSON(func(ctx context.Context, data []byte) error { return Post(ctx, api, connectionID, data) })
	sink.Coalesce, sink.MaxMessage = 250*time.Millisecond, 32<<10
	return sink
}

// Post posts your own data to a connection, as one message of at most [MaxMessage]
// bytes. The error is [ErrGone] if the connection is gone. The SDK's client retries.
func Post(ctx context.Context, api PostToConnectionAPI, connectionID string, data []byte) error {
	switch {
	case connectionID == "":
		return errors.New("the connection id is empty")
	case len(data) > MaxMessage:
		return fmt.Errorf("a message of %d bytes; at most %d are taken, see Sink.MaxMessage", len(data), MaxMessage)
	}
	_, err := api.PostToConnection(ctx, &apigatewaymanagementapi.PostToConnectionInput{
		ConnectionId: aws.String(connectionID), Data: data,
	})
	var gone *types.GoneException
	if errors.As(err, &gone) {
		return fmt.Errorf("%w: %w", ErrGone, err)
	}
	return err
}
