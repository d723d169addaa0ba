package family_test

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/internal/family"
)

type inner struct {
	Inside int `json:"inside,omitempty"`
}

type body struct {
	inner
	Known  string                     `json:"known,omitempty"`
	Plain  int                        // by its Go name
	Hidden string                     `json:"-"`
	Extra  map[string]json.RawMessage `json:"-"`
}

func TestMarshal(t *testing.T) {
	raw := func(text string) json.RawMessage { return json.RawMessage(text) }
	for _, tt := range []struct {
		v     any
		extra map[string]json.RawMessage
		want  string
	}{
		{body{Known: "<&>"}, nil, `{"known":"<&>","Plain":0}`},
		{&body{}, map[string]json.RawMessage{"z": raw(`[1]`), "a": raw(`"<"`)}, `{"Plain":0,"a":"<","z":[1]}`},
		{inner{}, map[string]json.RawMessage{`q"`: raw(`null`)}, `{"q\"":null}`},
		{body{}, map[string]json.RawMessage{"Hidden": raw(`1`)}, `{"Plain":0,"Hidden":1}`},
	} {
		got, err := family.Marshal(tt.v, tt.extra)
		require.NoError(t, err)
		assert.Equal(t, tt.want, string(got))
		assert.True(t, json.Valid(got))
	}
	for _, name := range []string{"known", "KNOWN", "plain", "inside"} {
		_, err := family.Marshal(body{}, map[string]json.RawMessage{name: raw("1")})
		assert.ErrorContains(t, err, name)
	}
	_, err := family.Marshal(body{}, map[string]json.RawMessage{"new": raw("{")})
	assert.ErrorContains(t, err, `"new" in extra is not JSON`)
}

func TestUnmarshal(t *testing.T) {
	for _, tt := range []struct {
		data  string
		want  body
		extra map[string]json.RawMessage
	}{
		{`{"known":"a","Plain":1,"inside":2}`, body{inner: inner{2}, Known: "a", Plain: 1}, nil},
		{`{"known":"a","new":{"x":1.50},"Hidden":"h"}`, body{Known: "a"}, map[string]json.RawMessage{"new": json.RawMessage(`{"x":1.50}`), "Hidden": json.RawMessage(`"h"`)}},
	} {
		var got body
		extra, err := family.Unmarshal([]byte(tt.data), &got)
		require.NoError(t, err)
		assert.Equal(t, tt.want, got)
		assert.Equal(t, tt.extra, extra)
	}
	for _, data := range []string{``, `[]`, `{"known":1}`, `{} {}`, `{"known":"a"} x`} {
		_, err := family.Unmarshal([]byte(data), &body{})
		assert.Error(t, err, data)
	}
}

func TestBody(t *testing.T) {
	for _, id := range []string{"", "claude", "meta.llama3-8b-instruct-v1:0", "us.meta.llama3-3-70b-instruct-v1:0",
		"arn:aws:bedrock:us-east-1:123456789012:provisioned-model/abc"} {
		assert.NoError(t, family.Body{Name: "llama.Request", Models: []string{"meta.llama"}}.Check(bedrockkit.ModelID(id)), id)
	}
	err := family.Body{Name: "x.Request", Models: []string{"amazon.titan", "cohere."}}.Check("us.amazon.nova-lite-v1:0")
	assert.EqualError(t, err, "x.Request is for models named amazon.titan… or cohere.…, and not for amazon.nova-lite-v1:0")
	but := family.Body{Name: "x.Request", Models: []string{"amazon.nova-"}, Except: []string{"amazon.nova-canvas"}}
	assert.NoError(t, but.Check("amazon.nova-lite-v1:0"))
	assert.Error(t, but.Check("amazon.nova-canvas-v1:0"))
	assert.False(t, but.Takes(""), "nobody knows what it is")
}

func TestUsage(t *testing.T) {
	one, minus := int64(1), int64(-1)
	assert.False(t, family.Usage(&one, &one).Unknown)
	for _, pair := range [][2]*int64{{nil, &one}, {&one, nil}, {&minus, &one}, {&one, &minus}} {
		assert.True(t, family.Usage(pair[0], pair[1]).Unknown)
	}
	for _, tt := range []struct {
		total         int64 // 0 for none
		cached, wrote int64
		want          bedrockkit.Usage
	}{
		{0, 0, 0, bedrockkit.Usage{InputTokens: 100, OutputTokens: 20}},
		{0, 64, 0, bedrockkit.Usage{InputTokens: 36, OutputTokens: 20, CacheReadTokens: 64}},
		{120, 64, 16, bedrockkit.Usage{InputTokens: 20, OutputTokens: 20, CacheReadTokens: 64, CacheWrite5mTokens: 16}},
		{200, 64, 16, bedrockkit.Usage{InputTokens: 100, OutputTokens: 20, CacheReadTokens: 64, CacheWrite5mTokens: 16}},
		{0, 101, 0, bedrockkit.Usage{Unknown: true}},
		{0, -1, 0, bedrockkit.Usage{Unknown: true}},
		{math.MinInt64, math.MaxInt64, math.MaxInt64, bedrockkit.Usage{Unknown: true}},
	} {
		prompt, completion, total := int64(100), int64(20), &tt.total
		if tt.total == 0 {
			total = nil
		}
		assert.Equal(t, tt.want, family.PromptUsage(&prompt, &completion, total, tt.cached, tt.wrote))
	}
	assert.NoError(t, family.Between[int]("n", nil, 1, 2))
	two := 2
	assert.NoError(t, family.Between("n", &two, 1, 2))
	assert.EqualError(t, family.Between("n", &two, 0, 1), "n is 2; it is from 0 to 1")
}

// A bound is read as encoding/json reads it, but without allocating. What is no whole number is none, and of two the larger one holds.
func TestBound(t *testing.T) {
	for body, want := range map[string]int64{
		`{"max_tokens":100}`: 100,
		` { "messages":[{"max_tokens":5}] , "max_tokens" : 7 } `: 7,
		`{"max\u005ftokens":9}`:                                  9,
		`{"max_tokens":9,"max_tokens":8}`:                        9,
		`{"max_tokens":8,"max_tokens":9}`:                        9,
		`{"Max_Tokens":9}`:                                       9,
		`{"max_tokens":"9"}`:                                     0,
		`{"max_tokens":9.5}`:                                     0,
		`{"max_tokens":1e3}`:                                     0,
		`{"max_tokens":-1}`:                                      0,
		`{"max_tokens":99999999999999999999}`:                    0,
		`{"max_tokens":null}`:                                    0,
		`{}`:                                                     0,
		`[]`:                                                     0,
		`null`:                                                   0,
		``:                                                       0,
		`{"max_tokens`:                                           0,
	} {
		assert.Equal(t, want, family.MaxTokens([]byte(body)), body)
	}
	nested := []byte(`{"a":1,"inferenceConfig":{"maxTokens":3},"b":{"maxTokens":4}}`)
	assert.Equal(t, int64(3), family.Bound(nested, "inferenceConfig", "maxTokens"))
	assert.Zero(t, family.Bound([]byte(`{"inferenceConfig":3}`), "inferenceConfig", "maxTokens"))
	assert.Zero(t, testing.AllocsPerRun(100, func() { family.Bound(nested, "InferenceConfig", "maxTokens") }))
}
