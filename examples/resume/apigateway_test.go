package main

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/stream"
	"github.com/mangaassist/bedrockkit/stream/apigateway"
)

func post(ctx context.Context, chat *converse.Client, api apigateway.PostToConnectionAPI, connectionID, question string) error {
	s, err := chat.Stream(ctx, converse.Request{Messages: []converse.Message{converse.User(question)}})
	if err != nil {
		return err
	}
	err = stream.Write(ctx, s, apigateway.Connection(api, connectionID))
	if errors.Is(err, apigateway.ErrGone) {
		return nil // the reader has left, and the model was stopped
	}
	return err
}

// connection is one of an API Gateway.
type connection struct {
	messages []stream.Message
	leaves   int // after so many messages
}

func (c *connection) PostToConnection(_ context.Context, in *apigatewaymanagementapi.PostToConnectionInput, _ ...func(*apigatewaymanagementapi.Options)) (*apigatewaymanagementapi.PostToConnectionOutput, error) {
	if len(c.messages) == c.leaves {
		return nil, &types.GoneException{}
	}
	var m stream.Message
	err := json.Unmarshal(in.Data, &m)
	c.messages = append(c.messages, m)
	return &apigatewaymanagementapi.PostToConnectionOutput{}, err
}

func TestAPIGateway(t *testing.T) {
	chat := testChat(t)
	c := &connection{leaves: -1}
	require.NoError(t, post(t.Context(), chat, c, "id", "Count"))
	assert.Equal(t, whole(), text(c.messages))
	assert.Less(t, len(c.messages), 50, "what comes within a quarter of a second is one message")
	c = &connection{leaves: 1}
	require.NoError(t, post(t.Context(), chat, c, "id", "Count"))
	assert.Len(t, c.messages, 1)
}
