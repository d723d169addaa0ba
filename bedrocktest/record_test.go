package bedrocktest_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
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
