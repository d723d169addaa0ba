package cache

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files anew")

// full returns a request with all that one can have.
func full() Request {
	return Request{
		Namespace: "shop/prod", Tenant: "tenant-1", Class: ClassConverse,
		Account: "123456789012", Region: "ap-northeast-1", Model: "jp.anthropic.claude-haiku-4-5-20251001-v1:0",
		Params: []Param{{"X-Amzn-Bedrock-GuardrailIdentifier", "g1"}, {"X-Amzn-Bedrock-GuardrailVersion", "2"}},
		Body: []byte(`{
	"system": [{"text": "You sell manga."}],
	"messages": [
		{"role": "user", "content": [{"text": "What is “One Piece” about?"}, {"image": {"format": "png", "source": {"bytes": "aGVsbG8="}}}]},
		{"role": "assistant", "content": [{"text": "Pirates."}]},
		{"role": "user", "content": [{"text": "Tell me more ☠"}]}
	],
	"inferenceConfig": {"maxTokens": 512, "temperature": 0, "topP": 0.9, "stopSequences": ["END"]},
	"toolConfig": {"tools": [{"toolSpec": {"name": "search", "inputSchema": {"json": {"type": "object", "properties": {"q": {"type": "string"}}}}}}], "toolChoice": {"auto": {}}},
	"guardrailConfig": {"guardrailIdentifier": "g1", "guardrailVersion": "2"},
	"additionalModelRequestFields": {"top_k": 50},
	"serviceTier": {"type": "flex"}
}`),
	}
}

type vector struct {
	Name     string  `json:"name"`
	Secret   string  `json:"secret,omitempty"`
	Request  request `json:"request"`
	Preimage string  `json:"preimage_sha256"`
	Key      string  `json:"key"`
}

// request is a Request as the vectors have it; the body is a string so that it
// stays as it is.
type request struct {
	Namespace string      `json:"namespace"`
	Tenant    string      `json:"tenant"`
	Class     Class       `json:"class"`
	Account   string      `json:"account"`
	Region    string      `json:"region"`
	Model     string      `json:"model"`
	Params    [][2]string `json:"params,omitempty"`
	Body      string      `json:"body"`
}

func TestGoldenKeys(t *testing.T) {
	minimal := Request{Class: ClassInvokeModel, Model: "amazon.titan-text-lite-v1", Body: []byte(`{"inputText":"hello"}`)}
	escaped := minimal
	escaped.Body = []byte(" {\r\n\"\\u0069nputText\" : \"\\u0068e\\u006clo\" } ")
	reordered := full()
	slices.Reverse(reordered.Params)
	values := minimal
	values.Body = []byte(`{"z":[null,true,false,0,-0,1.0,1e0,12345678901234567890],"":{},"a":[],"é":"\ud83d\ude00\ud83d \"\\\/\b\f\n\r\t"}`)
	var got []vector
	for _, c := range []struct {
		name, secret string
		r            Request
	}{
		{"minimal", "", minimal},
		{"minimal, written in another way", "", escaped},
		{"minimal, with a secret", "secret", minimal},
		{"all fields", "", full()},
		{"all fields, params in another order", "", reordered},
		{"every kind of value", "", values},
	} {
		key, err := NewKeyer([]byte(c.secret)).Key(c.r)
		require.NoError(t, err)
		p, err := preimage(c.r)
		require.NoError(t, err)
		v := vector{Name: c.name, Secret: c.secret, Preimage: fmt.Sprintf("%x", sha256.Sum256(p)), Key: key.String()}
		v.Request = request{c.r.Namespace, c.r.Tenant, c.r.Class, c.r.Account, c.r.Region, string(c.r.Model), nil, string(c.r.Body)}
		for _, p := range c.r.Params {
			v.Request.Params = append(v.Request.Params, [2]string{p.Name, p.Value})
		}
		got = append(got, v)
	}
	const file = "testdata/keys.json"
	if *update {
		data, err := json.MarshalIndent(got, "", "\t")
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(file, append(data, '\n'), 0o644))
	}
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	var want []vector
	require.NoError(t, json.Unmarshal(data, &want))
	assert.Equal(t, want, got)
	assert.Equal(t, got[0].Key, got[1].Key)
	assert.Equal(t, got[3].Key, got[4].Key)
}

// A pre-image written out by hand from the package comment.
func TestPreimage(t *testing.T) {
	r := Request{Namespace: "n", Tenant: "te", Class: ClassInvokeModel, Account: "1", Region: "r", Model: "m", Params: []Param{{"b", "2"}, {"a", "1"}},
		Body: []byte(`{"b":[1.50,"\u00e9"],"a":null}`)}
	got, err := preimage(r)
	require.NoError(t, err)
	l := func(n byte) string { return "\x00\x00\x00\x00\x00\x00\x00" + string(n) }
	want := "bedrockkit/cache/key/1" + l(1) + "n" + l(2) + "te" + l(12) + "invoke-model" + l(1) + "1" + l(1) + "r" + l(1) + "m" +
		l(2) + l(1) + "a" + l(1) + "1" + l(1) + "b" + l(1) + "2" +
		"{\"\x00\x00\x00\x01an\"\x00\x00\x00\x01b[#\x00\x00\x00\x041.50\"\x00\x00\x00\x02é]}"
	assert.Equal(t, want, string(got))

	key, err := NewKeyer(nil).Key(r)
	require.NoError(t, err)
	assert.Equal(t, Key{"n", "te", sha256.Sum256([]byte(want))}, key)
	mac := hmac.New(sha256.New, []byte("secret"))
	mac.Write([]byte(want))
	keyer := NewKeyer([]byte("secret"))
	for range 2 {
		key, err = keyer.Key(r)
		require.NoError(t, err)
		assert.Equal(t, mac.Sum(nil), key.Sum[:])
	}
}

// Whatever of a request changes, its key does.
func TestAnyChangeIsAnotherKey(t *testing.T) {
	change := func(old, new string) func(*Request) {
		return func(r *Request) {
			body := bytes.Replace(r.Body, []byte(old), []byte(new), 1)
			require.NotEqual(t, r.Body, body, old)
			r.Body = body
		}
	}
	changes := map[string]func(*Request){
		"namespace":         func(r *Request) { r.Namespace = "shop/test" },
		"tenant":            func(r *Request) { r.Tenant = "tenant-2" },
		"tenant's case":     func(r *Request) { r.Tenant = "Tenant-1" },
		"namespace, tenant": func(r *Request) { r.Namespace, r.Tenant = "shop/prodtenant-1", "" },
		"class":             func(r *Request) { r.Class = ClassInvokeModel },
		"account":           func(r *Request) { r.Account = "210987654321" },
		"region":            func(r *Request) { r.Region = "us-east-1" },
		"model":             func(r *Request) { r.Model = "anthropic.claude-haiku-4-5-20251001-v1:0" },
		"param's value":     func(r *Request) { r.Params[1].Value = "3" },
		"param's name":      func(r *Request) { r.Params[1].Name = "X-Amzn-Bedrock-Trace" },
		"param less":        func(r *Request) { r.Params = r.Params[:1] },
		"param more":        func(r *Request) { r.Params = append(r.Params, Param{}) },
		"system":            change("You sell", "You buy"),
		"no system":         change(`"system": [{"text": "You sell manga."}],`, ""),
		"text":              change("Tell me more", "Tell me less"),
		"white space":       change("Tell me more", "Tell me  more"),
		"role":              change(`"assistant"`, `"user"`),
		"image":             change("aGVsbG8=", "aGVsbG9="),
		"media format":      change(`"png"`, `"gif"`),
		"order":             change(`{"role": "assistant", "content": [{"text": "Pirates."}]},`, ""),
		"maxTokens":         change("512", "513"),
		"temperature":       change(`"temperature": 0`, `"temperature": 0.1`),
		"number's form":     change(`"temperature": 0`, `"temperature": 0.0`),
		"number as string":  change("512", `"512"`),
		"null":              change("512", "null"),
		"no topP":           change(`"topP": 0.9,`, ""),
		"stop sequence":     change(`"END"`, `"END", "STOP"`),
		"tool's name":       change(`"search"`, `"find"`),
		"tool's schema":     change(`"string"`, `"number"`),
		"tool choice":       change(`"auto"`, `"any"`),
		"guardrail":         change(`"guardrailVersion": "2"`, `"guardrailVersion": "DRAFT"`),
		"additional field":  change("50", "51"),
		"tier":              change(`"flex"`, `"priority"`),
		"format":            change(`"serviceTier"`, `"outputConfig": {}, "serviceTier"`),
	}
	keyer := NewKeyer(nil)
	first, err := keyer.Key(full())
	require.NoError(t, err)
	seen := map[[32]byte]string{first.Sum: "none"}
	for name, fn := range changes {
		r := full()
		fn(&r)
		key, err := keyer.Key(r)
		require.NoError(t, err, name)
		assert.Empty(t, seen[key.Sum], "%s is no other key", name)
		seen[key.Sum] = name
	}
	secret, err := NewKeyer([]byte("secret")).Key(full())
	require.NoError(t, err)
	other, err := NewKeyer([]byte("other")).Key(full())
	require.NoError(t, err)
	assert.NotEqual(t, first, secret)
	assert.NotEqual(t, other, secret)
}

func TestRequestsWithoutKey(t *testing.T) {
	for name, c := range map[string]struct {
		fn   func(*Request)
		want string
	}{
		"class":        {func(r *Request) { r.Class = "" }, "class"},
		"model":        {func(r *Request) { r.Model = "" }, "model"},
		"empty":        {func(r *Request) { r.Body = nil }, "byte 0: the JSON ends"},
		"twice":        {func(r *Request) { r.Body = []byte(`{"canary":1,"canar\u0079":2}`) }, "two members of one name"},
		"no UTF-8":     {func(r *Request) { r.Body = []byte("{\"canary\":\"canary\xff\"}") }, "UTF-8"},
		"control":      {func(r *Request) { r.Body = []byte("{\"canary\":\"canary\n\"}") }, "control character"},
		"more":         {func(r *Request) { r.Body = []byte(`{} "canary"`) }, "byte 3: there is more"},
		"escape":       {func(r *Request) { r.Body = []byte(`"canary\q"`) }, "byte 7: an escape"},
		"cut":          {func(r *Request) { r.Body = []byte(`{"canary":"can`) }, "the JSON ends within a string"},
		"no value":     {func(r *Request) { r.Body = []byte(`[canary]`) }, "byte 1: this is not a value"},
		"deep":         {func(r *Request) { r.Body = []byte(strings.Repeat(`[`, 1e6)) }, "nested deeper than 128"},
		"deep, object": {func(r *Request) { r.Body = []byte(strings.Repeat(`{"canary":`, 1e5)) }, "nested deeper than 128"},
		"large":        {func(r *Request) { r.Body = make([]byte, maxBody+1) }, "25000001 bytes"},
	} {
		r := full()
		c.fn(&r)
		key, err := NewKeyer(nil).Key(r)
		if assert.ErrorContains(t, err, c.want, name) {
			assert.NotContains(t, err.Error(), "canary", name)
		}
		assert.Zero(t, key)
	}
}

func TestKeyString(t *testing.T) {
	k := Key{Namespace: "shop/日本 prod", Tenant: "someone@example.com"}
	s := k.String()
	assert.Regexp(t, `^[!-~]+/[0-9a-f]{32}/[0-9a-f]{64}$`, s)
	assert.NotContains(t, s, "someone")
	assert.True(t, strings.HasPrefix(s, k.Prefix()))
	assert.Equal(t, 2, strings.Count(s, "/"))
	other := k
	other.Tenant = "someone.else@example.com"
	assert.NotEqual(t, k.Prefix(), other.Prefix())
	sum, err := hex.DecodeString(s[len(k.Prefix()):])
	require.NoError(t, err)
	assert.Equal(t, k.Sum[:], sum)
}

// bodyOf returns a conversation of about n bytes, its members not in order.
func bodyOf(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"messages":[`)
	for i := 0; b.Len() < n-500; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"role":"%s","content":[{"text":"Message %d. %s"}]}`, []string{"user", "assistant"}[i%2], i,
			strings.Repeat("A pirate set out for the treasure of the king, and found a crew that said aye to all of it.\\n", 4)+`\"Aye!\"`)
	}
	b.WriteString(`],"system":[{"text":"You sell manga and know them all."}],"inferenceConfig":{"maxTokens":512,"temperature":0.5,"topP":0.9}}`)
	return b.Bytes()
}

func TestPreimageAllocatesNothing(t *testing.T) {
	r, e := full(), new(encoder)
	require.NoError(t, e.request(&r))
	assert.Zero(t, testing.AllocsPerRun(100, func() { _ = e.request(&r) }))
}

func BenchmarkKey(b *testing.B) {
	for _, n := range []int{1000, 20_000} {
		for name, secret := range map[string]string{"sha256": "", "hmac": "secret"} {
			b.Run(fmt.Sprintf("%s/%dkB", name, n/1000), func(b *testing.B) {
				r, keyer := full(), NewKeyer([]byte(secret))
				r.Body = bodyOf(n)
				b.SetBytes(int64(len(r.Body)))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := keyer.Key(r); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// What Ignore names does not make another key; what has the name further down
// does.
func TestIgnored(t *testing.T) {
	key := func(body string) Key {
		k, err := NewKeyer(nil).Key(Request{Class: ClassConverse, Model: "m", Body: []byte(body), Ignore: []string{"requestMetadata", "other"}})
		require.NoError(t, err)
		return k
	}
	want := key(`{"a":1,"z":{"requestMetadata":"x"}}`)
	for _, body := range []string{
		`{"requestMetadata":{"user":"1"},"a":1,"z":{"requestMetadata":"x"}}`,
		`{"z":{"requestMetadata":"x"},"other":[{"a":2}],"a":1,"requestMetadata":null}`,
	} {
		assert.Equal(t, want, key(body), body)
	}
	assert.NotEqual(t, want, key(`{"a":1,"z":{"requestMetadata":"y"}}`))
	assert.Equal(t, key(`{}`), key(`{"other":1}`))
	plain, err := NewKeyer(nil).Key(Request{Class: ClassConverse, Model: "m", Body: []byte(`{"a":1,"z":{"requestMetadata":"x"}}`)})
	require.NoError(t, err)
	assert.Equal(t, want, plain, "the key of a body without them")
}

// What is ignored says nothing of the temperature either.
func TestIgnoredTemperature(t *testing.T) {
	for body, want := range map[string]bool{
		`{"inferenceConfig":{"temperature":0},"requestMetadata":{"temperature":"warm"}}`: true,
		`{"requestMetadata":{"temperature":1},"inferenceConfig":{"temperature":0}}`:      true,
		`{"requestMetadata":{"temperature":0}}`:                                          false,
	} {
		_, err := NewKeyer(nil).Key(Request{Class: ClassConverse, Model: "m", Body: []byte(body), Repeatable: true, Ignore: []string{"requestMetadata"}})
		assert.Equal(t, want, err == nil, body)
	}
}

func TestRepeatable(t *testing.T) {
	for body, want := range map[string]bool{
		`{"inferenceConfig":{"temperature":0}}`: true,
		`{"temperature":0.0}`:                   true,
		`{"temperature":-0e9}`:                  true,
		`{"te\u006dperature":0}`:                true,
		`{"requestMetadata":{"a":"b"},"inferenceConfig":{"topP":1,"temperature":0.00}}`: true,
		`{}`:                    false,
		`{"temperature":null}`:  false,
		`{"temperature":"0"}`:   false,
		`{"temperature":0.1}`:   false,
		`{"temperature":1e0}`:   false,
		`{"temperature":false}`: false,
		`{"inferenceConfig":{"temperature":0},"additionalModelRequestFields":{"temperature":1}}`:            false,
		`{"messages":[{"content":[{"text":"\"temperature\":0"}]}]}`:                                         false,
		`{"toolConfig":{"tools":[{"toolSpec":{"inputSchema":{"json":{"properties":{"temperature":0}}}}}]}}`: false,
	} {
		_, err := NewKeyer(nil).Key(Request{Class: ClassConverse, Model: "m", Body: []byte(body), Repeatable: true})
		if want {
			assert.NoError(t, err, body)
		} else {
			assert.ErrorIs(t, err, ErrTemperature, body)
		}
	}
}
