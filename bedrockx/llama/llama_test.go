package llama_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/llama"
)

const model bedrockkit.ModelID = "us.meta.llama3-3-70b-instruct-v1:0"

func ptr[T any](v T) *T { return &v }

func ExampleRequest() {
	fake, err := bedrocktest.New(func(o *bedrocktest.Options) { o.InProcess = true })
	if err != nil {
		fmt.Println(err)
		return
	}
	defer fake.Close()
	fake.Reply(bedrocktest.Text("Kentaro Miura."))
	client := bedrockx.New(fake.Client()) // or bedrockx.NewFromConfig(cfg)

	// The format of Llama 3.
	prompt := "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nWho wrote Berserk?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
	result, err := bedrockx.Invoke(context.Background(), client, "us.meta.llama3-3-70b-instruct-v1:0", llama.Request{Prompt: prompt, MaxGenLen: 100})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(result.Output.Generation, result.StopReason)
	// Output: Kentaro Miura. end_turn
}

func TestInvoke(t *testing.T) {
	srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
	client := bedrockx.New(srv.Client())
	srv.Reply(bedrocktest.Text("One two three").Usage(bedrockkit.Usage{InputTokens: 7, OutputTokens: 3}), bedrocktest.Text("One two three").Stop("max_tokens"))
	req := llama.Request{Prompt: "Hi <b>", MaxGenLen: 9, Temperature: ptr(0.0), Images: [][]byte{{0xff}}, Extra: map[string]json.RawMessage{"new": json.RawMessage("true")}}
	result, err := bedrockx.Invoke(t.Context(), client, model, req)
	require.NoError(t, err)
	assert.Equal(t, "One two three", result.Output.Generation)
	assert.Equal(t, bedrockkit.Usage{InputTokens: 7, OutputTokens: 3}, result.Usage)
	assert.Equal(t, `{"prompt":"Hi <b>","images":["/w=="],"max_gen_len":9,"temperature":0,"new":true}`, string(srv.Requests()[0].Body))
	var read llama.Request
	require.NoError(t, json.Unmarshal(srv.Requests()[0].Body, &read))
	assert.Equal(t, req, read)

	result, err = bedrockx.Invoke(t.Context(), client, model, req)
	require.NoError(t, err)
	assert.Equal(t, bedrockkit.StopMaxTokens, result.StopReason)
	assert.Equal(t, []int{9, 512}, []int{req.MaxOutputTokens(), llama.Request{}.MaxOutputTokens()})
}

func TestRefused(t *testing.T) {
	for want, req := range map[string]llama.Request{
		"prompt is empty":            {Prompt: " "},
		"max_gen_len is -1":          {Prompt: "x", MaxGenLen: -1},
		"temperature is 1.5":         {Prompt: "x", Temperature: ptr(1.5)},
		"top_p is -1":                {Prompt: "x", TopP: ptr(-1.0)},
		`extra has "prompt"`:         {Prompt: "x", Extra: map[string]json.RawMessage{"prompt": json.RawMessage(`""`)}},
		`"new" in extra is not JSON`: {Prompt: "x", Extra: map[string]json.RawMessage{"new": nil}},
	} {
		_, err := req.EncodeInvoke(model)
		assert.ErrorContains(t, err, want)
	}
	_, err := llama.Request{Prompt: "x"}.EncodeInvoke("amazon.nova-lite-v1:0")
	assert.ErrorContains(t, err, "amazon.nova-lite-v1:0")
	_, err = llama.Request{Prompt: "x"}.EncodeInvoke("arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc")
	assert.NoError(t, err, "the ARN does not tell its model")
}

func TestDecode(t *testing.T) {
	resp, usage, stop, err := llama.Request{}.DecodeInvoke(json.RawMessage(`{"generation":"x","stop_reason":"new","prompt_token_count":-1,"generation_token_count":1,"images":[1]}`))
	require.NoError(t, err)
	assert.True(t, usage.Unknown)
	assert.Equal(t, bedrockkit.StopReason("new"), stop)
	stored, err := json.Marshal(resp)
	require.NoError(t, err)
	assert.Contains(t, string(stored), `"images":[1]`)
	for _, body := range []string{`{"error":1}`, `7`, `{"generation":1}`} {
		_, _, _, err := llama.Request{}.DecodeInvoke(json.RawMessage(body))
		assert.Error(t, err, body)
	}
}
