package memqueue_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/asyncq/memqueue"
	"github.com/mangaassist/bedrockkit/asyncq/queuetest"
)

// direct is an HTTP client that calls the handler without a connection.
type direct struct{ http.Handler }

func (d direct) Do(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return w.Result(), nil
}

func sdkClient(service *memqueue.Service) *sqs.Client {
	return sqs.New(sqs.Options{
		Region: "us-east-1", HTTPClient: direct{service}, BaseEndpoint: aws.String("http://127.0.0.1/"),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "a", SecretAccessKey: "b"}, nil
		}),
	})
}

// The SDK's own client finds in the served queues what it finds in SQS.
func TestServed(t *testing.T) {
	queuetest.Run(t, func(*testing.T) queuetest.Queue { return sdkClient(memqueue.New()) },
		func(o *queuetest.Options) { o.Synctest = true })
}

func TestServedErrors(t *testing.T) {
	service := memqueue.New()
	_, err := sdkClient(service).GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("none")})
	var none *types.QueueDoesNotExist
	assert.ErrorAs(t, err, &none)

	for name, r := range map[string]*http.Request{
		"no operation": httptest.NewRequest("POST", "/", strings.NewReader("{}")),
		"no JSON":      httptest.NewRequest("POST", "/", strings.NewReader("{")),
		"too large":    httptest.NewRequest("POST", "/", strings.NewReader(strings.Repeat(" ", 9<<20))),
	} {
		if name != "no operation" {
			r.Header.Set("X-Amz-Target", "AmazonSQS.SendMessage")
		}
		w := httptest.NewRecorder()
		service.ServeHTTP(w, r)
		require.Equal(t, http.StatusBadRequest, w.Code, name)
		assert.Contains(t, w.Body.String(), "__type", name)
	}
}
