package converse

import (
	"encoding/json"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/document"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
)

// everyParameter is a request with every field set.
func everyParameter() Request {
	return Request{
		Model:         "us.anthropic.claude-haiku-4-5-20251001-v1:0",
		Messages:      everyContent(),
		System:        Contents{Text("Be brief."), GuardText{Text: "guard"}, CachePoint{TTL: "1h"}},
		MaxTokens:     100,
		Temperature:   aws.Float64(0.1),
		TopP:          aws.Float64(0.9),
		StopSequences: []string{"STOP"},
		Tools: []ToolSpec{
			{Name: "search", Description: "Searches.", InputSchema: json.RawMessage(`{"type":"object"}`), Strict: true},
			{Name: "none", InputSchema: json.RawMessage(`{"type":"object"}`), CachePoint: &CachePoint{TTL: "1h"}},
			{Name: "nova_grounding", System: true},
		},
		ToolChoice:       ToolChoice{Tool: "search"},
		OutputFormat:     &OutputFormat{Schema: json.RawMessage(`{"type":"object"}`), Name: "answer", Description: "An answer."},
		Guardrail:        bedrockkit.Guardrail{ID: "abc", Version: "1", Trace: "enabled", StreamMode: "async"},
		ServiceTier:      "priority",
		Latency:          bedrockkit.LatencyOptimized,
		PromptVariables:  map[string]string{"b": "2", "a": "1"},
		Metadata:         map[string]string{"team": "manga"},
		AdditionalFields: json.RawMessage(`{"top_k":10}`),
		ResponseFields:   []string{"/stop_sequence"},
	}
}

// What goes to the SDK's types comes back from them.
func TestSDKRoundTrip(t *testing.T) {
	r := everyParameter()
	r.Guardrail.StreamMode = "" // of streams
	user := r.Messages[2].Content
	r.Messages[2].Content = user[:len(user)-1] // the SDK has nothing for Raw
	r.Messages[1].Content[4] = ToolUse{ID: "tooluse_1", Name: "search", Input: json.RawMessage(`{"n":12}`)}
	in, err := r.SDK()
	require.NoError(t, err)
	again, err := RequestFromSDK(in)
	require.NoError(t, err)
	want, err := json.Marshal(r)
	require.NoError(t, err)
	got, err := json.Marshal(again)
	require.NoError(t, err)
	assert.JSONEq(t, string(want), string(got))
}

func TestSDKRefusesWhatItCannotHold(t *testing.T) {
	_, err := Message{Content: Contents{Raw(`{"new":1}`)}}.SDK()
	assert.ErrorContains(t, err, "content[0]: the SDK has no type for Raw")
	_, err = (&Request{System: Contents{Image{}}}).SDK()
	assert.ErrorContains(t, err, "system[0]: the SDK has no type for Image")
	_, err = MessageFromSDK(types.Message{Content: []types.ContentBlock{&types.UnknownUnionMember{Tag: "new"}}})
	assert.ErrorContains(t, err, "unknown member")
}

// Nothing of an input of the SDK is lost: what this package has no value for
// becomes Raw.
func TestNothingOfTheSDKIsLost(t *testing.T) {
	m, err := MessageFromSDK(types.Message{Role: "system", Content: []types.ContentBlock{
		&types.ContentBlockMemberToolAddition{Value: types.ToolAdditionBlock{Tool: &types.ToolReference{Name: aws.String("a"), ServerName: aws.String("s")}}},
		&types.ContentBlockMemberToolRemoval{Value: types.ToolRemovalBlock{Tool: &types.ToolReference{Name: aws.String("b")}}},
		&types.ContentBlockMemberImage{Value: types.ImageBlock{Format: "png", Source: &types.ImageSourceMemberBytes{Value: []byte("x")}, Error: &types.ErrorBlock{Message: aws.String("no")}}},
		&types.ContentBlockMemberToolResult{Value: types.ToolResultBlock{ToolUseId: aws.String("1")}},
	}})
	require.NoError(t, err)
	assert.Equal(t, Contents{ToolAddition{ToolReference{Name: "a", ServerName: "s"}}, ToolRemoval{ToolReference{Name: "b"}},
		Raw(`{"image":{"error":{"message":"no"},"format":"png","source":{"bytes":"eA=="}}}`), ToolResult{ToolUseID: "1", Content: Contents{}}}, m.Content)
	again, err := Message{Role: RoleSystem, Content: m.Content[:2]}.SDK()
	require.NoError(t, err)
	assert.Equal(t, "a", *again.Content[0].(*types.ContentBlockMemberToolAddition).Value.Tool.Name)

	r, err := RequestFromSDK(&bedrockruntime.ConverseInput{ModelId: aws.String("anthropic.claude-opus-5"), OutputConfig: &types.OutputConfig{Effort: aws.String("max")},
		Messages: []types.Message{{Role: "user", Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: "q"}}}}, InferenceConfig: &types.InferenceConfiguration{Temperature: aws.Float32(0.1)}})
	require.NoError(t, err)
	assert.Equal(t, Request{Model: "anthropic.claude-opus-5", Effort: "max", Messages: []Message{User("q")}, Temperature: ptr(0.1)}, r)
	in, err := r.SDK()
	require.NoError(t, err)
	assert.Equal(t, "max", *in.OutputConfig.Effort)

	_, err = requestFromBody([]byte(`{"messages":[],"aFieldOfTomorrow":1}`))
	assert.ErrorContains(t, err, "aFieldOfTomorrow")
}

// What the service runs by itself stays apart from what the caller must run.
func TestServerToolsFromTheSDK(t *testing.T) {
	m, err := MessageFromSDK(types.Message{Role: "assistant", Content: []types.ContentBlock{
		&types.ContentBlockMemberToolUse{Value: types.ToolUseBlock{ToolUseId: aws.String("1"), Name: aws.String("n"), Type: types.ToolUseTypeServerToolUse, Input: document.NewLazyDocument(map[string]any{"q": "x"})}},
		&types.ContentBlockMemberToolResult{Value: types.ToolResultBlock{ToolUseId: aws.String("1"), Type: aws.String("result")}},
	}})
	require.NoError(t, err)
	assert.Empty(t, m.ToolUses())
	raw, err := json.Marshal(m.Content)
	require.NoError(t, err)
	assert.JSONEq(t, `[{"toolUse":{"toolUseId":"1","name":"n","input":{"q":"x"},"type":"server_tool_use"}},{"toolResult":{"toolUseId":"1","type":"result"}}]`, string(raw))
}

func TestMockOutput(t *testing.T) {
	raw, err := fromSDK(nil)
	assert.ErrorIs(t, err, bedrockx.ErrEmpty)
	assert.Nil(t, raw)
	raw, err = fromSDK(&bedrockruntime.ConverseOutput{
		StopReason:                    types.StopReasonEndTurn,
		AdditionalModelResponseFields: document.NewLazyDocument(map[string]any{"stop_sequence": "x"}),
		Metrics:                       &types.ConverseMetrics{LatencyMs: aws.Int64(7)},
		Trace: &types.ConverseTrace{Guardrail: &types.GuardrailTraceAssessment{ActionReason: aws.String("why"),
			InputAssessment: map[string]types.GuardrailAssessment{"g": {TopicPolicy: &types.GuardrailTopicPolicyAssessment{Topics: []types.GuardrailTopic{{Name: aws.String("x"), Action: "BLOCKED"}}}}}}},
		Output: &types.ConverseOutputMemberMessage{Value: types.Message{Role: types.ConversationRoleAssistant, Content: []types.ContentBlock{
			&types.ContentBlockMemberCitationsContent{Value: types.CitationsContentBlock{Content: []types.CitationGeneratedContent{
				&types.CitationGeneratedContentMemberText{Value: "the whole answer"}}}},
			&types.ContentBlockMemberToolUse{Value: types.ToolUseBlock{ToolUseId: aws.String("1"), Name: aws.String("n"), Input: document.NewLazyDocument(map[string]any{"a": 1})}},
			&types.ContentBlockMemberToolUse{Value: types.ToolUseBlock{ToolUseId: aws.String("1"), Name: aws.String("n"), Input: document.NewLazyDocument(map[string]any{"a": 1})}},
			nil,
		}}},
	})
	require.NoError(t, err)
	assert.JSONEq(t, `{"output":{"message":{"role":"assistant","content":[{"citationsContent":{"content":[{"text":"the whole answer"}]}},{"toolUse":{"toolUseId":"1","name":"n","input":{"a":1}}}]}},
		"stopReason":"end_turn","additionalModelResponseFields":{"stop_sequence":"x"},"metrics":{"latencyMs":7},
		"trace":{"guardrail":{"actionReason":"why","inputAssessment":{"g":{"topicPolicy":{"topics":[{"action":"BLOCKED","name":"x","type":""}]}}}}}}`, string(raw))
}
