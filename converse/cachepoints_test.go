package converse

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
)

const haiku = "us.anthropic.claude-haiku-4-5-20251001-v1:0"

// marks are the parts of a request in which cache points stand, with their
// TTLs, in the order in which the service reads them.
func marks(r Request) string {
	var b strings.Builder
	point := func(where, ttl string) {
		if ttl == "" {
			ttl = "5m"
		}
		b.WriteString(where + ":" + ttl + " ")
	}
	for _, tool := range r.Tools {
		if tool.CachePoint != nil {
			point(tool.Name, tool.CachePoint.TTL)
		}
	}
	for _, c := range r.System {
		if p, ok := c.(CachePoint); ok {
			point("system", p.TTL)
		}
	}
	for _, m := range r.Messages {
		for j, c := range m.Content {
			if p, ok := c.(CachePoint); ok {
				point("after "+kindOf(m.Content[j-1])+" "+m.Text()[:min(1, len(m.Text()))], p.TTL)
			}
		}
	}
	return strings.TrimSpace(b.String())
}

func TestWithCachePoints(t *testing.T) {
	long := func(head string) string { return head + strings.Repeat(" long text", 2000) }
	tool := func(description string, p *CachePoint) ToolSpec {
		return ToolSpec{Name: "tool", Description: description, InputSchema: json.RawMessage(`{"type":"object"}`), CachePoint: p}
	}
	conversation := []Message{User("1 " + long("a")), Assistant("2"), User("3"), Assistant("4"), User("5")}
	for _, tt := range []struct {
		name string
		r    Request
		ttl  string
		want string
	}{
		{"all parts", Request{Tools: []ToolSpec{tool(long("t"), nil)}, System: Contents{Text(long("s"))}, Messages: conversation}, "1h",
			"tool:1h system:1h after Text 3:1h after Text 5:1h"},
		{"five minutes is the default", Request{System: Contents{Text(long("s"))}, Messages: conversation}, "5m", "system:5m after Text 3:5m after Text 5:5m"},
		{"too short to be cached", Request{System: Contents{Text("s")}, Messages: []Message{User("1")}}, "5m", ""},
		{"tools are part of the system's prefix", Request{Tools: []ToolSpec{tool(long("t"), nil)}, System: Contents{Text("s")}, Messages: []Message{User("1")}}, "5m", "tool:5m system:5m after Text 1:5m"},
		{"the caller's own stay alone in their part", Request{Tools: []ToolSpec{tool(long("t"), &CachePoint{})}, System: Contents{Text(long("s"))}, Messages: conversation}, "5m",
			"tool:5m system:5m after Text 3:5m after Text 5:5m"},
		{"no longer TTL after a shorter one", Request{Tools: []ToolSpec{tool(long("t"), &CachePoint{})}, System: Contents{Text(long("s"))}, Messages: conversation}, "1h",
			"tool:5m system:5m after Text 3:5m after Text 5:5m"},
		{"none shorter before a longer one", Request{Tools: []ToolSpec{tool(long("t"), nil)}, System: Contents{Text(long("s")), CachePoint{TTL: "1h"}}, Messages: conversation}, "5m",
			"tool:1h system:1h after Text 3:5m after Text 5:5m"},
		{"the budget of four", Request{Tools: []ToolSpec{tool(long("t"), nil)}, System: Contents{Text("a"), CachePoint{}, Text("b"), CachePoint{}, Text("c"), CachePoint{}}, Messages: conversation}, "5m",
			"system:5m system:5m system:5m after Text 5:5m"},
		{"the caller's own four", Request{System: Contents{Text("a"), CachePoint{}, Text("b"), CachePoint{}, Text("c"), CachePoint{}, Text("d"), CachePoint{}}, Messages: conversation}, "5m",
			"system:5m system:5m system:5m system:5m"},
		{"before a document", Request{Messages: []Message{UserContent(Text(long("1")), Document{Format: "csv", Name: "d", Bytes: []byte("x")}, Document{Format: "txt", Name: "e", Text: "x"})}}, "5m", "after Text 1:5m"},
		{"after a PDF and a picture", Request{Messages: []Message{UserContent(Text(long("1")), Document{Format: "pdf", Name: "d", Bytes: []byte("x")})}}, "5m", "after Document 1:5m"},
		{"not after reasoning", Request{Messages: []Message{User(long("1")), {RoleAssistant, Contents{Text("2"), Reasoning{Text: "r", Signature: "s"}}}, User("3")}}, "5m", "after Text 1:5m after Text 3:5m"},
		{"Nova takes none after tools and no hour", Request{Model: "us.amazon.nova-pro-v1:0", Tools: []ToolSpec{tool(long("t"), nil)}, System: Contents{Text(long("s"))}, Messages: conversation}, "1h",
			"system:5m after Text 3:5m after Text 5:5m"},
		{"a model that caches none", Request{Model: "mistral.mistral-large-2402-v1:0", System: Contents{Text(long("s"))}, Messages: conversation}, "5m", ""},
		{"a model that nobody knows", Request{Model: "example.new-model-v1:0", System: Contents{Text(long("s"))}, Messages: conversation}, "5m", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.r.Model == "" {
				tt.r.Model = haiku
			}
			before := deepCopy(tt.r)
			got := WithCachePoints(tt.r, tt.ttl)
			assert.Equal(t, tt.want, marks(got))
			assert.Equal(t, before, tt.r, "the caller's slices stay as they are")
			assert.NoError(t, Preflight(got))
		})
	}
}

// What a model takes of cache points holds for those of ours, for the check and
// for Repair.
func TestFewerCachePoints(t *testing.T) {
	long := strings.Repeat("long text ", 2000)
	r := Request{Model: haiku, System: Contents{Text(long)}, Messages: []Message{User(long), Assistant("2"), User("3")}}
	with := func(change func(*bedrockkit.PromptCache)) *subject {
		c, _ := bedrockkit.Capabilities(haiku)
		change(&c.PromptCache)
		return &subject{Capability: c, base: haiku}
	}
	two := with(func(p *bedrockkit.PromptCache) { p.MaxPoints = 2 })
	assert.Equal(t, "system:5m after Text 3:5m", marks(r.withCachePoints("5m", two)))
	assert.Equal(t, "after Text l:5m after Text 3:5m", marks(r.withCachePoints("5m", with(func(p *bedrockkit.PromptCache) { p.System = bedrockkit.No }))))
	assert.Equal(t, "system:5m", marks(r.withCachePoints("5m", with(func(p *bedrockkit.PromptCache) { p.Messages = bedrockkit.No }))))

	r.System = Contents{Text("a"), CachePoint{}, Text("b"), CachePoint{}, Text("c"), CachePoint{}}
	assert.ErrorContains(t, r.preflight(bedrockkit.OpConverse, two), "cache point number 3; 2 are allowed")
	repaired, _ := r.repair(two)
	assert.Equal(t, "system:5m system:5m", marks(repaired))
	assert.NoError(t, repaired.preflight(bedrockkit.OpConverse, two))
}

// A request that the service takes is taken with cache points as well, and none
// are put twice.
func TestCachePointsKeepTheRules(t *testing.T) {
	table := func(id bedrockkit.ModelID) (bedrockkit.Capability, bool) {
		c, ok := bedrockkit.Capabilities(id)
		c.PromptCache.MinTokens = min(1, c.PromptCache.MinTokens) // so that short prompts are cached
		return c, ok
	}
	takes := newOracle(t)
	put := 0
	for r := range randomRequests(3000) {
		if preflightStream(r) != nil {
			continue
		}
		for _, ttl := range []string{"5m", "1h"} {
			before := deepCopy(r)
			got := r.withCachePoints(ttl, subjectIn(table, r.Model))
			require.Equal(t, before, r)
			ok, said := takes(got)
			require.True(t, ok, "%s: %s in %+v", said, marks(got), r)
			require.NoError(t, preflightStream(got))
			put += strings.Count(marks(got), ":")
			if first := marks(got); first != "" {
				again := got.withCachePoints(ttl, subjectIn(table, got.Model))
				require.LessOrEqual(t, strings.Count(marks(again), ":"), maxCachePoints)
			}
		}
	}
	assert.Greater(t, put, 100)
}
