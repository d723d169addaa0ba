package converse

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
)

// choices make a request of bytes: each byte is one choice. Where they have
// run out the first is taken, which is always a sane one; most bytes choose it
// as well, so that requests have few faults at once.
type choices struct{ data []byte }

func (c *choices) next() byte {
	if len(c.data) == 0 {
		return 0
	}
	b := c.data[0]
	c.data = c.data[1:]
	return b
}

func (c *choices) n(k int) int { return int(c.next()) % k }

// odd is true for about one byte in sixteen.
func (c *choices) odd() bool { return c.next()%16 == 15 }

// pick is mostly the first of the values.
func pick[T any](c *choices, values ...T) T {
	if b := c.next(); b%4 == 3 {
		return values[int(b/4)%len(values)]
	}
	return values[0]
}

func (c *choices) text() string {
	return pick(c, "hello", "日本語", " ", "", "\u3000\n", "x ", "<&>\"\\")
}

func (c *choices) source() (data []byte, uri, owner string) {
	switch c.n(5) {
	case 3:
		return nil, pick(c, "s3://bucket/key", "s3://b", "http://x", "s3://bucket"), pick(c, "", "123456789012", "12")
	case 4:
		if c.odd() {
			return nil, "", ""
		}
	}
	return []byte("data"), "", ""
}

func (c *choices) document() Document {
	d := Document{Format: pick(c, "pdf", "csv", "", "exe"), Name: pick(c, "list", "other", "a  b", "名", "", strings.Repeat("a", 201), "a-b (c) [d]"), Context: pick(c, "", "context"), Citations: c.odd()}
	d.Name += pick(c, fmt.Sprint(c.n(7)), "")
	switch c.n(6) {
	case 4:
		d.Text = pick(c, "text", " ")
	case 5:
		d.Chunks = pick(c, []string{"a", "b"}, []string{})
	default:
		d.Bytes, d.S3URI, d.S3Owner = c.source()
	}
	return d
}

func (c *choices) image() Image {
	i := Image{Format: pick(c, "png", "gif", "bmp", "")}
	i.Bytes, i.S3URI, i.S3Owner = c.source()
	return i
}

func (c *choices) video() Video {
	v := Video{Format: pick(c, "mp4", "three_gp", "3gp")}
	v.Bytes, v.S3URI, v.S3Owner = c.source()
	return v
}

func (c *choices) searchResult() SearchResult {
	return SearchResult{Source: pick(c, "s", ""), Title: "t", Content: pick(c, []string{"a"}, nil), Citations: c.odd()}
}

func (c *choices) cachePoint() CachePoint {
	return CachePoint{TTL: pick(c, "", "5m", "1h", "1h", "30m", "1d")}
}

func (c *choices) id() string {
	return pick(c, "t1", "t2", "t3", "", "bad id", strings.Repeat("x", 65), "a.b:c_d-e")
}

func (c *choices) name() string {
	return pick(c, "search", "stock", "bad name", "", strings.Repeat("n", 65), "a.b")
}

func (c *choices) result(id string) ToolResult {
	r := ToolResult{ToolUseID: id, Status: pick(c, "", ToolSuccess, ToolError, "other"), Content: Contents{Text("ok")}}
	for range c.n(4) / 2 {
		switch c.n(9) {
		case 0, 1:
			r.Content = append(r.Content, JSON(pick(c, `{"a":1}`, `[1]`, `{`, ``)))
		case 2:
			r.Content = append(r.Content, Text(c.text()))
		case 3:
			r.Content = append(r.Content, c.image())
		case 4:
			r.Content = append(r.Content, c.document())
		case 5:
			r.Content = append(r.Content, c.video())
		case 6:
			r.Content = append(r.Content, c.searchResult())
		case 7:
			r.Content = append(r.Content, pick[Content](c, Text("ok"), CachePoint{}, Reasoning{Text: "r"}, nil, ToolUse{ID: "t1", Name: "search"}, Audio{Format: "mp3", Bytes: []byte("a")}))
		case 8:
			r.Content = nil
		}
	}
	return r
}

func (c *choices) block(role Role) Content {
	switch c.n(20) {
	default:
		return Text(c.text())
	case 4, 5:
		if role == RoleAssistant || c.odd() {
			return ToolUse{ID: c.id(), Name: c.name(), Input: json.RawMessage(pick(c, `{}`, `{"a":[1e400]}`, ``, `[1]`, `{"a":`))}
		}
		return Text("hi")
	case 6:
		if role == RoleUser || c.odd() {
			return c.image()
		}
		return Text("hi")
	case 7, 8:
		if role == RoleUser || c.odd() {
			return c.document()
		}
		return Text("hi")
	case 9:
		return c.video()
	case 10:
		a := Audio{Format: pick(c, "mp3", "x-aac", "x")}
		a.Bytes, a.S3URI, a.S3Owner = c.source()
		return a
	case 11:
		if role == RoleAssistant || c.odd() {
			return pick[Content](c, Reasoning{Text: "hm", Signature: "s"}, Redacted("r"))
		}
		return Text("hi")
	case 12:
		return CitedText{Content: []string{"a"}, Citations: []Citation{{Title: "t", Location: Location{Kind: pick(c, LocationPage, LocationChar, LocationWeb, "", "x"), Start: pick(c, 1, -1)}}}}
	case 13:
		return c.searchResult()
	case 14:
		return GuardText{Text: c.text(), Qualifiers: pick(c, []Qualifier{QualifierQuery}, nil, []Qualifier{"x"})}
	case 15:
		return GuardImage{Format: pick(c, "png", "gif"), Bytes: pick(c, []byte("g"), nil)}
	case 16, 17:
		return c.cachePoint()
	case 18:
		return Raw(pick(c, `{"futureBlock":{}}`, `{"toolUse":{"toolUseId":"s","name":"n","input":{},"type":"server_tool_use"}}`,
			`{"toolResult":{"toolUseId":"s","content":[],"type":"x"}}`, `{}`, `{"a":1,"b":2}`, `{"a":null}`, `[]`))
	case 19:
		return pick[Content](c, Text("hi"), nil, JSON(`{}`), ToolResult{ToolUseID: c.id()})
	}
}

func (c *choices) messages() []Message {
	var messages []Message
	role := RoleUser
	if c.odd() {
		role = RoleAssistant
	}
	for range 1 + c.n(5) {
		m := Message{Role: role}
		if len(messages) > 0 && role == RoleUser && !c.odd() {
			for _, use := range messages[len(messages)-1].ToolUses() {
				if !c.odd() {
					m.Content = append(m.Content, c.result(use.ID))
				}
				if c.odd() {
					m.Content = append(m.Content, c.cachePoint())
				}
			}
		}
		for range 1 + c.n(3) {
			m.Content = append(m.Content, c.block(role))
		}
		if c.odd() {
			m.Content = nil
		}
		messages = append(messages, m)
		switch {
		case c.odd():
			role = pick(c, role, RoleSystem, "tool", "")
		case role == RoleUser:
			role = RoleAssistant
		default:
			role = RoleUser
		}
	}
	if c.odd() {
		return nil
	}
	return messages
}

func (c *choices) request() Request {
	r := Request{Messages: c.messages()}
	r.Model = pick[bedrockkit.ModelID](c, "us.anthropic.claude-haiku-4-5-20251001-v1:0", "us.amazon.nova-pro-v1:0", "anthropic.claude-3-haiku-20240307-v1:0",
		"us.anthropic.claude-opus-4-6-v1", "amazon.titan-text-express-v1", "deepseek.r1-v1:0", "mistral.mistral-7b-instruct-v0:2", "anthropic.claude-3-7-sonnet-20250219-v1:0",
		"arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc", "arn:aws:bedrock:us-east-1:123456789012:prompt/ABCDEFGHIJ:1")
	if c.next()%4 != 3 {
		for range 1 + c.n(3) {
			r.Tools = append(r.Tools, ToolSpec{Name: c.name() + fmt.Sprint(len(r.Tools)), Description: pick(c, "d", ""), InputSchema: json.RawMessage(pick(c, `{"type":"object"}`, `{"type":"string"}`, `[]`, `{`, ``)), Strict: c.odd()})
			tool := &r.Tools[len(r.Tools)-1]
			if c.odd() {
				tool.Name = c.name()
			}
			if tool.System = c.odd(); tool.System {
				tool.InputSchema = nil
			}
			if c.odd() {
				p := c.cachePoint()
				tool.CachePoint = &p
			}
		}
	}
	if c.odd() {
		r.ToolChoice = pick(c, ToolChoice{Any: true}, ToolChoice{Tool: "search0"}, ToolChoice{Tool: "none"})
	}
	for range c.n(8) / 4 {
		r.System = append(r.System, pick[Content](c, Text("Be brief."), c.cachePoint(), Text(" "), GuardText{Text: c.text()}, Image{Format: "png", Bytes: []byte("x")}, nil, Raw(`{"new":1}`)))
	}
	if c.odd() {
		r.MaxTokens = pick(c, 100, -1, 1<<31-1, 1)
		r.Temperature = pick(c, nil, new(float64), ptr(1.5))
		r.TopP = pick(c, nil, ptr(1.0), ptr(-0.1))
		r.StopSequences = pick(c, nil, []string{"STOP"}, []string{""}, make([]string, 2501))
	}
	if c.odd() {
		r.OutputFormat = &OutputFormat{Schema: json.RawMessage(pick(c, `{"type":"object"}`, ``, `[]`, `{`)), Name: pick(c, "", "n")}
	}
	if c.odd() {
		r.Guardrail = Guardrail{ID: pick(c, "gr1", "GR", ""), Version: pick(c, "1", "0", ""), Trace: pick(c, "", "enabled", "on"), StreamMode: pick(c, "", "async", "both")}
	}
	if c.odd() {
		r.ServiceTier = pick[bedrockkit.ServiceTier](c, "flex", "fast")
		r.Latency = pick(c, "", LatencyOptimized, "fast")
	}
	if c.odd() {
		r.PromptVariables = map[string]string{"a": "b"}
		r.Metadata = pick(c, map[string]string{"team": "a b"}, map[string]string{"": "x"}, map[string]string{"k": "é"}, map[string]string{"k": strings.Repeat("v", 257)})
	}
	if c.odd() {
		r.AdditionalFields = json.RawMessage(pick(c, `{"top_k":5}`, `[1]`, `{`))
		r.ResponseFields = pick(c, nil, []string{"/stop_sequence"}, []string{""}, []string{"a"}, []string{"/a~2"}, []string{"/a~1b/" + strings.Repeat("x", 255)}, make([]string, 11))
	}
	return r
}

func ptr[T any](v T) *T { return &v }

// randomRequests are the same ones each time.
func randomRequests(n int) iter.Seq[Request] {
	return func(yield func(Request) bool) {
		random := rand.New(rand.NewPCG(1, 2))
		for range n {
			data := make([]byte, 40+random.IntN(160))
			for i := range data {
				data[i] = byte(random.Uint32())
			}
			if !yield((&choices{data}).request()) {
				return
			}
		}
	}
}

// newOracle returns a fake Bedrock as a function that says whether it takes a
// request, and what it says if not.
func newOracle(tb testing.TB) func(Request) (bool, string) {
	tb.Helper()
	fake, err := bedrocktest.New(func(o *bedrocktest.Options) {
		o.InProcess, o.Responder, o.KeepRequests = true, bedrocktest.Echo, 1
		o.Guardrails = []bedrocktest.Guardrail{{ID: "gr1", Version: "1"}}
	})
	require.NoError(tb, err)
	tb.Cleanup(func() { fake.Close() })
	client := fake.HTTPClient()
	return func(r Request) (bool, string) {
		body, err := r.appendBody(nil, bedrockx.OpConverseStream)
		if err != nil {
			return false, err.Error()
		}
		req, err := http.NewRequest(http.MethodPost, fake.URL()+"/model/"+url.PathEscape(string(r.Model))+"/converse-stream", strings.NewReader(string(body)))
		if err != nil {
			return false, err.Error()
		}
		req.Header.Set("Authorization", "Bearer key")
		resp, err := client.Do(req)
		if err != nil {
			return false, err.Error()
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		if err != nil {
			return false, err.Error()
		}
		return resp.StatusCode == http.StatusOK, string(answer)
	}
}

func preflightStream(r Request) error {
	return r.preflight(bedrockx.OpConverseStream, bedrockkit.Capabilities)
}

// checkAgreement holds the preflight of a request against the fake.
func checkAgreement(t *testing.T, takes func(Request) (bool, string), r Request) (taken bool) {
	t.Helper()
	err := preflightStream(r)
	taken, said := takes(r)
	if taken != (err == nil) {
		body, _ := r.appendBody(nil, bedrockx.OpConverseStream)
		t.Fatalf("the service takes it: %v (%s)\nour error: %v\nmodel %s\n%s", taken, said, err, r.Model, body)
	}
	return taken
}

// Preflight passes exactly what the service takes.
func TestPreflightAgreesWithTheService(t *testing.T) {
	takes := newOracle(t)
	taken, all := 0, 2000
	for r := range randomRequests(all) {
		if checkAgreement(t, takes, r) {
			taken++
		}
	}
	assert.Greater(t, taken, all/20, "the requests have so many faults that few are taken")
	assert.Less(t, taken, all*19/20)
}

func FuzzPreflight(f *testing.F) {
	f.Add([]byte(nil))
	f.Add([]byte{0, 4, 0, 0, 15, 3, 7, 11})
	takes := newOracle(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		checkAgreement(t, takes, (&choices{data}).request())
	})
}

func TestPreflightTakesEverything(t *testing.T) {
	r := everyParameter()
	r.PromptVariables = nil
	r.Messages[0].Content = append(r.Messages[0].Content, Text("x"))
	r.Model = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc" // nothing is known of the model
	r.Guardrail.ID = "gr1"
	r.Tools[1].CachePoint = nil
	require.NoError(t, preflightStream(r))
	ok, said := newOracle(t)(r)
	assert.True(t, ok, said)
}

// All problems are told at once, each with where it is.
func TestPreflightFindsAllAtOnce(t *testing.T) {
	r := Request{
		Model: "us.amazon.nova-micro-v1:0",
		Messages: []Message{
			{Role: RoleUser, Content: Contents{Text("the SECRET prompt"), Document{Name: "the SECRET name!", Bytes: []byte("x")}, Image{Format: "bmp"}}},
			{Role: RoleAssistant, Content: Contents{ToolUse{ID: "t1", Name: "search", Input: json.RawMessage(`[1]`)}}},
			{Role: RoleUser, Content: Contents{ToolResult{ToolUseID: "t2", Content: Contents{Text("SECRET"), Text(" ")}}}},
		},
		System:      Contents{Text("")},
		Temperature: ptr(2.0),
		Tools:       []ToolSpec{{Name: "a b", InputSchema: json.RawMessage(`{}`)}},
	}
	err := Preflight(r)
	require.ErrorIs(t, err, bedrockx.ErrValidation)
	var all *PreflightError
	require.True(t, errors.As(err, &all))
	var paths []string
	for _, p := range all.Problems {
		paths = append(paths, p.Path)
		assert.NotContains(t, p.String(), "SECRET")
	}
	assert.Equal(t, []string{
		"messages[0].content[1].document",
		"messages[0].content[1].document.name",
		"messages[0].content[2].image",
		"messages[0].content[2].image.format",
		"messages[0].content[2].image.source",
		"messages[1].content[0].toolUse.input",
		"messages[2].content[0].toolResult.content[1].text",
		"messages[2].content[0].toolResult.toolUseId",
		"messages[2].content",
		"system[0].text",
		"inferenceConfig.temperature",
		"toolConfig.tools[0].toolSpec.name",
		"toolConfig.tools[0].toolSpec.inputSchema.json",
	}, paths)
	assert.Contains(t, err.Error(), `messages[0].content[2].image: the model takes no images`)
	assert.Contains(t, err.Error(), "; and 8 more")
	stored, err := json.Marshal(all)
	require.NoError(t, err)
	assert.Contains(t, string(stored), `{"problems":[{"path":"messages[0].content[1].document","text":"`)
	assert.Equal(t, `"bmp" is not one that Converse takes: gif, jpeg, png, webp`, all.Problems[3].Text)
}

// What is not known of a model is not refused; what a table of the caller's own
// says holds.
func TestPreflightGoesByTheTableOfCapabilities(t *testing.T) {
	r := Request{Model: "example.new-model-v1:0", Messages: []Message{UserContent(Text("what is it?"), Image{Format: "png", Bytes: []byte("x")})}}
	assert.NoError(t, Preflight(r))
	table := func(bedrockkit.ModelID) (bedrockkit.Capability, bool) {
		return bedrockkit.Capability{Features: bedrockkit.FeatureSystem}, true
	}
	assert.ErrorContains(t, r.preflight(bedrockx.OpConverse, table), "messages[0].content[1].image: the model takes no images")
}

// Each fault alone: we say where it is, and the service refuses it as well.
// A pointer to content is content to the compiler.
func TestPreflightFindsPointers(t *testing.T) {
	text := Text("q")
	for _, block := range []Content{&text, &ToolUse{}, (*Text)(nil)} {
		err := Preflight(Request{Model: "us.amazon.nova-micro-v1:0", Messages: []Message{{RoleUser, Contents{block}}}})
		assert.ErrorContains(t, err, "give the value itself", "%T", block)
	}
}

func TestPreflightFindsEachFault(t *testing.T) {
	takes := newOracle(t)
	first := func(c ...Content) func(*Request) { return func(r *Request) { r.Messages[0].Content = c } }
	more := func(c ...Content) func(*Request) {
		return func(r *Request) { r.Messages[0].Content = append(r.Messages[0].Content, c...) }
	}
	results := func(c ...Content) func(*Request) { return func(r *Request) { r.Messages[2].Content = c } }
	answer := func(c ...Content) func(*Request) { return func(r *Request) { r.Messages[1].Content = c } }
	on := func(id bedrockkit.ModelID, change func(*Request)) func(*Request) {
		return func(r *Request) { r.Model = id; change(r) }
	}
	data := []byte("x")
	pdf := func(name string) Document { return Document{Format: "pdf", Name: name, Bytes: data} }
	const micro, opus, mistral = "us.amazon.nova-micro-v1:0", "us.anthropic.claude-opus-4-6-v1", "mistral.mistral-7b-instruct-v0:2"
	for _, tt := range []struct {
		path   string
		change func(*Request)
	}{
		{"messages", func(r *Request) { r.Messages = nil }},
		{"messages", func(r *Request) { r.Messages = []Message{{RoleSystem, Contents{Text("s")}}} }},
		{"messages[0].role", func(r *Request) { r.Messages = []Message{Assistant("a")} }},
		{"messages[1].role", func(r *Request) { r.Messages = []Message{User("a"), User("b")} }},
		{"messages[1].role", func(r *Request) { r.Messages = []Message{User("a"), {"tool", Contents{Text("b")}}} }},
		{"messages[1].role", on(opus, func(r *Request) { r.Messages = []Message{User("a"), Assistant("b")} })},
		{"messages[1].content[0].text", func(r *Request) { r.Messages = []Message{User("a"), Assistant("b ")} }},
		{"messages[0].content", first()},
		{"messages[0].content[0].text", first(Text(" \n"))},
		{"messages[0].content[1]", more(nil)},
		{"messages[0].content[1].json", more(JSON(`{}`))},
		{"messages[0].content[1]", more(Raw(`{}`))},
		{"messages[0].content[1]", more(Raw(`{"a":1,"b":2}`))},
		{"messages[0].content[1].a", more(Raw(`{"a":null}`))},
		{"messages[0].content[1].image.format", more(Image{Format: "bmp", Bytes: data})},
		{"messages[0].content[1].image.source", more(Image{Format: "png"})},
		{"messages[0].content[1].image.source.bytes", more(Image{Format: "png", Bytes: make([]byte, maxImageBytes+1)})},
		{"messages[0].content[1].image.source.s3Location.uri", more(Image{Format: "png", S3URI: "http://bucket/key"})},
		{"messages[0].content[1].image.source.s3Location.bucketOwner", more(Image{Format: "png", S3URI: "s3://bucket/key", S3Owner: "me"})},
		{"messages[0].content", more(slices.Repeat([]Content{Image{Format: "png", Bytes: data}}, maxImages+1)...)},
		{"messages[0].content[1].image", on(micro, more(Image{Format: "png", Bytes: data}))},
		{"messages[1].content[1].image", answer(use("t1"), Image{Format: "png", Bytes: data})},
		{"messages[0].content[1].video", more(Video{Format: "mp4", Bytes: data})},
		{"messages[0].content[1].audio.format", more(Audio{Format: "midi", Bytes: data})},
		{"messages[0].content[1].document.name", more(Document{Format: "pdf", Name: "a  b", Bytes: data})},
		{"messages[0].content[1].document.format", more(Document{Format: "exe", Name: "a", Bytes: data})},
		{"messages[0].content[1].document.source", more(Document{Format: "pdf", Name: "a"})},
		{"messages[0].content[1].document.source.bytes", more(Document{Format: "pdf", Name: "a", Bytes: make([]byte, maxDocumentBytes+1)})},
		{"messages[0].content[1].document.source.content", more(Document{Name: "a", Chunks: []string{}})},
		{"messages[0].content[2].document.name", more(pdf("a"), pdf("a"))},
		{"messages[0].content[6].document", more(pdf("a"), pdf("b"), pdf("c"), pdf("d"), pdf("e"), pdf("f"))},
		{"messages[0].content", first(pdf("a"))},
		{"messages[1].content[1].document", answer(use("t1"), pdf("a"), Text("t"))},
		{"messages[0].content[1].document", on(mistral, func(r *Request) {
			r.Messages, r.Tools = []Message{UserContent(Text("a"), pdf("a"))}, nil
			r.Model = "ai21.jamba-instruct-v1:0"
		})},
		{"messages[0].content[1].reasoningContent", more(Reasoning{Text: "r"})},
		{"messages[0].content[1].guardContent.text.text", more(GuardText{})},
		{"messages[0].content[1].guardContent.text.qualifiers[0]", more(GuardText{Text: "a", Qualifiers: []Qualifier{"x"}})},
		{"messages[0].content[1].guardContent.image.format", more(GuardImage{Format: "gif", Bytes: data})},
		{"messages[0].content[1].guardContent.image.source", more(GuardImage{Format: "png"})},
		{"messages[1].content[1].citationsContent.citations[0].location.documentPage", answer(use("t1"), CitedText{Citations: []Citation{{Location: Location{Kind: LocationPage, Start: -1}}}})},
		{"messages[1].content[1].citationsContent.citations[0].location", answer(use("t1"), CitedText{Citations: []Citation{{Location: Location{Kind: "x"}}}})},
		{"messages[0].content[0].cachePoint", first(CachePoint{}, Text("a"))},
		{"messages[1].content[1].cachePoint", answer(Reasoning{Text: "r"}, CachePoint{}, use("t1"))},
		{"messages[0].content[2].cachePoint", more(Document{Format: "csv", Name: "a", Bytes: data}, CachePoint{})},
		{"messages[0].content[1].cachePoint.ttl", more(CachePoint{TTL: "1d"})},
		{"messages[0].content[3].cachePoint.ttl", more(CachePoint{}, Text("b"), CachePoint{TTL: "1h"})},
		{"messages[0].content[1].cachePoint.ttl", on("us.amazon.nova-pro-v1:0", more(CachePoint{TTL: "1h"}))},
		{"messages[0].content[9].cachePoint", more(CachePoint{}, Text("b"), CachePoint{}, Text("c"), CachePoint{}, Text("d"), CachePoint{}, Text("e"), CachePoint{})},
		{"messages[1].content[0].toolUse.name", answer(ToolUse{ID: "t1", Name: "a b"})},
		{"messages[1].content[0].toolUse.input", answer(ToolUse{ID: "t1", Name: "search", Input: json.RawMessage(`[]`)})},
		{"messages[1].content[1].toolUse.toolUseId", answer(use("t1"), use("t1"))},
		{"messages[2].content[0].toolResult.status", results(ToolResult{ToolUseID: "t1", Status: "x"})},
		{"messages[2].content[0].toolResult.content", results(ToolResult{ToolUseID: "t1", Status: ToolError})},
		{"messages[2].content[0].toolResult.content[0].text", results(result("t1", " "))},
		{"messages[2].content[0].toolResult.content[0].json", results(ToolResult{ToolUseID: "t1", Content: Contents{JSON(`[]`)}})},
		{"messages[2].content[0].toolResult.content[0]", results(ToolResult{ToolUseID: "t1", Content: Contents{CachePoint{}}})},
		{"messages[2].content[0].toolResult.content[0].document.name", results(ToolResult{ToolUseID: "t1", Content: Contents{Document{Format: "pdf", Name: "a_b", Bytes: data}}})},
		{"messages[2].content[1].toolResult", results(Text("a"), result("t1", "b"))},
		{"messages[2].content[1].toolResult.toolUseId", results(result("t1", "a"), result("t2", "b"))},
		{"messages[2].content[1].toolResult.toolUseId", results(result("t1", "a"), result("t1", "b"))},
		{"messages[2].content", results(Text("a"))},
		{"messages[1].content[0].toolUse", func(r *Request) { r.Messages = r.Messages[:2] }},
		{"toolConfig", func(r *Request) { r.Tools = nil }},
		{"toolConfig", on("anthropic.claude-v2:1", func(r *Request) { r.Messages = r.Messages[:1] })},
		{"toolConfig.tools[0].toolSpec.name", func(r *Request) { r.Tools[0].Name = "a.b" }},
		{"toolConfig.tools[1].toolSpec.name", func(r *Request) { r.Tools = append(r.Tools, r.Tools[0]) }},
		{"toolConfig.tools[1].systemTool.name", func(r *Request) { r.Tools = append(r.Tools, ToolSpec{System: true}) }},
		{"toolConfig.tools[0].toolSpec.inputSchema.json", func(r *Request) { r.Tools[0].InputSchema = json.RawMessage(`{"type":"string"}`) }},
		{"toolConfig.tools[0].cachePoint", on("us.amazon.nova-pro-v1:0", func(r *Request) { r.Tools[0].CachePoint = &CachePoint{} })},
		{"toolConfig.toolChoice", func(r *Request) { r.ToolChoice = ToolChoice{Tool: "other"} }},
		{"toolConfig.toolChoice", func(r *Request) { r.Messages, r.Tools, r.ToolChoice = r.Messages[:1], nil, ToolChoice{Any: true} }},
		{"system[0].text", func(r *Request) { r.System = Contents{Text("")} }},
		{"system[0].cachePoint", func(r *Request) { r.System = Contents{CachePoint{}} }},
		{"system[0]", func(r *Request) { r.System = Contents{Image{Format: "png", Bytes: data}} }},
		{"system", on(mistral, func(r *Request) { r.Messages, r.Tools, r.System = r.Messages[:1], nil, Contents{Text("s")} })},
		{"inferenceConfig.maxTokens", func(r *Request) { r.MaxTokens = -1 }},
		{"inferenceConfig.temperature", func(r *Request) { r.Temperature = ptr(1.1) }},
		{"inferenceConfig.topP", func(r *Request) { r.TopP = ptr(-0.1) }},
		{"inferenceConfig.stopSequences", func(r *Request) { r.StopSequences = slices.Repeat([]string{"x"}, maxStopSequences+1) }},
		{"inferenceConfig.stopSequences[1]", func(r *Request) { r.StopSequences = []string{"x", ""} }},
		{"outputConfig.textFormat.structure.jsonSchema.schema", func(r *Request) { r.OutputFormat = &OutputFormat{Schema: json.RawMessage(`[]`)} }},
		{"outputConfig", on("us.amazon.nova-pro-v1:0", func(r *Request) { r.OutputFormat = &OutputFormat{Schema: json.RawMessage(`{}`)} })},
		{"guardrailConfig.guardrailIdentifier", func(r *Request) { r.Guardrail = Guardrail{ID: "GR", Version: "1"} }},
		{"guardrailConfig.guardrailVersion", func(r *Request) { r.Guardrail = Guardrail{ID: "gr1", Version: "0"} }},
		{"guardrailConfig.trace", func(r *Request) { r.Guardrail = Guardrail{ID: "gr1", Version: "1", Trace: "on"} }},
		{"guardrailConfig.streamProcessingMode", func(r *Request) { r.Guardrail = Guardrail{ID: "gr1", Version: "1", StreamMode: "on"} }},
		{"serviceTier.type", func(r *Request) { r.ServiceTier = "fast" }},
		{"performanceConfig.latency", func(r *Request) { r.Latency = "fast" }},
		{"requestMetadata", func(r *Request) { r.Metadata = map[string]string{"k": "é"} }},
		{"requestMetadata", func(r *Request) {
			r.Metadata = map[string]string{}
			for i := range maxMetadata + 1 {
				r.Metadata[fmt.Sprint(i)] = ""
			}
		}},
		{"additionalModelRequestFields", func(r *Request) { r.AdditionalFields = json.RawMessage(`[1]`) }},
		{"additionalModelResponseFieldPaths", func(r *Request) { r.ResponseFields = slices.Repeat([]string{"/a"}, maxFieldPaths+1) }},
		{"additionalModelResponseFieldPaths[0]", func(r *Request) { r.ResponseFields = []string{"a"} }},
		{"inferenceConfig", func(r *Request) {
			*r = Request{Model: "arn:aws:bedrock:us-east-1:123456789012:prompt/ABCDEFGHIJ:1", MaxTokens: 5}
		}},
	} {
		r := Request{Model: haiku, Tools: []ToolSpec{searchTool}, Messages: []Message{User("a"), {RoleAssistant, Contents{use("t1")}}, UserContent(result("t1", "b"))}}
		require.NoError(t, preflightStream(r))
		r = deepCopy(r)
		tt.change(&r)
		var found *PreflightError
		if !assert.ErrorAs(t, preflightStream(r), &found, tt.path) {
			continue
		}
		var paths []string
		for _, p := range found.Problems {
			paths = append(paths, p.Path)
		}
		assert.Contains(t, paths, tt.path)
		assert.LessOrEqual(t, len(paths), 2, "%v for a fault at %s", found, tt.path)
		ok, _ := takes(r)
		assert.False(t, ok, "the service takes what we refuse: %v", found)
	}
}
