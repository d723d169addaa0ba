package offline

import (
	"encoding/json"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/document"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/examples/chatserver/catalog"
	"github.com/mangaassist/bedrockkit/examples/chatserver/shop"
)

const haiku = "us.anthropic.claude-haiku-4-5-20251001-v1:0"

func serve(t *testing.T) *bedrockruntime.Client {
	srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.Responder = New(catalog.Default()).Respond })
	return srv.Client()
}

func TestInvokeModelNeedsNoTools(t *testing.T) {
	client := serve(t)
	out, err := client.InvokeModel(t.Context(), &bedrockruntime.InvokeModelInput{
		ModelId: aws.String(haiku), ContentType: aws.String("application/json"),
		Body: []byte(`{"anthropic_version":"bedrock-2023-05-31","max_tokens":2048,"messages":[{"role":"user","content":"ワンピースに似たアクション漫画を教えてください"}]}`),
	})
	require.NoError(t, err)
	var body struct {
		StopReason string `json:"stop_reason"`
		Content    []struct{ Type, Text string }
	}
	require.NoError(t, json.Unmarshal(out.Body, &body))
	assert.Equal(t, "end_turn", body.StopReason)
	require.Len(t, body.Content, 1)
	assert.Contains(t, body.Content[0].Text, "『FAIRY TAIL』")
}

// The tool loop over the wire, as an application runs it.
func TestConverseWithTools(t *testing.T) {
	client := serve(t)
	in := &bedrockruntime.ConverseInput{
		ModelId: aws.String(haiku),
		ToolConfig: &types.ToolConfiguration{Tools: []types.Tool{
			tool(t, search, shop.SearchMangaCatalogSchema), tool(t, order, shop.GetOrderStatusSchema), tool(t, check, shop.CheckMangaAvailabilitySchema),
		}},
		Messages: []types.Message{{Role: types.ConversationRoleUser, Content: []types.ContentBlock{
			&types.ContentBlockMemberText{Value: "Do you have Berserk volume 3 and Monster in stock?"},
		}}},
	}
	var called []string
	for range 3 {
		out, err := client.Converse(t.Context(), in)
		require.NoError(t, err)
		message := out.Output.(*types.ConverseOutputMemberMessage).Value
		in.Messages = append(in.Messages, message)
		if out.StopReason != types.StopReasonToolUse {
			break
		}
		results := types.Message{Role: types.ConversationRoleUser}
		for _, block := range message.Content {
			use := block.(*types.ContentBlockMemberToolUse).Value
			input, err := use.Input.MarshalSmithyDocument()
			require.NoError(t, err)
			called = append(called, *use.Name)
			r := run(t, bedrocktest.ToolCall{Name: *use.Name, Input: input})
			var v struct{ JSON any }
			require.NoError(t, json.Unmarshal(r.Content[0].Raw, &v))
			results.Content = append(results.Content, &types.ContentBlockMemberToolResult{Value: types.ToolResultBlock{
				ToolUseId: use.ToolUseId,
				Content:   []types.ToolResultContentBlock{&types.ToolResultContentBlockMemberJson{Value: document.NewLazyDocument(v.JSON)}},
			}})
		}
		in.Messages = append(in.Messages, results)
	}
	assert.Equal(t, []string{search, search, check, check}, called)
	last := in.Messages[len(in.Messages)-1].Content[0].(*types.ContentBlockMemberText).Value
	assert.Contains(t, last, "**Berserk** (ベルセルク) volume 3")
	assert.Contains(t, last, "**Monster**")
}

// A request can demand a call that the question does not need.
func TestToolChoice(t *testing.T) {
	client := serve(t)
	for name, tt := range map[string]struct {
		choice types.ToolChoice
		called string
	}{
		"auto":   {&types.ToolChoiceMemberAuto{}, ""},
		"any":    {&types.ToolChoiceMemberAny{}, search},
		"search": {&types.ToolChoiceMemberTool{Value: types.SpecificToolChoice{Name: aws.String(search)}}, search},
		"order":  {&types.ToolChoiceMemberTool{Value: types.SpecificToolChoice{Name: aws.String(order)}}, order},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := client.Converse(t.Context(), &bedrockruntime.ConverseInput{
				ModelId: aws.String(haiku),
				ToolConfig: &types.ToolConfiguration{ToolChoice: tt.choice, Tools: []types.Tool{
					tool(t, search, shop.SearchMangaCatalogSchema), tool(t, order, shop.GetOrderStatusSchema),
				}},
				Messages: []types.Message{{Role: types.ConversationRoleUser, Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: "hello"}}}},
			})
			require.NoError(t, err)
			block := out.Output.(*types.ConverseOutputMemberMessage).Value.Content[0]
			if tt.called == "" {
				assert.Contains(t, block.(*types.ContentBlockMemberText).Value, "Hello")
				return
			}
			use := block.(*types.ContentBlockMemberToolUse).Value
			assert.Equal(t, tt.called, *use.Name)
		})
	}

	c := newChat(t)
	text, calls := c.a.answer(&bedrocktest.Conversation{
		Messages: []bedrocktest.Message{{Role: "user", Blocks: []bedrocktest.Block{{Text: "Who wrote Monster?"}}}},
		Tools:    c.tools, ToolChoice: bedrocktest.ToolChoice{Mode: "none"},
	})
	assert.Empty(t, calls)
	assert.Contains(t, text, "Naoki Urasawa")
}

func tool(t *testing.T, name, schema string) types.Tool {
	var v any
	require.NoError(t, json.Unmarshal([]byte(schema), &v))
	return &types.ToolMemberToolSpec{Value: types.ToolSpecification{
		Name: aws.String(name), InputSchema: &types.ToolInputSchemaMemberJson{Value: document.NewLazyDocument(v)},
	}}
}
