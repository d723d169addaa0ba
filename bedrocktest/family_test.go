package bedrocktest_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
)

const (
	novaLite = "us.amazon.nova-lite-v1:0"
	titan    = "amazon.titan-text-express-v1"
	llama33  = "us.meta.llama3-3-70b-instruct-v1:0"
	mixtral  = "mistral.mixtral-8x7b-instruct-v0:1"
	large24  = "mistral.mistral-large-2407-v1:0"
	large3   = "mistral.mistral-large-3-675b-instruct"
	commandR = "cohere.command-r-v1:0"
	gptOSS   = "openai.gpt-oss-120b-1:0"
)

// One reply, in the body of each family, streamed and not.
func TestFamilies(t *testing.T) {
	for _, tt := range []struct {
		model, body  string
		text         string // where the text is
		stop, reason string
		streamText   string
		last         string // what the last chunk has beside the metrics
	}{
		{haiku, `{"anthropic_version":"bedrock-2023-05-31","max_tokens":50,"messages":[{"role":"user","content":"Hi"}]}`,
			"content.0.text", "stop_reason", "end_turn", "delta.text", "type"},
		{novaLite, `{"schemaVersion":"messages-v1","messages":[{"role":"user","content":[{"text":"Hi"}]}],"inferenceConfig":{"max_new_tokens":50}}`,
			"output.message.content.0.text", "stopReason", "end_turn", "contentBlockDelta.delta.text", "metadata"},
		{titan, `{"inputText":"Hi","textGenerationConfig":{"maxTokenCount":50}}`,
			"results.0.outputText", "results.0.completionReason", "FINISH", "outputText", "completionReason"},
		{llama33, `{"prompt":"Hi","max_gen_len":50}`, "generation", "stop_reason", "stop", "generation", "stop_reason"},
		{mixtral, `{"prompt":"Hi","max_tokens":50}`, "outputs.0.text", "outputs.0.stop_reason", "stop", "outputs.0.text", "outputs"},
		{large24, `{"messages":[{"role":"user","content":"Hi"}],"max_tokens":50}`,
			"choices.0.message.content", "choices.0.stop_reason", "stop", "choices.0.message.content", "choices.0.stop_reason"},
		{large3, `{"messages":[{"role":"user","content":[{"type":"text","text":"Hi"}]}],"max_tokens":50}`,
			"choices.0.message.content", "choices.0.finish_reason", "stop", "choices.0.delta.content", "usage"},
		{commandR, `{"message":"Hi","max_tokens":50}`, "text", "finish_reason", "COMPLETE", "text", "finish_reason"},
		{gptOSS, `{"messages":[{"role":"developer","content":"Be short."},{"role":"user","content":"Hi"}],"max_completion_tokens":50}`,
			"choices.0.message.content", "choices.0.finish_reason", "stop", "choices.0.delta.content", "usage"},
		{"qwen.qwen3-32b-v1:0", `{"messages":[{"role":"user","content":[{"type":"text","text":"Hi"}]}],"max_tokens":50,"stop":"x"}`,
			"choices.0.message.content", "choices.0.finish_reason", "stop", "choices.0.delta.content", "usage"},
		{"us.deepseek.r1-v1:0", `{"prompt":"Hi","max_tokens":50}`, "choices.0.text", "choices.0.stop_reason", "stop", "choices.0.text", "choices"},
	} {
		t.Run(tt.model, func(t *testing.T) {
			srv := bedrocktest.NewServer(t, inProcess, allowEnded)
			client := srv.Client()
			reply := bedrocktest.Text("漫画 is fun")
			srv.Reply(reply, reply)

			resp, body := do(t, srv, request(t, srv, "/model/"+tt.model+"/invoke", tt.body))
			require.Equal(t, 200, resp.StatusCode, body)
			var v any
			require.NoError(t, json.Unmarshal([]byte(body), &v))
			assert.Equal(t, "漫画 is fun", at(v, tt.text))
			assert.Equal(t, tt.reason, at(v, tt.stop))
			assert.Equal(t, "4", resp.Header.Get("X-Amzn-Bedrock-Output-Token-Count"))
			assert.NotEmpty(t, resp.Header.Get("X-Amzn-Bedrock-Input-Token-Count"))
			assert.NotEmpty(t, resp.Header.Get("X-Amzn-Bedrock-Invocation-Latency"))
			assert.Equal(t, "Hi", srv.Requests()[0].LastText())
			assert.EqualValues(t, 50, srv.Requests()[0].MaxTokens)

			out, err := client.InvokeModelWithResponseStream(t.Context(), &bedrockruntime.InvokeModelWithResponseStreamInput{
				ModelId: aws.String(tt.model), Body: []byte(tt.body)})
			require.NoError(t, err)
			defer out.GetStream().Close()
			var text string
			var last any
			for e := range out.GetStream().Events() {
				last = nil
				require.NoError(t, json.Unmarshal(e.(*types.ResponseStreamMemberChunk).Value.Bytes, &last))
				piece, _ := at(last, tt.streamText).(string)
				text += piece
			}
			require.NoError(t, out.GetStream().Err())
			assert.Equal(t, "漫画 is fun", text)
			assert.NotNil(t, at(last, tt.last))
			assert.EqualValues(t, 4, at(last, "amazon-bedrock-invocationMetrics.outputTokenCount"))
		})
	}
}

// at follows a path of keys and indexes.
func at(v any, path string) any {
	for key := range strings.SplitSeq(path, ".") {
		switch c := v.(type) {
		case map[string]any:
			v = c[key]
		case []any:
			i := int(key[0] - '0')
			if i >= len(c) {
				return nil
			}
			v = c[i]
		default:
			return nil
		}
	}
	return v
}

func TestFamilyCuts(t *testing.T) {
	for _, tt := range []struct{ model, body, path, reason string }{
		{titan, `{"inputText":"Hi","textGenerationConfig":{"maxTokenCount":1}}`, "results.0.completionReason", "LENGTH"},
		{llama33, `{"prompt":"Hi","max_gen_len":1}`, "stop_reason", "length"},
		{mixtral, `{"prompt":"Hi","max_tokens":1}`, "outputs.0.stop_reason", "length"},
		{large24, `{"messages":[{"role":"user","content":"Hi"}],"max_tokens":1}`, "choices.0.stop_reason", "length"},
		{commandR, `{"message":"Hi","max_tokens":1}`, "finish_reason", "MAX_TOKENS"},
	} {
		srv := bedrocktest.NewServer(t, inProcess, allowEnded)
		srv.Reply(bedrocktest.Text("One two"))
		_, body := do(t, srv, request(t, srv, "/model/"+tt.model+"/invoke", tt.body))
		var v any
		require.NoError(t, json.Unmarshal([]byte(body), &v))
		assert.Equal(t, tt.reason, at(v, tt.path))
		assert.NotContains(t, body, "two")
	}
}

func TestFamilyValidation(t *testing.T) {
	srv := echoServer(t, allowEnded)
	for _, tt := range []struct{ model, body, want string }{
		{titan, `{}`, "required key [inputText] not found"},
		{commandR, `{}`, "required key [message] not found"},
		{large24, `{"messages":[]}`, "#/messages: expected minimum item count: 1"},
		{large24, `{"messages":[{"role":"model","content":"x"}]}`, "#/messages/0/role: model is not a valid enum value"},
		{large24, `{"messages":[{"role":"user","content":"x"}],"max_tokens":0}`, "#/max_tokens: 0 is not greater or equal to 1"},
		{"amazon.titan-embed-image-v1", `{}`, "at least one of inputText and inputImage"},
		{"amazon.titan-embed-image-v1", `{"inputText":"x","embeddingConfig":{"outputEmbeddingLength":1}}`, "#/embeddingConfig/outputEmbeddingLength: 1"},
		{titan, `{"inputText":"x","textGenerationConfig":{"maxTokenCount":0}}`, "#/textGenerationConfig/maxTokenCount: 0 is not greater or equal to 1"},
		{llama33, `{"prompt":"x","max_gen_len":0}`, "#/max_gen_len: 0 is not greater or equal to 1"},
		{mixtral, `[]`, "Malformed input request"},
		{novaLite, `{"schemaVersion":"v9","messages":[]}`, "#/schemaVersion: v9 is not a valid enum value"},
		{"amazon.titan-embed-text-v2:0", `{"inputText":"x","dimensions":300}`, "#/dimensions: 300"},
		{"cohere.embed-english-v3", `{"texts":["x"]}`, "#/input_type"},
		{"cohere.rerank-v3-5:0", `{"query":"x","documents":[]}`, "#/documents"},
		{"twelvelabs.pegasus-1-2-v1:0", `{"x":1}`, "use Converse"},
	} {
		resp, body := do(t, srv, request(t, srv, "/model/"+tt.model+"/invoke", tt.body))
		assert.Equal(t, 400, resp.StatusCode)
		assert.Contains(t, message(body), tt.want)
	}
}

func TestNovaTools(t *testing.T) {
	srv := echoServer(t)
	body := `{"messages":[{"role":"user","content":[{"text":"Hi"}]}],"toolConfig":{"tools":[{"toolSpec":{"name":"f","inputSchema":{"json":{"type":"object","required":["n"],"properties":{"n":{"type":"integer"}}}}}}],"toolChoice":{"any":{}}}}`
	_, got := do(t, srv, request(t, srv, "/model/"+novaLite+"/invoke", body))
	var v any
	require.NoError(t, json.Unmarshal([]byte(got), &v))
	assert.Equal(t, "f", at(v, "output.message.content.0.toolUse.name"))
	assert.EqualValues(t, 1, at(v, "output.message.content.0.toolUse.input.n"))
	assert.Contains(t, at(v, "usage"), "cacheReadInputTokenCount")
}

func embedding(t *testing.T, srv *bedrocktest.Server, text string) []float64 {
	b, _ := json.Marshal(map[string]any{"inputText": text, "dimensions": 256})
	resp, body := do(t, srv, request(t, srv, "/model/amazon.titan-embed-text-v2:0/invoke", string(b)))
	require.Equal(t, 200, resp.StatusCode, body)
	var v struct {
		Embedding           []float64
		InputTextTokenCount int64
	}
	require.NoError(t, json.Unmarshal([]byte(body), &v))
	require.Len(t, v.Embedding, 256)
	assert.Equal(t, bedrocktest.CountTokens(text), v.InputTextTokenCount)
	return v.Embedding
}

func dot(a, b []float64) (sum float64) {
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}

// Embeddings are computed: no script, and like texts are near each other.
func TestEmbeddings(t *testing.T) {
	srv := bedrocktest.NewServer(t, inProcess)
	a := embedding(t, srv, "seinen manga about samurai")
	b := embedding(t, srv, "a samurai manga for adults")
	c := embedding(t, srv, "How do I return my order?")
	assert.InDelta(t, 1, dot(a, a), 1e-4)
	assert.Greater(t, dot(a, b), dot(a, c)+0.2)
	assert.Equal(t, a, embedding(t, srv, "seinen manga about samurai"))

	resp, body := do(t, srv, request(t, srv, "/model/cohere.embed-multilingual-v3/invoke", `{"texts":["a","漫画"],"input_type":"search_query"}`))
	require.Equal(t, 200, resp.StatusCode)
	var v struct{ Embeddings [][]float64 }
	require.NoError(t, json.Unmarshal([]byte(body), &v))
	require.Len(t, v.Embeddings, 2)
	assert.Len(t, v.Embeddings[0], 1024)

	resp, body = do(t, srv, request(t, srv, "/model/cohere.rerank-v3-5:0/invoke",
		`{"query":"samurai manga","documents":["cooking at home","the best samurai manga","trains"],"top_n":2,"api_version":2}`))
	require.Equal(t, 200, resp.StatusCode)
	var ranked struct {
		Results []struct {
			Index int
			Score float64 `json:"relevance_score"`
		}
	}
	require.NoError(t, json.Unmarshal([]byte(body), &ranked))
	require.Len(t, ranked.Results, 2)
	assert.Equal(t, 1, ranked.Results[0].Index)

	resp, _ = do(t, srv, request(t, srv, "/model/cohere.rerank-v3-5:0/invoke-with-response-stream", `{"query":"x","documents":["y"]}`))
	assert.Equal(t, 400, resp.StatusCode)
}

func TestCountTokensOperation(t *testing.T) {
	srv := echoServer(t)
	client := srv.Client(noRetry)
	base := aws.String("anthropic.claude-haiku-4-5-20251001-v1:0")
	out, err := client.CountTokens(t.Context(), &bedrockruntime.CountTokensInput{ModelId: base,
		Input: &types.CountTokensInputMemberConverse{Value: types.ConverseTokensRequest{Messages: userText("Hello there, how are you?")}}})
	require.NoError(t, err)
	converse, err := client.Converse(t.Context(), &bedrockruntime.ConverseInput{ModelId: aws.String(haiku), Messages: userText("Hello there, how are you?")})
	require.NoError(t, err)
	assert.Equal(t, *converse.Usage.InputTokens, *out.InputTokens)

	out, err = client.CountTokens(t.Context(), &bedrockruntime.CountTokensInput{ModelId: base,
		Input: &types.CountTokensInputMemberInvokeModel{Value: types.InvokeModelTokensRequest{Body: anthropicBody("Hello there, how are you?")}}})
	require.NoError(t, err)
	assert.Equal(t, *converse.Usage.InputTokens, *out.InputTokens)

	_, err = client.CountTokens(t.Context(), &bedrockruntime.CountTokensInput{ModelId: aws.String(haiku),
		Input: &types.CountTokensInputMemberConverse{Value: types.ConverseTokensRequest{Messages: userText("Hi")}}})
	var invalid *types.ValidationException
	require.ErrorAs(t, err, &invalid, "it wants the foundation model")
}

// Reasoning is sent back byte for byte, whichever API it goes through.
func TestReasoningRoundTrip(t *testing.T) {
	srv := bedrocktest.NewServer(t, inProcess)
	redacted := []byte{0, 1, 2, 0xff}
	srv.Reply(bedrocktest.Reasoning("hm").Redacted(redacted).Text("ok"), bedrocktest.Text("bye"))
	_, body := do(t, srv, request(t, srv, "/model/"+haiku+"/invoke", string(anthropicBody("Hi"))))
	var v struct{ Content json.RawMessage }
	require.NoError(t, json.Unmarshal([]byte(body), &v))
	assert.Contains(t, string(v.Content), base64.StdEncoding.EncodeToString(redacted))
	again := `{"anthropic_version":"bedrock-2023-05-31","max_tokens":9,"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":` + string(v.Content) + `},{"role":"user","content":"Bye"}]}`
	resp, body := do(t, srv, request(t, srv, "/model/"+haiku+"/invoke", again))
	require.Equal(t, 200, resp.StatusCode, body)
	blocks := srv.Requests()[1].Messages[1].Blocks
	require.Len(t, blocks, 3)
	assert.Equal(t, "hm", blocks[0].Reasoning.Text)
	assert.NotEmpty(t, blocks[0].Reasoning.Signature)
	assert.Equal(t, redacted, blocks[1].Reasoning.Redacted)
}

// A model whose bodies the server does not know is told so, and not taken for
// another that has the same fields.
func TestFamilyThatIsNotKnown(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	for _, model := range []string{"cohere.command-text-v14", "twelvelabs.pegasus-1-2-v1:0"} {
		resp, body := do(t, srv, request(t, srv, "/model/"+model+"/invoke", `{"prompt":"x"}`))
		assert.Equal(t, 400, resp.StatusCode)
		assert.Contains(t, body, "use Converse", model)
	}
}

// The Chat Completions of OpenAI-shaped models: tools, reasoning, cached tokens.
func TestOpenAI(t *testing.T) {
	const tool = `"tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"}}}]`
	usage := bedrockkit.Usage{InputTokens: 5, CacheReadTokens: 7, OutputTokens: 9}
	for _, tt := range []struct {
		model, body string
		reply       *bedrocktest.Reply
		want        map[string]any
		chunks      []string // in the stream
	}{
		{gptOSS, `{"messages":[{"role":"user","content":"Hi"}]}`, bedrocktest.Reasoning("Hm.").Text("Yes").Usage(usage),
			map[string]any{"choices.0.message.content": "<reasoning>Hm.</reasoning>Yes", "usage.prompt_tokens": 12.0, "usage.total_tokens": 21.0,
				"usage.prompt_tokens_details.cached_tokens": 7.0, "object": "chat.completion", "model": gptOSS},
			[]string{`"delta":{"content":"</reasoning>"}`, `"cached_tokens":7`, `"object":"chat.completion.chunk"`}},
		{"deepseek.v3.2", `{"messages":[{"role":"user","content":"Hi"}]}`, bedrocktest.Reasoning("Hm.").Text("Yes"),
			map[string]any{"choices.0.message.content": "Yes", "choices.0.message.reasoning_content": "Hm.", "usage.completion_tokens_details.reasoning_tokens": 1.0},
			[]string{`"delta":{"reasoning_content":"Hm."}`}},
		{gptOSS, `{"messages":[{"role":"user","content":"Hi"}],"tool_choice":{"type":"function","function":{"name":"f"}},` + tool + `}`,
			bedrocktest.ToolUse("f", map[string]any{"a": 1}),
			map[string]any{"choices.0.finish_reason": "tool_calls", "choices.0.message.content": nil, "choices.0.message.tool_calls.0.function.arguments": `{"a":1}`},
			[]string{`"tool_calls":[{"function":{"arguments":"","name":"f"}`, `"finish_reason":"tool_calls"`}},
	} {
		srv := bedrocktest.NewServer(t, inProcess)
		srv.Reply(tt.reply, tt.reply)
		_, body := do(t, srv, request(t, srv, "/model/"+tt.model+"/invoke", tt.body))
		var v any
		require.NoError(t, json.Unmarshal([]byte(body), &v))
		for path, want := range tt.want {
			assert.Equal(t, want, at(v, path), path)
		}
		out, err := srv.Client().InvokeModelWithResponseStream(t.Context(), &bedrockruntime.InvokeModelWithResponseStreamInput{ModelId: &tt.model, Body: []byte(tt.body)})
		require.NoError(t, err)
		var chunks string
		for e := range out.GetStream().Events() {
			chunks += string(e.(*types.ResponseStreamMemberChunk).Value.Bytes)
		}
		require.NoError(t, out.GetStream().Close())
		for _, want := range tt.chunks {
			assert.Contains(t, chunks, want)
		}
	}
}

// What a client says in Chat Completions is read.
func TestOpenAIRequest(t *testing.T) {
	srv := echoServer(t)
	const head = `{"messages":[{"role":"system","content":"s"},{"role":"user","content":"Hi"},{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},
		{"role":"tool","tool_call_id":"c1","content":"3"}],`
	for _, tt := range [][2]string{
		{`"max_tokens":50}`, "f returned: 3"},
		{`"max_completion_tokens":0}`, "#/max_completion_tokens: 0 is not greater or equal to 1"},
		{`"stop":7}`, "Malformed input request"},
		{`"tools":"x"}`, "Malformed input request"},
	} {
		_, body := do(t, srv, request(t, srv, "/model/"+gptOSS+"/invoke", head+tt[0]))
		assert.Contains(t, body, tt[1], tt[0])
	}
	_, body := do(t, srv, request(t, srv, "/model/"+gptOSS+"/invoke",
		`{"messages":[{"role":"user","content":"Hi"}],"reasoning_effort":"low","tool_choice":"required","tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","required":["n"],"properties":{"n":{"type":"integer"}}}}}]}`))
	assert.Contains(t, body, `"arguments":"{\"n\":1}"`)
	assert.Contains(t, body, "<reasoning>I have to answer this: Hi</reasoning>")
	first := srv.Requests()[0]
	assert.Equal(t, []string{"s"}, first.System)
	assert.Equal(t, "c1", first.Messages[1].Blocks[0].ToolUse.ID)
}

// Echo reasons where it is asked to, in each family's words.
func TestEchoReasons(t *testing.T) {
	const text = "I have to answer this: Hi"
	for _, tt := range []struct {
		model, op, body string
		want            bool
	}{
		{haiku, "converse", `{"messages":[` + user + `]}`, false},
		{haiku, "converse", `{"messages":[` + user + `],"inferenceConfig":{"maxTokens":4000},"additionalModelRequestFields":{"thinking":{"type":"enabled","budget_tokens":1024}}}`, true},
		{haiku, "converse", `{"messages":[` + user + `],"additionalModelRequestFields":{"thinking":{"type":"disabled"}}}`, false},
		{haiku, "invoke", `{"anthropic_version":"bedrock-2023-05-31","max_tokens":4000,"messages":[{"role":"user","content":"Hi"}],"thinking":{"type":"enabled","budget_tokens":1024}}`, true},
		{"us.amazon.nova-2-lite-v1:0", "converse", `{"messages":[` + user + `],"additionalModelRequestFields":{"reasoningConfig":{"type":"enabled","maxReasoningEffort":"low"}}}`, true},
		{gptOSS, "converse", `{"messages":[` + user + `],"additionalModelRequestFields":{"reasoning_effort":"low"}}`, true},
		{gptOSS, "converse", `{"messages":[` + user + `],"additionalModelRequestFields":{"reasoning_effort":"none"}}`, false},
	} {
		srv := echoServer(t)
		resp, body := do(t, srv, request(t, srv, "/model/"+tt.model+"/"+tt.op, tt.body))
		require.Equal(t, 200, resp.StatusCode, body)
		assert.Equal(t, tt.want, strings.Contains(body, text), body)
		assert.Equal(t, tt.want && tt.model == haiku, strings.Contains(body, `"signature"`), body)
	}
}

// The fields of the model's own body, where Converse is asked for them.
func TestResponseFields(t *testing.T) {
	srv := bedrocktest.NewServer(t, inProcess)
	reply := bedrocktest.Text("one END two")
	for paths, want := range map[string]string{
		`["/stop_sequence"]`:                                     `{"stop_sequence":"END"}`,
		`["/stop_sequence","/type","/nowhere"]`:                  `{"stop_sequence":"END","type":"message"}`,
		`["/usage/output_tokens","/usage/a~1b~0"]`:               `{"usage":{"output_tokens":2}}`,
		`["/usage/output_tokens","/usage/input_tokens","/role"]`: `{"role":"assistant","usage":{"input_tokens":5,"output_tokens":2}}`,
		`["/nowhere"]`: "",
	} {
		body := `{"messages":[` + user + `],"inferenceConfig":{"stopSequences":["END"]},"additionalModelResponseFieldPaths":` + paths + `}`
		for _, op := range []string{"converse", "converse-stream"} {
			srv.Reply(reply)
			_, got := do(t, srv, request(t, srv, "/model/"+haiku+"/"+op, body))
			if want == "" {
				assert.NotContains(t, got, "additionalModelResponseFields")
				continue
			}
			assert.Contains(t, got, `"additionalModelResponseFields":`+want, paths)
		}
	}
}
