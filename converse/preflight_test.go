package converse

import (
	"encoding/json"
	"errors"
	"flag"
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

// model is one of the table, by its own id or by a profile, or one that nobody
// knows.
func (c *choices) model() bedrockkit.ModelID {
	switch c.n(8) {
	case 0, 1, 2:
		return pick[bedrockkit.ModelID](c, "us.anthropic.claude-haiku-4-5-20251001-v1:0", "us.amazon.nova-pro-v1:0", "us.anthropic.claude-opus-4-6-v1",
			"arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc", "arn:aws:bedrock:us-east-1:123456789012:prompt/ABCDEFGHIJ:1")
	}
	all := bedrockkit.Models()
	m := all[(int(c.next())<<8|int(c.next()))%len(all)]
	if len(m.Profiles) > 0 && !c.odd() {
		return m.Profiles[c.n(len(m.Profiles))].ID
	}
	if len(m.IDs) == 0 {
		return m.ID
	}
	return m.IDs[c.n(len(m.IDs))]
}

// reasoning sets what is about thinking and sampling.
func (c *choices) reasoning(r *Request) {
	// A budget for another family, one beside the model's own field, and an effort
	// for a model that does not think are in no body.
	s := known(r.Model)
	if s.claude() {
		r.Thinking = pick(c, 0, 2000, NoThinking, 1000)
	}
	if !s.no(bedrockkit.FeatureThinking) {
		r.Effort = pick(c, "", "low", "high", "xhigh", "max", "minimal", "none")
	}
	r.MaxTokens = pick(c, 0, 100, 3000, NoMaxTokens, 1<<20)
	r.Temperature = pick(c, nil, ptr(1.0), ptr(0.5))
	r.TopP = pick(c, nil, ptr(0.99), ptr(0.5))
	r.StopSequences = pick(c, nil, []string{"STOP"}, []string{" "})
	if r.Thinking != 0 {
		return
	}
	if !s.claude() {
		own := `{"reasoning_effort":"minimal"}`
		if s.Thinking.Kind == bedrockkit.ThinkingNova {
			own = pick(c, `{"reasoningConfig":{"type":"enabled","maxReasoningEffort":"high"}}`, `{"reasoningConfig":{"type":"disabled","maxReasoningEffort":"high"}}`)
		}
		if r.Effort == "" { // which of two counts is for the model to say
			r.AdditionalFields = json.RawMessage(pick(c, ``, own, `{"top_k":5}`))
		}
		return
	}
	r.AdditionalFields = json.RawMessage(pick(c, ``, `{"top_k":5}`, `{"thinking":{"type":"adaptive"}}`, `{"thinking":{"type":"disabled"}}`, `{"thinking":{"type":"between_tools"}}`,
		`{"thinking":{"type":"enabled","budget_tokens":2048}}`, `{"thinking":{"type":"enabled","budget_tokens":5}}`,
		`{"thinking":{"type":"enabled","budget_tokens":4096},"anthropic_beta":["interleaved-thinking-2025-05-14"]}`, `{"output_config":{"effort":"max"}}`))
}

func (c *choices) request() Request {
	r := Request{Messages: c.messages()}
	r.Model = c.model()
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
	if c.n(4) == 3 {
		c.reasoning(&r)
	}
	if c.odd() {
		r.OutputFormat = &OutputFormat{Schema: json.RawMessage(pick(c, schemas...)), Name: pick(c, "", "n")}
	}
	if c.odd() {
		r.Guardrail = bedrockkit.Guardrail{ID: pick(c, "gr1", "GR", ""), Version: pick(c, "1", "0", ""), Trace: pick(c, "", bedrockkit.GuardrailTraceEnabled, "on"), StreamMode: pick(c, "", bedrockkit.GuardrailAsync, "both")}
	}
	if c.odd() {
		r.ServiceTier = pick[bedrockkit.ServiceTier](c, "flex", "fast")
		r.Latency = pick(c, "", bedrockkit.LatencyOptimized, "fast")
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

// schemas are for output formats: some that are no object, some that the service
// cannot hold an answer to, and some that are put so that it can.
var schemas = []string{
	`{"type":"object"}`, ``, `[]`, `{`, `{}`,
	`{"type":"object","properties":{"n":{"type":"integer","minimum":1},"s":{"type":["string","null"],"minLength":2}},"required":["n"]}`,
	`{"type":"object","properties":{"m":{"type":"object","additionalProperties":{"type":"string"}}}}`,
	`{"type":"object","additionalProperties":true}`,
	`{"properties":{"l":{"type":"array","items":{"$ref":"#/$defs/a"},"minItems":2,"uniqueItems":true}},"$defs":{"a":{"type":"object","properties":{"b":{"$ref":"#/$defs/b"}}},"b":{"enum":[1,{"a":[]}]}}}`,
	`{"properties":{"a":{"$ref":"#/$defs/a"}},"$defs":{"a":{"anyOf":[{"type":"null"},{"properties":{"a":{"$ref":"#/$defs/a"}}}]}}}`,
	`{"properties":{"a":{"$ref":"https://example.com/a.json"}}}`,
	`{"oneOf":[{"type":"object"},{"type":"string","maxLength":9,"format":"color"}],"$schema":"x"}`,
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
		// The preflight counts no tokens, and takes models that have ended or that an
		// account does not see: that they are there only the service can know.
		o.AllowEnded = true
		o.Ignore = []bedrocktest.Rule{bedrocktest.RuleModel, bedrocktest.RuleWindow}
	})
	require.NoError(tb, err)
	tb.Cleanup(func() { fake.Close() })
	client := fake.HTTPClient()
	return func(r Request) (bool, string) {
		r.OutputFormat = r.OutputFormat.closed() // as it goes out
		body, err := r.appendBody(nil, bedrockkit.OpConverseStream, known(r.Model))
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
	return r.preflight(bedrockkit.OpConverseStream, known(r.Model))
}

// checkAgreement holds the preflight of a request against the fake.
func checkAgreement(t *testing.T, takes func(Request) (bool, string), r Request) (taken bool) {
	t.Helper()
	err := preflightStream(r)
	taken, said := takes(r)
	if taken != (err == nil) {
		body, _ := r.appendBody(nil, bedrockkit.OpConverseStream, known(r.Model))
		t.Fatalf("the service takes it: %v (%s)\nour error: %v\nmodel %s\n%s", taken, said, err, r.Model, body)
	}
	return taken
}

var requests = flag.Int("requests", 2000, "how many random requests the preflight and the fake are held against each other by")

// Preflight passes exactly what the service takes, of every model of the table.
func TestPreflightAgreesWithTheService(t *testing.T) {
	takes := newOracle(t)
	taken, all := 0, *requests
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
			{Role: RoleUser, Content: Contents{ToolResult{ToolUseID: "t2", Content: Contents{Text("SECRET"), Text("\xff")}}}},
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
		return bedrockkit.Capability{Features: bedrockkit.Features{Yes: bedrockkit.FeatureSystem, No: bedrockkit.FeatureImages}}, true
	}
	assert.ErrorContains(t, r.preflight(bedrockkit.OpConverse, subjectIn(table, r.Model)), "messages[0].content[1].image: the model takes no images")
}

// Each fault alone: we say where it is, and the service refuses it as well.
// The bounds on files are those of the model.
func TestPreflightBoundsFilesByModel(t *testing.T) {
	const sonnet, nova = "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "us.amazon.nova-pro-v1:0"
	check := func(model bedrockkit.ModelID, content ...Content) error {
		return Preflight(Request{Model: model, Messages: []Message{UserContent(append([]Content{Text("?")}, content...)...)}})
	}
	big := make([]byte, 5<<20)
	file := func(format string) Document { return Document{Format: format, Name: "a", Bytes: big} }
	assert.NoError(t, check(sonnet, file("pdf")))
	assert.NoError(t, check(nova, file("pdf")))
	assert.NoError(t, check(nova, file("docx")))
	assert.ErrorContains(t, check(sonnet, file("docx")), "4718592 are allowed")
	assert.ErrorContains(t, check("anthropic.claude-3-opus-20240229-v1:0", file("pdf")), "4718592 are allowed")
	assert.NoError(t, check(sonnet, slices.Repeat([]Content{Image{Format: "png", Bytes: big}}, 21)...))
	var near, far []Content
	for i := range 6 {
		near = append(near, Document{Format: "txt", Name: fmt.Sprint("d", i), Bytes: []byte("x")})
		far = append(far, Document{Format: "pdf", Name: fmt.Sprint("d", i), S3URI: "s3://bucket/a.pdf"})
	}
	assert.ErrorContains(t, check(nova, near...), "document number 6")
	assert.NoError(t, check(nova, far...))
	assert.ErrorContains(t, check(sonnet, far...), "document number 6")

	inResult := Request{Model: sonnet, Tools: []ToolSpec{searchTool}, Messages: []Message{User("a"), {RoleAssistant, Contents{use("t1")}}, UserContent(ToolResult{ToolUseID: "t1", Content: near})}}
	assert.ErrorContains(t, Preflight(inResult), "toolResult.content[5].document: it is the request's document number 6")
}

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
		{"messages[0].content[1].image.source.s3Location.uri", more(Image{Format: "png", S3URI: "http://bucket/key"})},
		{"messages[0].content[1].image.source.s3Location.bucketOwner", more(Image{Format: "png", S3URI: "s3://bucket/key", S3Owner: "me"})},
		{"messages[0].content[1].image", on(micro, more(Image{Format: "png", Bytes: data}))},
		{"messages[1].content[1].image", answer(use("t1"), Image{Format: "png", Bytes: data})},
		{"messages[0].content[1].video", more(Video{Format: "mp4", Bytes: data})},
		{"messages[0].content[1].audio.format", more(Audio{Format: "midi", Bytes: data})},
		{"messages[0].content[1].document.name", more(Document{Format: "pdf", Name: "a  b", Bytes: data})},
		{"messages[0].content[1].document.format", more(Document{Format: "exe", Name: "a", Bytes: data})},
		{"messages[0].content[1].document.source", more(Document{Format: "pdf", Name: "a"})},
		{"messages[0].content[1].document.source.bytes", more(Document{Format: "csv", Name: "a", Bytes: make([]byte, maxDocumentBytes+1)})},
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
		{"messages[2].content[0].toolResult.content", results(ToolResult{ToolUseID: "t1", Status: ToolError, Content: Contents{Text(" ")}})},
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
		{"inferenceConfig.maxTokens", func(r *Request) { r.MaxTokens = 1<<31 - 1; r.MaxTokens++ }},
		{"inferenceConfig.temperature", func(r *Request) { r.Temperature = ptr(1.1) }},
		{"inferenceConfig.topP", func(r *Request) { r.TopP = ptr(-0.1) }},
		{"inferenceConfig.stopSequences", func(r *Request) { r.StopSequences = slices.Repeat([]string{"x"}, maxStopSequences+1) }},
		{"inferenceConfig.stopSequences[1]", func(r *Request) { r.StopSequences = []string{"x", ""} }},
		{"outputConfig.textFormat.structure.jsonSchema.schema", func(r *Request) { r.OutputFormat = &OutputFormat{Schema: json.RawMessage(`[]`)} }},
		{"outputConfig", on("us.amazon.nova-pro-v1:0", func(r *Request) { r.OutputFormat = &OutputFormat{Schema: json.RawMessage(`{}`)} })},
		{"guardrailConfig.guardrailIdentifier", func(r *Request) { r.Guardrail = bedrockkit.Guardrail{ID: "GR", Version: "1"} }},
		{"guardrailConfig.guardrailVersion", func(r *Request) { r.Guardrail = bedrockkit.Guardrail{ID: "gr1", Version: "0"} }},
		{"guardrailConfig.trace", func(r *Request) { r.Guardrail = bedrockkit.Guardrail{ID: "gr1", Version: "1", Trace: "on"} }},
		{"guardrailConfig.streamProcessingMode", func(r *Request) { r.Guardrail = bedrockkit.Guardrail{ID: "gr1", Version: "1", StreamMode: "on"} }},
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
