package bedrocktest_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/pricing"
)

func echoServer(t testing.TB, optFns ...func(*bedrocktest.Options)) *bedrocktest.Server {
	return bedrocktest.NewServer(t, append([]func(*bedrocktest.Options){func(o *bedrocktest.Options) {
		o.InProcess, o.Responder = true, bedrocktest.Echo
	}}, optFns...)...)
}

// message is the error message of a body, or empty.
func message(body string) string {
	var v struct{ Message string }
	_ = json.Unmarshal([]byte(body), &v)
	return v.Message
}

const (
	tools = `"toolConfig":{"tools":[{"toolSpec":{"name":"f","inputSchema":{"json":{"type":"object"}}}}]}`
	user  = `{"role":"user","content":[{"text":"Hi"}]}`
	call  = `{"role":"assistant","content":[{"toolUse":{"toolUseId":"t1","name":"f","input":{}}}]}`
)

func TestConverseValidation(t *testing.T) {
	srv := echoServer(t)
	for _, tt := range []struct{ name, body, want string }{
		{"right", `{"messages":[` + user + `]}`, ""},
		{"tool turn", `{"messages":[` + user + `,` + call + `,{"role":"user","content":[{"toolResult":{"toolUseId":"t1","content":[{"json":{"a":1}}]}}]}],` + tools + `}`, ""},
		{"no messages", `{"messages":[]}`, "A conversation must start with a user message."},
		{"assistant first", `{"messages":[{"role":"assistant","content":[{"text":"Hi"}]}]}`, "A conversation must start with a user message."},
		{"two users", `{"messages":[` + user + `,` + user + `]}`, "A conversation must alternate"},
		{"role", `{"messages":[{"role":"tool","content":[{"text":"Hi"}]}]}`, "enum value set"},
		{"blank text", `{"messages":[{"role":"user","content":[{"text":" "}]}]}`, "The text field in the ContentBlock object at messages.0.content.0 is blank."},
		{"empty text", `{"messages":[{"role":"user","content":[{"text":"Hi"},{"text":""}]}]}`, "at messages.0.content.1 is blank."},
		{"blank system", `{"system":[{"text":"\n"}],"messages":[` + user + `]}`, "at system.0 is blank."},
		{"empty content", `{"messages":[{"role":"user","content":[]}]}`, "The content field in the Message object at messages.0 is empty."},
		{"maxTokens 0", `{"messages":[` + user + `],"inferenceConfig":{"maxTokens":0}}`, "Value '0' at 'inferenceConfig.maxTokens'"},
		{"temperature", `{"messages":[` + user + `],"inferenceConfig":{"temperature":1.5}}`, "inferenceConfig.temperature"},
		{"topP", `{"messages":[` + user + `],"inferenceConfig":{"topP":-1}}`, "inferenceConfig.topP"},
		{"no toolConfig", `{"messages":[` + user + `,` + call + `]}`, "The toolConfig field must be defined"},
		{"no result", `{"messages":[` + user + `,` + call + `,` + user + `],` + tools + `}`, "Expected toolResult blocks at messages.2.content for the following Ids: t1"},
		{"other result", `{"messages":[` + user + `,` + call + `,{"role":"user","content":[{"toolResult":{"toolUseId":"t2","content":[]}}]}],` + tools + `}`, "for the following Ids: t1"},
		{"result alone", `{"messages":[{"role":"user","content":[{"toolResult":{"toolUseId":"t1","content":[]}}]}],` + tools + `}`, "exceeds the number of toolUse blocks"},
		{"same ids", `{"messages":[` + user + `,{"role":"assistant","content":[{"toolUse":{"toolUseId":"t1","name":"f","input":{}}},{"toolUse":{"toolUseId":"t1","name":"f","input":{}}}]}],` + tools + `}`, "duplicate Ids: t1"},
		{"input is a list", `{"messages":[` + user + `,{"role":"assistant","content":[{"toolUse":{"toolUseId":"t1","name":"f","input":[]}}]}],` + tools + `}`, "messages.1.content.0.toolUse.input is invalid"},
		{"result is a list", `{"messages":[` + user + `,` + call + `,{"role":"user","content":[{"toolResult":{"toolUseId":"t1","content":[{"json":[1]}]}}]}],` + tools + `}`, "toolResult.content.0.json is invalid"},
		{"error without content", `{"messages":[` + user + `,` + call + `,{"role":"user","content":[{"toolResult":{"toolUseId":"t1","content":[],"status":"error"}}]}],` + tools + `}`, "The content field at messages.2.content.0.toolResult cannot be empty when status value is error."},
		{"tool that is none", `{"messages":[` + user + `],"toolConfig":{"tools":[{"toolSpec":null}]}}`, "The Tool object at toolConfig.tools.0 must set one of the following keys"},
		{"tool of tomorrow", `{"messages":[` + user + `],"toolConfig":{"tools":[{"newTool":{"name":"x"}}]}}`, ""},
		{"two tool choices", `{"messages":[` + user + `],"toolConfig":{"toolChoice":{"any":{},"auto":{}},` + strings.TrimPrefix(tools, `"toolConfig":{`) + `}`, "toolConfig.toolChoice must set one of"},
		{"cache point without a type", `{"messages":[{"role":"user","content":[{"text":"Hi"},{"cachePoint":{}}]}]}`, "at 'messages.1.member.content.2.member.cachePoint.type'"},
		{"cache point of another type", `{"system":[{"text":"Hi"},{"cachePoint":{"type":"big"}}],"messages":[` + user + `]}`, "Value 'big' at 'system.2.member.cachePoint.type'"},
		{"cache point of another type after tools", `{"messages":[` + user + `],` + strings.TrimSuffix(tools, `]}`) + `,{"cachePoint":{"type":"big"}}]}}`, "Value 'big' at 'toolConfig.tools.2.member.cachePoint.type'"},
		{"another type", `{"messages":[{"role":"user","content":"Hi"}]}`, "Unable to parse the request body: a value of another type than string is expected at messages.content"},
		{"tool name", `{"messages":[` + user + `],"toolConfig":{"tools":[{"toolSpec":{"name":"a b","inputSchema":{"json":{"type":"object"}}}}]}}`, "Value 'a b' at 'toolConfig.tools.1.member.toolSpec.name'"},
		{"long tool name", `{"messages":[` + user + `],"toolConfig":{"tools":[{"toolSpec":{"name":"` + strings.Repeat("a", 65) + `","inputSchema":{"json":{"type":"object"}}}}]}}`, "toolSpec.name' failed to satisfy constraint: Member must have length less than or equal to 64"},
		{"tool description", `{"messages":[` + user + `],"toolConfig":{"tools":[{"toolSpec":{"name":"f","description":"","inputSchema":{"json":{"type":"object"}}}}]}}`, "toolSpec.description"},
		{"schema", `{"messages":[` + user + `],"toolConfig":{"tools":[{"toolSpec":{"name":"f","inputSchema":{"json":{"type":"string"}}}}]}}`, "inputSchema.json.type must be one of the following: object."},
		{"same tools", `{"messages":[` + user + `],"toolConfig":{"tools":[{"toolSpec":{"name":"f","inputSchema":{"json":{"type":"object"}}}},{"toolSpec":{"name":"f","inputSchema":{"json":{"type":"object"}}}}]}}`, "more than once"},
		{"no tools", `{"messages":[` + user + `],"toolConfig":{"tools":[]}}`, "toolConfig.tools"},
		{"tool choice", `{"messages":[` + user + `],"toolConfig":{"tools":[{"toolSpec":{"name":"f","inputSchema":{"json":{"type":"object"}}}}],"toolChoice":{"tool":{"name":"g"}}}}`, "The tool g in toolConfig.toolChoice"},
		{"document name", `{"messages":[{"role":"user","content":[{"text":"Hi"},{"document":{"name":"a  b","format":"pdf","source":{"bytes":"AA=="}}}]}]}`, "document.name is invalid"},
		{"good document name", `{"messages":[{"role":"user","content":[{"text":"Hi"},{"document":{"name":"Report (v2) [final]","format":"pdf","source":{"bytes":"AA=="}}}]}]}`, ""},
		{"five cache points", `{"system":[{"text":"s"},{"cachePoint":{"type":"default"}},{"cachePoint":{"type":"default"}},{"cachePoint":{"type":"default"}},{"cachePoint":{"type":"default"}},{"cachePoint":{"type":"default"}}],"messages":[` + user + `]}`, "A maximum of 4 blocks"},
		{"long after short", `{"system":[{"text":"s"},{"cachePoint":{"type":"default"}},{"text":"t"},{"cachePoint":{"type":"default","ttl":"1h"}}],"messages":[` + user + `]}`, "must not come after a ttl='5m'"},
		{"cache point after reasoning", `{"messages":[` + user + `,{"role":"assistant","content":[{"reasoningContent":{"reasoningText":{"text":"hm","signature":"s"}}},{"cachePoint":{"type":"default"}}]}]}`, "Cache point cannot be inserted after reasoning block."},
		{"broken JSON", `{"messages":`, "Unable to parse the request body"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, op := range []string{"converse", "converse-stream"} {
				resp, body := do(t, srv, request(t, srv, "/model/"+haiku+"/"+op, tt.body))
				if tt.want == "" {
					assert.Equal(t, 200, resp.StatusCode, body)
					continue
				}
				assert.Equal(t, 400, resp.StatusCode)
				assert.Contains(t, message(body), tt.want)
				assert.Regexp(t, `^(ValidationException|SerializationException):`, resp.Header.Get("X-Amzn-Errortype"))
			}
		})
	}
}

// All constraints that are broken are told together, before anything else. The
// first two messages are those of the service (BerriAI/litellm #24668,
// continuedev/continue #2296).
func TestViolations(t *testing.T) {
	srv := echoServer(t)
	for body, want := range map[string]string{
		`{"messages":[` + user + `],"toolConfig":{"tools":[{"toolSpec":{"inputSchema":{"json":{"type":"object","properties":{},"required":[]}},"name":"","description":""}}]}}`: "3 validation errors detected: " +
			"Value '' at 'toolConfig.tools.1.member.toolSpec.name' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_-]+; " +
			"Value '' at 'toolConfig.tools.1.member.toolSpec.name' failed to satisfy constraint: Member must have length greater than or equal to 1; " +
			"Value '' at 'toolConfig.tools.1.member.toolSpec.description' failed to satisfy constraint: Member must have length greater than or equal to 1",
		`{"messages":[` + user + `],"toolConfig":{"tools":[]}}`:                       "1 validation error detected: Value at 'toolConfig.tools' failed to satisfy constraint: Member must have length greater than or equal to 1",
		`{"messages":[` + user + `],"inferenceConfig":{"temperature":1.5,"topP":-1}}`: "2 validation errors detected: Value '1.5' at 'inferenceConfig.temperature' failed to satisfy constraint: Member must have value less than or equal to 1; Value '-1' at 'inferenceConfig.topP' failed to satisfy constraint: Member must have value greater than or equal to 0",
		`{"messages":[{"role":"user","content":[{"text":" "},{"image":{"format":"bmp","source":{"bytes":""}}}]},{"role":"tool","content":[]}]}`: "3 validation errors detected: " +
			"Value 'bmp' at 'messages.1.member.content.2.member.image.format' failed to satisfy constraint: Member must satisfy enum value set: [png, jpeg, gif, webp]; " +
			"Value at 'messages.1.member.content.2.member.image.source.bytes' failed to satisfy constraint: Member must have length greater than or equal to 1; " +
			"Value 'tool' at 'messages.2.member.role' failed to satisfy constraint: Member must satisfy enum value set: [user, assistant, system]",
	} {
		_, got := do(t, srv, request(t, srv, "/model/"+haiku+"/converse", body))
		assert.Equal(t, want, message(got))
	}
}

func TestNovaCachesNoTools(t *testing.T) {
	srv := echoServer(t)
	body := `{"messages":[` + user + `],"toolConfig":{"tools":[{"toolSpec":{"name":"f","inputSchema":{"json":{"type":"object"}}}},{"cachePoint":{"type":"default"}}]}}`
	for model, want := range map[string]int{haiku: 200, "amazon.nova-pro-v1:0": 400} {
		resp, _ := do(t, srv, request(t, srv, "/model/"+model+"/converse", body))
		assert.Equal(t, want, resp.StatusCode, model)
	}
}

func TestStructuredOutput(t *testing.T) {
	srv := echoServer(t)
	const schema = `{"type":"object","required":["title"],"properties":{"title":{"type":"string"}},"additionalProperties":false}`
	quoted, err := json.Marshal(schema)
	require.NoError(t, err)
	for path, body := range map[string]string{
		"converse": `{"messages":[` + user + `],"outputConfig":{"textFormat":{"type":"json_schema","structure":{"jsonSchema":{"name":"x","schema":` + string(quoted) + `}}}}}`,
		"invoke":   `{"anthropic_version":"bedrock-2023-05-31","max_tokens":50,"messages":[{"role":"user","content":"Hi"}],"output_config":{"format":{"type":"json_schema","schema":` + schema + `}}}`,
	} {
		_, got := do(t, srv, request(t, srv, "/model/"+haiku+"/"+path, body))
		assert.Contains(t, got, `"text":"{\"title\":\"title\"}"`)
	}
}

// cached are text blocks of the Messages API, each with a cache point.
func cached(ttls ...string) string {
	var blocks []string
	for _, ttl := range ttls {
		blocks = append(blocks, `{"type":"text","text":"Hi","cache_control":{"type":"ephemeral","ttl":"`+ttl+`"}}`)
	}
	return strings.ReplaceAll(strings.Join(blocks, ","), `,"ttl":""`, "")
}

func TestAnthropicValidation(t *testing.T) {
	const head = `"anthropic_version":"bedrock-2023-05-31","max_tokens":10,`
	srv := echoServer(t)
	for _, tt := range []struct{ name, body, want string }{
		{"right", `{` + head + `"messages":[{"role":"user","content":"Hi"}]}`, ""},
		{"no version", `{"max_tokens":10,"messages":[{"role":"user","content":"Hi"}]}`, "anthropic_version: Field required"},
		{"no max", `{"anthropic_version":"bedrock-2023-05-31","messages":[{"role":"user","content":"Hi"}]}`, "max_tokens: Field required"},
		{"max 0", `{"anthropic_version":"bedrock-2023-05-31","max_tokens":0,"messages":[{"role":"user","content":"Hi"}]}`, "max_tokens: must be greater than or equal to 1"},
		{"model in the body", `{` + head + `"model":"x","messages":[{"role":"user","content":"Hi"}]}`, "model: Extra inputs are not permitted"},
		{"no messages", `{` + head + `"messages":[]}`, "at least one message is required"},
		{"assistant first", `{` + head + `"messages":[{"role":"assistant","content":"Hi"}]}`, `first message must use the "user" role`},
		{"empty text", `{` + head + `"messages":[{"role":"user","content":""}]}`, "text content blocks must be non-empty"},
		{"blank text", `{` + head + `"messages":[{"role":"user","content":" "}]}`, "must contain non-whitespace text"},
		{"unknown result", `{` + head + `"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"x","content":"1"}]}]}`, "unexpected `tool_use_id`"},
		{"missing result", `{` + head + `"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":[{"type":"tool_use","id":"t1","name":"f","input":{}}]},{"role":"user","content":"Hi"}]}`, "ids were found without `tool_result`"},
		{"schema", `{` + head + `"tools":[{"name":"f","input_schema":{}}],"messages":[{"role":"user","content":"Hi"}]}`, "tools.0.custom.input_schema.type"},
		{"two tools of one name", `{` + head + `"tools":[{"name":"f","input_schema":{"type":"object"}},{"name":"f","input_schema":{"type":"object"}}],"messages":[{"role":"user","content":"Hi"}]}`, "Tool names must be unique"},
		{"four cache points", `{` + head + `"messages":[{"role":"user","content":[` + cached("", "", "5m", "") + `]}]}`, ""},
		{"five cache points", `{` + head + `"messages":[{"role":"user","content":[` + cached("", "", "", "", "") + `]}]}`, "A maximum of 4 blocks with cache_control may be provided. Found 5."},
		{"longer after shorter", `{` + head + `"messages":[{"role":"user","content":[` + cached("", "1h") + `]}]}`, "a ttl='1h' cache_control block must not come after a ttl='5m'"},
		{"no such ttl", `{` + head + `"messages":[{"role":"user","content":[` + cached("30m") + `]}]}`, "ttl: Input should be '5m' or '1h'"},
		{"broken", `{`, "Malformed input request"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			resp, body := do(t, srv, request(t, srv, "/model/"+haiku+"/invoke", tt.body))
			if tt.want == "" {
				assert.Equal(t, 200, resp.StatusCode, body)
				return
			}
			assert.Equal(t, 400, resp.StatusCode)
			assert.Contains(t, message(body), tt.want)
		})
	}
}

func TestModels(t *testing.T) {
	const (
		unknown  = "The provided model identifier is invalid."
		ended    = "This model version has reached the end of its life. Please refer to the AWS documentation for more details."
		onDemand = "with on-demand throughput isn’t supported. Retry your request with the ID or ARN of an inference profile that contains this model."
		action   = "This action doesn't support the model that you provided."
	)
	srv := echoServer(t, func(o *bedrocktest.Options) {
		o.Models = []bedrockkit.ModelID{"anthropic.claude-of-next-year-v1:0"}
		o.Profiles = map[bedrockkit.ModelID]bedrockkit.ModelID{
			"arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/old": "anthropic.claude-3-haiku-20240307-v1:0",
		}
	})
	for id, want := range map[string]string{
		"meta.llama3-70b-instruct-v1:0":                                                               "",
		"us.anthropic.claude-haiku-4-5-20251001-v1:0":                                                 "",
		"jp.anthropic.claude-haiku-4-5-20251001-v1:0":                                                 "",
		"amazon.nova-pro-v1:0:24k":                                                                    "",
		"apac.anthropic.claude-haiku-5-5":                                                             "", // a region that was not listed
		"arn:aws:bedrock:us-east-1::foundation-model%2Famazon.nova-lite-v1:0":                         "",
		"arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aapplication-inference-profile%2Fabc":        "",
		"arn:aws:bedrock:us-east-1:123456789012:provisioned-model%2Fabc":                              "",
		"anthropic.claude-of-next-year-v1:0":                                                          "",
		"us.anthropic.claude-of-next-year-v1:0":                                                       "",
		"anthropic.claude-9-haiku-v1:0":                                                               unknown,
		"claude":                                                                                      unknown,
		"arn:aws:bedrock:us-east-1:123456789012:inference-profile%2Fus.anthropic.claude-9-haiku-v1:0": unknown,
		"us.anthropic.claude-mythos-5":                                                                unknown,
		"anthropic.claude-3-haiku-20240307-v1:0":                                                      ended,
		"us.anthropic.claude-3-7-sonnet-20250219-v1:0":                                                ended,
		"arn:aws:bedrock:us-east-1:123456789012:application-inference-profile%2Fold":                  ended,
		"anthropic.claude-haiku-4-5-20251001-v1:0":                                                    "Invocation of model ID anthropic.claude-haiku-4-5-20251001-v1:0 " + onDemand,
		"arn:aws:bedrock:us-east-1::foundation-model%2Fanthropic.claude-opus-5-5":                     "Invocation of model ID arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-opus-5-5 " + onDemand,
		"amazon.nova-2-sonic-v1:0":                                                                    action,
		"xai.grok-4.3":                                                                                action,
	} {
		for _, op := range []string{"converse", "converse-stream"} {
			resp, body := do(t, srv, request(t, srv, "/model/"+id+"/"+op, `{"messages":[`+user+`]}`))
			status, code := 400, "ValidationException"
			switch want {
			case "":
				assert.Equal(t, 200, resp.StatusCode, "%s: %s", id, body)
				continue
			case ended:
				status, code = 404, "ResourceNotFoundException"
			}
			assert.Equal(t, status, resp.StatusCode, id)
			assert.Contains(t, message(body), want)
			assert.Contains(t, resp.Header.Get("X-Amzn-Errortype"), code)
		}
	}
}

// Models end by the table's day, or by the caller's clock.
func TestEndOfLife(t *testing.T) {
	const sonnet4, opus41 = "us.anthropic.claude-sonnet-4-20250514-v1:0", "us.anthropic.claude-opus-4-1-20250805-v1:0" // end 2026-10-14 and 2027-01-08
	for _, tt := range []struct {
		name            string
		set             func(*bedrocktest.Options)
		sonnet4, opus41 int
	}{
		{"the table's day", func(*bedrocktest.Options) {}, 404, 200},
		{"before", func(o *bedrocktest.Options) {
			o.Now = bedrocktest.NewClock(time.Date(2026, 10, 13, 23, 0, 0, 0, time.UTC)).Now
		}, 200, 200},
		{"after", func(o *bedrocktest.Options) {
			o.Now = bedrocktest.NewClock(time.Date(2027, 1, 8, 0, 0, 0, 0, time.UTC)).Now
		}, 404, 404},
		{"allowed", func(o *bedrocktest.Options) { o.AllowEnded = true }, 200, 200},
	} {
		srv := echoServer(t, tt.set)
		for model, want := range map[string]int{sonnet4: tt.sonnet4, opus41: tt.opus41} {
			resp, _ := do(t, srv, request(t, srv, "/model/"+model+"/converse", `{"messages":[`+user+`]}`))
			assert.Equal(t, want, resp.StatusCode, "%s: %s", tt.name, model)
		}
	}
}

// Whatever has a price is a model that the server knows.
func TestModelsOfThePriceTable(t *testing.T) {
	srv := echoServer(t, allowEnded, func(o *bedrocktest.Options) { o.Ignore = bedrocktest.Rules() })
	n := 0
	var unknown []string
	for m := range pricing.Default().Models() {
		for _, id := range m.Aliases {
			if !strings.Contains(string(id), ":") {
				continue // the names that others have for it
			}
			n++
			if resp, _ := do(t, srv, request(t, srv, "/model/"+string(id)+"/converse", `{"messages":[`+user+`]}`)); resp.StatusCode != 200 {
				unknown = append(unknown, string(id))
			}
		}
	}
	assert.Empty(t, unknown)
	require.Positive(t, n)
}

func TestUnknownPath(t *testing.T) {
	r := &recorder{TB: t}
	srv := bedrocktest.NewServer(r, func(o *bedrocktest.Options) { o.InProcess = true })
	for _, path := range []string{"/", "/model//converse/x", "/model/a/b/converse"} {
		resp, _ := do(t, srv, request(t, srv, path, "{}"))
		assert.Equal(t, 404, resp.StatusCode)
		assert.Contains(t, resp.Header.Get("X-Amzn-Errortype"), "UnknownOperationException")
	}
	r.finish()
	assert.Len(t, r.errors, 3)
}

func TestBodyTooLarge(t *testing.T) {
	srv := echoServer(t, func(o *bedrocktest.Options) { o.MaxBody = 1000 })
	resp, _ := do(t, srv, request(t, srv, "/model/"+haiku+"/converse", strings.Repeat("x", 1001)))
	assert.Equal(t, 413, resp.StatusCode)
}
