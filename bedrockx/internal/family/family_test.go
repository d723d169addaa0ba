package family_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx/internal/family"
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

func TestCheckModel(t *testing.T) {
	for _, id := range []string{"", "claude", "meta.llama3-8b-instruct-v1:0", "us.meta.llama3-3-70b-instruct-v1:0",
		"arn:aws:bedrock:us-east-1:123456789012:provisioned-model/abc"} {
		assert.NoError(t, family.CheckModel(bedrockkit.ModelID(id), "llama.Request", "meta.llama"), id)
	}
	err := family.CheckModel("us.amazon.nova-lite-v1:0", "x.Request", "amazon.titan", "cohere.")
	assert.EqualError(t, err, "x.Request is for models named amazon.titan… or cohere.…, and not for amazon.nova-lite-v1:0")
}

func TestUsage(t *testing.T) {
	one, minus := int64(1), int64(-1)
	assert.False(t, family.Usage(&one, &one).Unknown)
	for _, pair := range [][2]*int64{{nil, &one}, {&one, nil}, {&minus, &one}, {&one, &minus}} {
		assert.True(t, family.Usage(pair[0], pair[1]).Unknown)
	}
	assert.NoError(t, family.Between[int]("n", nil, 1, 2))
	two := 2
	assert.NoError(t, family.Between("n", &two, 1, 2))
	assert.EqualError(t, family.Between("n", &two, 0, 1), "n is 2; it is from 0 to 1")
}
