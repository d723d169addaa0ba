package main

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mangaassist/bedrockkit/asyncq"
	"github.com/mangaassist/bedrockkit/examples/chatserver/auth"
	"github.com/mangaassist/bedrockkit/examples/chatserver/deploy/lambda/lambdatest"
	"github.com/mangaassist/bedrockkit/examples/chatserver/socket"
	"github.com/mangaassist/bedrockkit/examples/chatserver/socket/dynamoconnections"
	"github.com/mangaassist/bedrockkit/examples/chatserver/socket/gatewaytest"
)

func TestMain(m *testing.M) {
	lambdatest.Run(main)
	goleak.VerifyTestMain(m)
}

// published is the sample event of SNS with this message.
func published(t *testing.T, message any) events.SNSEvent {
	event := lambdatest.Event[events.SNSEvent](t, "sns-event.json")
	data, err := json.Marshal(message)
	require.NoError(t, err)
	event.Records[0].SNS.Message = string(data)
	return event
}

func TestTells(t *testing.T) {
	cloud := lambdatest.NewCloud(t)
	known := dynamoconnections.New(dynamodb.NewFromConfig(cloud.Config(t)), "connections")
	gateway := gatewaytest.New(t, func(ctx context.Context, e gatewaytest.Event) (int, error) {
		if e.Type != gatewaytest.Connect {
			return http.StatusOK, nil
		}
		return http.StatusOK, known.Put(ctx, socket.Connection{ID: e.ConnectionID, Caller: auth.Caller{ID: "user"}, Expires: time.Now().Add(time.Hour)})
	})
	cloud.Sockets(t, gateway.ConnectionsURL)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, gateway.URL, nil)
	require.NoError(t, err)
	defer conn.CloseNow()
	require.NoError(t, known.Put(ctx, socket.Connection{ID: "gone=", Caller: auth.Caller{ID: "user"}, Expires: time.Now().Add(time.Hour)}))

	f := lambdatest.Start(t, cloud.Env()...)
	note := asyncq.Notification{ID: "job.completed.1", Status: asyncq.Status{
		ID: "job", State: asyncq.Completed, Metadata: map[string]string{"caller": "user", "kind": "reading_level", "manga": "MNG-ONEPIECE", "batch": "b"}}}
	result := f.Invoke(published(t, note))
	require.False(t, result.Failed, "%s", result.Body)
	var told map[string]string
	require.NoError(t, wsjson.Read(ctx, conn, &told))
	assert.Equal(t, map[string]string{"type": "job", "notification_id": "job.completed.1", "request_id": "job", "batch_id": "b",
		"analysis_type": "reading_level", "manga_id": "MNG-ONEPIECE", "status": "completed"}, told)
	ids, err := known.Of(ctx, "user", 10)
	require.NoError(t, err)
	assert.NotContains(t, ids, "gone=", "it is forgotten")
	assert.Len(t, ids, 1)

	for _, message := range []any{"Hello from SNS!", asyncq.Notification{Status: asyncq.Status{ID: "job"}}, asyncq.Notification{Status: asyncq.Status{ID: "job", Metadata: map[string]string{"caller": "another"}}}} {
		assert.False(t, f.Invoke(published(t, message)).Failed, "%v would fail again and again", message)
	}
	assert.Equal(t, 1, gateway.Posts())
}
