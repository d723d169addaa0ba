package bedrocktest_test

import (
	"bytes"
	"context"
	"flag"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
)

var update = flag.Bool("update", false, "write the golden files")

// What the server sends, held as files that people can read.
func TestGolden(t *testing.T) {
	nova := func(o *bedrocktest.Options) { o.CacheMinTokens = 1 }
	for _, tt := range []struct {
		name  string
		reply *bedrocktest.Reply
		path  string
		body  string
	}{
		{"converse", bedrocktest.Reasoning("Let me think.").Text("こんにちは").ToolUse("search", map[string]string{"q": "<manga> & more"}),
			"/model/" + haiku + "/converse",
			`{"messages":[{"role":"user","content":[{"text":"Hi"},{"cachePoint":{"type":"default"}}]}],"serviceTier":{"type":"flex"}}`},
		{"conversestream", bedrocktest.Reasoning("Let me think.").Text("こんにちは").ToolUse("search", map[string]string{"q": "<manga> & more"}),
			"/model/" + haiku + "/converse-stream",
			`{"messages":[{"role":"user","content":[{"text":"Hi"},{"cachePoint":{"type":"default","ttl":"1h"}}]}]}`},
		{"invoke_anthropic", bedrocktest.Text("Hello, world").ToolUse("f", nil), "/model/" + haiku + "/invoke", string(anthropicBody("Hi"))},
		{"invokestream_anthropic", bedrocktest.Reasoning("hm").Text("Hello").ToolUse("f", map[string]int{"n": 1}), "/model/" + haiku + "/invoke-with-response-stream", string(anthropicBody("Hi"))},
		{"invokestream_nova", bedrocktest.Text("Hello"), "/model/" + novaLite + "/invoke-with-response-stream", `{"messages":[` + user + `]}`},
		{"invokestream_titan", bedrocktest.Text("Hello there"), "/model/" + titan + "/invoke-with-response-stream", `{"inputText":"Hi"}`},
		{"invokestream_llama", bedrocktest.Text("Hello there"), "/model/" + llama33 + "/invoke-with-response-stream", `{"prompt":"Hi"}`},
		{"invokestream_mistral", bedrocktest.Text("Hello there"), "/model/" + mixtral + "/invoke-with-response-stream", `{"prompt":"Hi"}`},
		{"throttled", bedrocktest.Throttle().Header("Retry-After", "2"), "/model/" + haiku + "/converse", `{"messages":[` + user + `]}`},
		{"exception", bedrocktest.Text("Hello").ExceptionAfter(2, "ModelStreamErrorException", "The model broke."), "/model/" + haiku + "/converse-stream", `{"messages":[` + user + `]}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := bedrocktest.NewServer(t, inProcess, nova)
			srv.Reply(tt.reply)
			rec := bedrocktest.NewRecorder(srv.HTTPClient())
			resp, err := rec.Do(request(t, srv, tt.path, tt.body))
			require.NoError(t, err)
			var sent bytes.Buffer
			_, err = sent.ReadFrom(resp.Body)
			require.NoError(t, err)
			resp.Body.Close()

			got := rec.Capture().Text()
			assert.NotContains(t, string(got), "test-key")
			file := filepath.Join("testdata", tt.name+".txtar")
			if *update {
				require.NoError(t, os.MkdirAll("testdata", 0o755))
				require.NoError(t, os.WriteFile(file, got, 0o644))
			}
			want, err := os.ReadFile(file)
			require.NoError(t, err, "run go test -update")
			assert.Equal(t, string(want), string(got))

			// And back: the capture gives the same bytes.
			capture, err := bedrocktest.ParseCapture(want)
			require.NoError(t, err)
			require.Len(t, capture.Exchanges, 1)
			assert.Equal(t, sent.Bytes(), capture.Exchanges[0].Response)
			assert.Equal(t, []byte(tt.body), capture.Exchanges[0].Request)
		})
	}
}

// What was recorded of one server is replayed by another.
func TestRecordAndReplay(t *testing.T) {
	const profile = "arn:aws:bedrock:us-east-1:999988887777:application-inference-profile/secret"
	behind := func(o *bedrocktest.Options) {
		o.Profiles = map[bedrockkit.ModelID]bedrockkit.ModelID{profile: haiku}
	}
	talk := func(cfg aws.Config) (streamed, string, error) {
		client := bedrockruntime.NewFromConfig(cfg, noRetry)
		got, err := readStream(t, client, &bedrockruntime.ConverseStreamInput{ModelId: aws.String(profile), Messages: userText("Hi")})
		require.NoError(t, err)
		out, err := client.Converse(t.Context(), &bedrockruntime.ConverseInput{ModelId: aws.String(profile), Messages: userText("Bye")})
		require.NoError(t, err)
		_, err = client.Converse(t.Context(), &bedrockruntime.ConverseInput{ModelId: aws.String(profile), Messages: userText("Again")})
		return got, out.Output.(*types.ConverseOutputMemberMessage).Value.Content[0].(*types.ContentBlockMemberText).Value, err
	}
	real := bedrocktest.NewServer(t, inProcess, behind)
	real.Reply(bedrocktest.Text("Hello, 世界").ToolUse("f", map[string]string{"arn": "arn:aws:s3::999988887777:x"}), bedrocktest.Text("See you"), bedrocktest.Throttle())
	cfg := real.Config()
	rec := bedrocktest.NewRecorder(cfg.HTTPClient)
	cfg.HTTPClient = rec
	wantStream, wantText, wantErr := talk(cfg)
	require.Error(t, wantErr)

	text := rec.Capture().Text()
	assert.NotContains(t, string(text), "AWS4-HMAC")
	assert.NotContains(t, string(text), "AKIDEXAMPLE")
	assert.NotContains(t, string(text), "999988887777")

	capture, err := bedrocktest.ParseCapture(text)
	require.NoError(t, err)
	fake := bedrocktest.NewServer(t, inProcess, behind, func(o *bedrocktest.Options) { o.Responder = capture.Responder(nil) })
	gotStream, gotText, gotErr := talk(fake.Config())
	wantStream.input = `{"arn":"arn:aws:s3::123456789012:x"}`
	assert.Equal(t, wantStream.text, gotStream.text)
	assert.Equal(t, wantStream.usage, gotStream.usage)
	assert.Equal(t, wantText, gotText)
	var throttled *types.ThrottlingException
	require.ErrorAs(t, gotErr, &throttled)
}

// Whatever a request or an answer may hold of an account and its keys, a capture
// holds none of it.
func TestRecorderKeepsNoSecrets(t *testing.T) {
	const account, token = "999988887777", "c2VjcmV0LXRva2Vu"
	real := bedrocktest.NewServer(t, inProcess)
	rec := bedrocktest.NewRecorder(real.HTTPClient())
	send := func(path, body string, reply *bedrocktest.Reply) {
		req := request(t, real, path, body)
		req.Header.Set("X-Amz-Security-Token", token)
		req.Header.Set("X-Amzn-Bedrock-GuardrailIdentifier", "arn:aws:bedrock:us-east-1:"+account+":guardrail/abc")
		real.Control(bedrocktest.AnyOp, func(context.Context, *bedrocktest.Request) *bedrocktest.Reply { return reply })
		resp, err := rec.Do(req)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
		resp.Body.Close()
	}
	denied := bedrocktest.Error(403, "AccessDeniedException", "User: arn:aws:sts::"+account+":assumed-role/x is not authorized")
	send("/model/arn%3aaws%3abedrock%3aus-east-1%3a"+account+"%3Aapplication-inference-profile%2Fx/converse?X-Amz-Signature="+token+"&x-amz-credential=AKIA",
		`{"messages":[`+user+`],"x":{"s3Location":{"uri":"s3://b/k","bucketOwner": "`+account+`"}}}`, denied)
	send("/async-invoke?nextToken=1", "", bedrocktest.Body(200, "application/json", []byte(`{"s3BucketOwner":"`+account+`"}`)))
	// A chunk of an InvokeModel stream is base64 within a frame.
	send("/model/"+haiku+"/invoke-with-response-stream", string(anthropicBody("Hi")), bedrocktest.Text("").Chunks("It is arn:aws:iam::"+account+":role/x"))

	text := string(rec.Capture().Text())
	for _, secret := range []string{account, token, "AKIA", "test-key"} {
		assert.NotContains(t, text, secret)
	}
	assert.Contains(t, text, "It is arn:aws:iam::123456789012:role/x")
	assert.Contains(t, text, "GET /async-invoke?nextToken=1\n")
	assert.NotContains(t, text, "base64", "every body is readable")
}

// As a hook, a capture replays what the server would compute or refuse by itself.
func TestReplayOfEveryOperation(t *testing.T) {
	steps := []struct{ path, body, answer string }{
		{"/model/new.model-v9:0/converse", `{"messages":[` + user + `]}`, `{"stopReason":"end_turn"}`},
		{"/model/amazon.titan-embed-text-v2:0/invoke", `{"inputText":"Hi"}`, `{"embedding":[1,2],"inputTextTokenCount":3}`},
		{"/model/anthropic.claude-haiku-4-5-20251001-v1:0/count-tokens", `{"input":{"converse":{"messages":[` + user + `]}}}`, `{"inputTokens":12345}`},
		{"/foundation-models?byProvider=x", "", `{"modelSummaries":[{"modelId":"x"}]}`},
		{"/foundation-models?byProvider=y", "", `{"modelSummaries":[{"modelId":"y"}]}`},
	}
	real := bedrocktest.NewServer(t, inProcess)
	rec := bedrocktest.NewRecorder(real.HTTPClient())
	for _, step := range steps {
		real.Control(bedrocktest.AnyOp, func(context.Context, *bedrocktest.Request) *bedrocktest.Reply {
			return bedrocktest.Body(200, "application/json", []byte(step.answer))
		})
		resp, err := rec.Do(request(t, real, step.path, step.body))
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
		resp.Body.Close()
	}
	capture, err := bedrocktest.ParseCapture(rec.Capture().Text())
	require.NoError(t, err)

	srv := bedrocktest.NewServer(t, inProcess)
	srv.Control(bedrocktest.AnyOp, capture.Responder(nil)).Keep()
	slices.Reverse(steps) // each request finds its own
	for _, step := range steps {
		resp, body := do(t, srv, request(t, srv, step.path, step.body))
		assert.Equal(t, 200, resp.StatusCode)
		assert.Equal(t, step.answer, body)
	}
}

// A recorder stands in the way of no session: it would wait for the end of its
// input before it sends any.
func TestRecorderPassesSessions(t *testing.T) {
	rec := bedrocktest.NewRecorder(doerFunc(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: r.Body}, nil
	}))
	in, _ := io.Pipe()
	defer in.Close()
	req, err := http.NewRequestWithContext(t.Context(), "POST", "http://x/model/amazon.nova-2-sonic-v1:0/invoke-with-bidirectional-stream", in)
	require.NoError(t, err)
	_, err = rec.Do(req)
	require.NoError(t, err)
	assert.Empty(t, rec.Capture().Exchanges)
}

type doerFunc func(*http.Request) (*http.Response, error)

func (f doerFunc) Do(r *http.Request) (*http.Response, error) { return f(r) }

// A request that is too large to be kept is not sent in part.
func TestRecorderRefusesWhatItCannotKeep(t *testing.T) {
	rec := bedrocktest.NewRecorder(doerFunc(func(*http.Request) (*http.Response, error) {
		t.Error("it was sent")
		return nil, io.EOF
	}))
	req, err := http.NewRequestWithContext(t.Context(), "POST", "http://x/model/m/invoke", io.LimitReader(endless{}, 64<<20+1))
	require.NoError(t, err)
	_, err = rec.Do(req)
	require.ErrorContains(t, err, "recording POST /model/m/invoke: the request's body has more than 67108864 bytes")
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestParseCaptureErrors(t *testing.T) {
	for text, want := range map[string]string{
		"-- 001/response --\n200\n":                                          "before its request",
		"-- 001/request --\nPOST /\n":                                        "no response",
		"-- 001/request --\nPOST\n":                                          "a method and a path",
		"-- 001/request --\nPOST /\nnonsense\n":                              "no header",
		"-- 001/request --\nPOST /\n-- 001/response --\nx\n":                 "no HTTP status",
		"-- 001/request --\nPOST /\n-- 001/request.xml --\nx\n":              "expected events, json or base64",
		"-- 001/request --\nPOST /\n-- 001/request.base64 --\n!\n":           "illegal base64",
		"-- 001/request --\nPOST /\n-- 001/response.events --\nnonsense x\n": "no event",
		"-- 001/request --\nPOST /\n-- 001/else --\nx\n":                     "expected request or response",
		"-- 001/request --\nPOST /\n-- 002/response --\n200\n":               "before its request",
	} {
		_, err := bedrocktest.ParseCapture([]byte(text))
		require.Error(t, err, text)
		assert.Contains(t, err.Error(), want)
	}
}

func FuzzParseCapture(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.txtar")
	for _, file := range files {
		b, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := bedrocktest.ParseCapture(text)
		if err != nil {
			return
		}
		again, err := bedrocktest.ParseCapture(c.Text())
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		if len(again.Exchanges) != len(c.Exchanges) {
			t.Fatalf("%d exchanges became %d", len(c.Exchanges), len(again.Exchanges))
		}
		for i := range c.Exchanges {
			if !bytes.Equal(c.Exchanges[i].Response, again.Exchanges[i].Response) {
				t.Fatalf("exchange %d: the response changed", i)
			}
		}
	})
}
