// Command notify is the Lambda function that tells the ends of jobs, which come from
// an SNS topic, to the WebSockets of those who have submitted them:
//
//	{"type":"job","notification_id":"…","request_id":"…","status":"completed",…}
//
// A result is not in it; GET /v1/manga/status/{request_id} has it. An end may be sent
// twice, with the same notification_id.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	"github.com/mangaassist/bedrockkit/asyncq"
	"github.com/mangaassist/bedrockkit/examples/chatserver/deploy/lambda/connections"
	"github.com/mangaassist/bedrockkit/examples/chatserver/jobs"
	"github.com/mangaassist/bedrockkit/examples/chatserver/socket/dynamoconnections"
	"github.com/mangaassist/bedrockkit/stream/apigateway"
)

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	api, known, err := connections.Open(context.Background(), os.Getenv)
	if err != nil {
		log.Error("the function cannot start", "error", err)
		os.Exit(1)
	}
	n := &notifier{api: api, known: known, log: log}
	lambda.Start(n.handle)
}

type notifier struct {
	api   apigateway.PostToConnectionAPI
	known *dynamoconnections.Store
	log   *slog.Logger
}

// frame is what a client is sent.
type frame struct {
	Type           string `json:"type"` // job
	NotificationID string `json:"notification_id"`
	RequestID      string `json:"request_id"`
	BatchID        string `json:"batch_id,omitempty"`
	AnalysisType   string `json:"analysis_type,omitempty"`
	MangaID        string `json:"manga_id,omitempty"`
	Status         string `json:"status"` // completed or failed
	Error          string `json:"error,omitempty"`
	CostUSD        string `json:"cost_usd,omitempty"`
}

// handle tells the ends of an event. Its error makes Lambda try the event again.
func (n *notifier) handle(ctx context.Context, event events.SNSEvent) error {
	var failed error
	for _, record := range event.Records {
		var note asyncq.Notification
		if err := json.Unmarshal([]byte(record.SNS.Message), &note); err != nil || note.Status.ID == "" {
			n.log.Warn("a message is no end of a job", "message_id", record.SNS.MessageID)
			continue // it would be none when it is tried again
		}
		failed = errors.Join(failed, n.tell(ctx, note))
	}
	return failed
}

// maxConnections is how many connections of one caller get it.
const maxConnections = 50

// tell posts the end of a job to the connections of its caller.
func (n *notifier) tell(ctx context.Context, note asyncq.Notification) error {
	caller, status := jobs.Described(note.Status)
	if caller == "" {
		return nil // it was not submitted over the API
	}
	f := frame{
		Type: "job", NotificationID: note.ID, RequestID: status.RequestID, BatchID: status.BatchID,
		AnalysisType: status.AnalysisType, MangaID: status.MangaID, Status: status.State, Error: status.Error,
	}
	if status.Cost != nil {
		f.CostUSD = status.Cost.String()
	}
	data, err := json.Marshal(f)
	if err != nil {
		return err
	}
	ids, err := n.known.Of(ctx, caller, maxConnections)
	if err != nil {
		return err
	}
	var failed error
	for _, id := range ids {
		err := apigateway.Post(ctx, n.api, id, data)
		if errors.Is(err, apigateway.ErrGone) {
			err = n.known.Delete(ctx, id) // its $disconnect did not come
		}
		failed = errors.Join(failed, err)
	}
	return failed
}
