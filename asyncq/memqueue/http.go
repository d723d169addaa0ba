package memqueue

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"
)

// maxRequestBytes bounds a request: a batch of 1 MiB, escaped as JSON at worst.
const maxRequestBytes = 8 << 20

// ServeHTTP serves the queues to clients of other processes, in the protocol of
// Amazon SQS (AWS JSON 1.0), for an SDK's client whose BaseEndpoint is the server.
// Signatures are not checked: let the server listen on loopback only.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	op, _ := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "AmazonSQS.")
	switch op {
	case "CreateQueue":
		serve(w, r, s.CreateQueue)
	case "DeleteQueue":
		serve(w, r, s.DeleteQueue)
	case "GetQueueUrl":
		serve(w, r, s.GetQueueUrl)
	case "ListQueues":
		serve(w, r, s.ListQueues)
	case "ListDeadLetterSourceQueues":
		serve(w, r, func(ctx context.Context, in *sqs.ListDeadLetterSourceQueuesInput, _ ...func(*sqs.Options)) (*deadLetterSources, error) {
			out, err := s.ListDeadLetterSourceQueues(ctx, in)
			if err != nil {
				return nil, err
			}
			return &deadLetterSources{QueueURLs: out.QueueUrls, NextToken: out.NextToken}, nil
		})
	case "GetQueueAttributes":
		serve(w, r, s.GetQueueAttributes)
	case "SetQueueAttributes":
		serve(w, r, s.SetQueueAttributes)
	case "PurgeQueue":
		serve(w, r, s.PurgeQueue)
	case "SendMessage":
		serve(w, r, s.SendMessage)
	case "SendMessageBatch":
		serve(w, r, s.SendMessageBatch)
	case "ReceiveMessage":
		serve(w, r, s.ReceiveMessage)
	case "DeleteMessage":
		serve(w, r, s.DeleteMessage)
	case "DeleteMessageBatch":
		serve(w, r, s.DeleteMessageBatch)
	case "ChangeMessageVisibility":
		serve(w, r, s.ChangeMessageVisibility)
	case "ChangeMessageVisibilityBatch":
		serve(w, r, s.ChangeMessageVisibilityBatch)
	case "StartMessageMoveTask":
		serve(w, r, s.StartMessageMoveTask)
	case "ListMessageMoveTasks":
		serve(w, r, s.ListMessageMoveTasks)
	default:
		respond(w, nil, &smithy.GenericAPIError{Code: "UnknownOperationException", Message: "There is no operation of this name.", Fault: smithy.FaultClient})
	}
}

// deadLetterSources is an output whose member the API writes with a small letter.
type deadLetterSources struct {
	QueueURLs []string `json:"queueUrls"`
	NextToken *string  `json:"NextToken,omitempty"`
}

// serve calls an operation. The members of the SDK's inputs and outputs have the
// names that the protocol gives them.
func serve[In, Out any](w http.ResponseWriter, r *http.Request, call func(context.Context, *In, ...func(*sqs.Options)) (*Out, error)) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequestBytes))
	in := new(In)
	if err == nil && len(body) > 0 {
		err = json.Unmarshal(body, in)
	}
	if err != nil {
		respond(w, nil, &smithy.GenericAPIError{Code: "SerializationException", Message: "The request is not JSON of this operation.", Fault: smithy.FaultClient})
		return
	}
	out, err := call(r.Context(), in)
	respond(w, out, err)
}

func respond(w http.ResponseWriter, out any, err error) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	if err == nil {
		_ = json.NewEncoder(w).Encode(out) // the client has gone
		return
	}
	status, kind := http.StatusBadRequest, "Sender"
	var api smithy.APIError
	if !errors.As(err, &api) {
		api = &smithy.GenericAPIError{Code: "InternalError", Message: err.Error(), Fault: smithy.FaultServer}
	}
	if api.ErrorFault() == smithy.FaultServer {
		status, kind = http.StatusInternalServerError, "Receiver"
	}
	w.Header().Set("X-Amzn-Query-Error", api.ErrorCode()+";"+kind)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"__type": "com.amazonaws.sqs#" + api.ErrorCode(), "message": api.ErrorMessage()})
}
