// Package apigateway sends answers to the WebSocket connections of an Amazon
// API Gateway.
//
//	api := apigatewaymanagementapi.NewFromConfig(cfg, func(o *apigatewaymanagementapi.Options) {
//		o.BaseEndpoint = aws.String("https://abc123.execute-api.us-east-1.amazonaws.com/prod")
//	})
//	err := stream.Write(ctx, s, apigateway.Connection(api, connectionID), func(o *stream.WriteOptions) {
//		o.Coalesce = 50 * time.Millisecond // each message is a request that is paid for
//	})
//	if errors.Is(err, apigateway.ErrGone) {
//		… // the reader has left; the model was stopped
//	}
package apigateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi/types"

	"github.com/mangaassist/bedrockkit/stream"
)

// ErrGone is the error of a connection that was closed, or never was: the
// service answers 410 to both. The SDK's error stays reachable with errors.As.
var ErrGone = errors.New("the connection is gone")

// MaxMessage is the most bytes of one message; the service refuses more
// (API Gateway quotas, WebSocket APIs: message payload size).
const MaxMessage = 128 << 10

// PostToConnectionAPI is what a [Connection] calls.
// [*apigatewaymanagementapi.Client] implements it.
type PostToConnectionAPI interface {
	PostToConnection(context.Context, *apigatewaymanagementapi.PostToConnectionInput, ...func(*apigatewaymanagementapi.Options)) (*apigatewaymanagementapi.PostToConnectionOutput, error)
}

// Connection is a sink for [stream.Write] that posts each message as JSON to
// one connection. Its error ends the answer, so a reader that has gone stops
// the model. Retries are those of the SDK's client.
func Connection(api PostToConnectionAPI, connectionID string) stream.Sink {
	return func(ctx context.Context, m stream.Message) error {
		if connectionID == "" {
			return errors.New("the connection id is empty")
		}
		var buf bytes.Buffer
		enc := json.NewEncoder(&buf)
		enc.SetEscapeHTML(false) // or a page's source would take six times its room in MaxMessage
		if err := enc.Encode(m); err != nil {
			return err
		}
		data := bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
		if len(data) > MaxMessage {
			return fmt.Errorf("a message of %d bytes; the service takes %d: lower WriteOptions.MaxPending", len(data), MaxMessage)
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
}
