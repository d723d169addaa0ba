package main

import (
	"bufio"
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/stream"
)

func handle(ctx context.Context, r *events.LambdaFunctionURLRequest) (*events.LambdaFunctionURLStreamingResponse, error) {
	s, err := chat.Stream(ctx, converse.Request{Messages: []converse.Message{converse.User(r.Body)}})
	if err != nil {
		return nil, err
	}
	body, w := io.Pipe()
	go func() {
		defer w.Close()
		if err := stream.Write(ctx, s, stream.SSE(w)); err != nil {
			log.Print(err) // the reader gets its code alone
		}
	}()
	return &events.LambdaFunctionURLStreamingResponse{
		StatusCode: http.StatusOK,
		Headers:    map[string]string{"Content-Type": "text/event-stream", "Cache-Control": "no-store"},
		Body:       body,
	}, nil
}

// chat is the function's client of a model.
var chat *converse.Client

// asLambda is set in the process that is the function.
const asLambda = "RESUME_TEST_AS_LAMBDA"

func TestMain(m *testing.M) {
	if os.Getenv(asLambda) != "" {
		client, _, err := connect(context.Background(), "fake", 50, io.Discard)
		if err != nil {
			log.Fatal(err)
		}
		chat = converse.New(client, func(o *converse.Options) { o.Model = "us.anthropic.claude-haiku-4-5-20251001-v1:0" })
		lambda.Start(handle)
	}
	os.Exit(m.Run())
}

// The function of the guide, in a process of its own, against a Runtime API as
// AWS Lambda has it: the answer leaves the function as it comes.
func TestLambda(t *testing.T) {
	type piece struct {
		text string
		at   time.Time
	}
	pieces := make(chan []piece, 1)
	asked := make(chan struct{}, 1)
	asked <- struct{}{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-asked:
		case <-r.Context().Done():
			return
		}
		w.Header().Set("Lambda-Runtime-Aws-Request-Id", "1")
		w.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(time.Now().Add(time.Minute).UnixMilli(), 10))
		_, _ = io.WriteString(w, `{"version":"2.0","body":"Count"}`)
	})
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/1/{what}", func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "response", r.PathValue("what"))
		assert.Equal(t, "application/vnd.awslambda.http-integration-response", r.Header.Get("Content-Type"))
		var got []piece
		body := bufio.NewReader(r.Body)
		buf := make([]byte, 32<<10)
		for {
			n, err := body.Read(buf)
			if n > 0 {
				got = append(got, piece{string(buf[:n]), time.Now()})
			}
			if err != nil {
				break
			}
		}
		w.WriteHeader(http.StatusAccepted)
		pieces <- got
	})
	api := httptest.NewServer(mux)
	defer api.Close()
	defer api.CloseClientConnections()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asLambda+"=1", "AWS_LAMBDA_RUNTIME_API="+strings.TrimPrefix(api.URL, "http://"), "_HANDLER=bootstrap")
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	var got []piece
	select {
	case got = <-pieces:
	case <-time.After(time.Minute):
		require.Fail(t, "the function did not respond")
	}
	var all strings.Builder
	for _, p := range got {
		all.WriteString(p.text)
	}
	prelude, body, found := strings.Cut(all.String(), strings.Repeat("\x00", 8))
	require.True(t, found)
	assert.Contains(t, prelude, `"statusCode":200`)
	messages := parse(t, strings.NewReader(body))
	assert.Equal(t, whole(), text(messages))
	assert.Greater(t, got[len(got)-1].at.Sub(got[0].at), time.Second, "a hundred tokens take two seconds")
}
