package converse

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/document"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
)

// What is here serves APIs that are not the SDK's own client: mocks and
// decorators, which take and give the SDK's types. Those can not hold every
// number and no unknown content, so the SDK's own client never sees them.

// sdkInput is the request in the SDK's types.
func (r *Request) sdkInput() (*bedrockruntime.ConverseInput, error) {
	in := &bedrockruntime.ConverseInput{ModelId: aws.String(string(r.Model))}
	for i, m := range r.Messages {
		msg := types.Message{Role: types.ConversationRole(m.Role)}
		for j, c := range m.Content {
			block, err := sdkBlock(c)
			if err != nil {
				return nil, fmt.Errorf("messages[%d].content[%d]: %w", i, j, err)
			}
			msg.Content = append(msg.Content, block)
		}
		in.Messages = append(in.Messages, msg)
	}
	for i, c := range r.System {
		switch c := c.(type) {
		case Text:
			in.System = append(in.System, &types.SystemContentBlockMemberText{Value: string(c)})
		case CachePoint:
			in.System = append(in.System, &types.SystemContentBlockMemberCachePoint{Value: sdkCachePoint(c)})
		default:
			return nil, fmt.Errorf("system[%d]: a %T can not be given to a mock", i, c)
		}
	}
	in.InferenceConfig = &types.InferenceConfiguration{StopSequences: r.StopSequences}
	if r.MaxTokens > 0 {
		in.InferenceConfig.MaxTokens = aws.Int32(int32(min(r.MaxTokens, 1<<31-1)))
	}
	if r.Temperature != nil {
		in.InferenceConfig.Temperature = aws.Float32(float32(*r.Temperature))
	}
	if r.TopP != nil {
		in.InferenceConfig.TopP = aws.Float32(float32(*r.TopP))
	}
	if len(r.Tools) > 0 {
		in.ToolConfig = &types.ToolConfiguration{}
		for _, t := range r.Tools {
			schema, err := sdkDocument(t.InputSchema)
			if err != nil {
				return nil, fmt.Errorf("tool %q: %w", t.Name, err)
			}
			in.ToolConfig.Tools = append(in.ToolConfig.Tools, &types.ToolMemberToolSpec{Value: types.ToolSpecification{
				Name: aws.String(t.Name), Description: aws.String(t.Description),
				InputSchema: &types.ToolInputSchemaMemberJson{Value: schema},
			}})
		}
		switch {
		case r.ToolChoice.Tool != "":
			in.ToolConfig.ToolChoice = &types.ToolChoiceMemberTool{Value: types.SpecificToolChoice{Name: aws.String(r.ToolChoice.Tool)}}
		case r.ToolChoice.Any:
			in.ToolConfig.ToolChoice = &types.ToolChoiceMemberAny{}
		}
	}
	if r.ServiceTier != "" {
		in.ServiceTier = &types.ServiceTier{Type: types.ServiceTierType(r.ServiceTier)}
	}
	if len(r.AdditionalFields) > 0 {
		fields, err := sdkDocument(r.AdditionalFields)
		if err != nil {
			return nil, fmt.Errorf("additional fields: %w", err)
		}
		in.AdditionalModelRequestFields = fields
	}
	return in, nil
}

func sdkDocument(raw json.RawMessage) (document.Interface, error) {
	var v any = map[string]any{}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &v); err != nil {
			return nil, err
		}
	}
	return document.NewLazyDocument(v), nil
}

func sdkCachePoint(c CachePoint) types.CachePointBlock {
	return types.CachePointBlock{Type: types.CachePointTypeDefault, Ttl: types.CacheTTL(c.TTL)}
}

func sdkBlock(c Content) (types.ContentBlock, error) {
	switch c := c.(type) {
	case Text:
		return &types.ContentBlockMemberText{Value: string(c)}, nil
	case Image:
		return &types.ContentBlockMemberImage{Value: sdkImage(c)}, nil
	case Document:
		return &types.ContentBlockMemberDocument{Value: sdkDocumentBlock(c)}, nil
	case ToolUse:
		input, err := sdkDocument(c.Input)
		if err != nil {
			return nil, err
		}
		return &types.ContentBlockMemberToolUse{Value: types.ToolUseBlock{ToolUseId: aws.String(c.ID), Name: aws.String(c.Name), Input: input}}, nil
	case ToolResult:
		result := types.ToolResultBlock{ToolUseId: aws.String(c.ToolUseID), Status: types.ToolResultStatus(c.Status)}
		for i, inner := range c.Content {
			block, err := sdkResultBlock(inner)
			if err != nil {
				return nil, fmt.Errorf("content[%d]: %w", i, err)
			}
			result.Content = append(result.Content, block)
		}
		return &types.ContentBlockMemberToolResult{Value: result}, nil
	case Reasoning:
		text := types.ReasoningTextBlock{Text: aws.String(c.Text)}
		if c.Signature != "" {
			text.Signature = aws.String(c.Signature)
		}
		return &types.ContentBlockMemberReasoningContent{Value: &types.ReasoningContentBlockMemberReasoningText{Value: text}}, nil
	case Redacted:
		return &types.ContentBlockMemberReasoningContent{Value: &types.ReasoningContentBlockMemberRedactedContent{Value: c}}, nil
	case CachePoint:
		return &types.ContentBlockMemberCachePoint{Value: sdkCachePoint(c)}, nil
	}
	return nil, fmt.Errorf("a %T can not be given to a mock", c)
}

func sdkResultBlock(c Content) (types.ToolResultContentBlock, error) {
	switch c := c.(type) {
	case Text:
		return &types.ToolResultContentBlockMemberText{Value: string(c)}, nil
	case JSON:
		doc, err := sdkDocument(json.RawMessage(c))
		return &types.ToolResultContentBlockMemberJson{Value: doc}, err
	case Image:
		return &types.ToolResultContentBlockMemberImage{Value: sdkImage(c)}, nil
	case Document:
		return &types.ToolResultContentBlockMemberDocument{Value: sdkDocumentBlock(c)}, nil
	}
	return nil, fmt.Errorf("a %T can not be given to a mock", c)
}

func sdkImage(c Image) types.ImageBlock {
	block := types.ImageBlock{Format: types.ImageFormat(c.Format), Source: &types.ImageSourceMemberBytes{Value: c.Bytes}}
	if c.S3URI != "" {
		block.Source = &types.ImageSourceMemberS3Location{Value: types.S3Location{Uri: aws.String(c.S3URI)}}
	}
	return block
}

func sdkDocumentBlock(c Document) types.DocumentBlock {
	block := types.DocumentBlock{Format: types.DocumentFormat(c.Format), Name: aws.String(c.Name), Source: &types.DocumentSourceMemberBytes{Value: c.Bytes}}
	if c.S3URI != "" {
		block.Source = &types.DocumentSourceMemberS3Location{Value: types.S3Location{Uri: aws.String(c.S3URI)}}
	}
	return block
}

// fromSDK is the SDK's output as the body that it stands for.
func fromSDK(sdk any) ([]byte, error) {
	empty := &bedrockx.Error{Kind: bedrockx.KindEmpty, Err: errors.New("the response holds no message")}
	if sdk == nil {
		return nil, empty // a mock that returned neither an output nor an error
	}
	out, ok := sdk.(*bedrockruntime.ConverseOutput)
	if !ok {
		return nil, fmt.Errorf("the API returned a %T for Converse", sdk)
	}
	member, ok := out.Output.(*types.ConverseOutputMemberMessage)
	if !ok {
		return nil, empty
	}
	msg := Message{Role: Role(member.Value.Role)}
	seen := make(map[string]bool)
	for i, block := range member.Value.Content {
		c, err := fromSDKBlock(block)
		if err != nil {
			return nil, fmt.Errorf("content[%d]: %w", i, err)
		}
		if use, ok := c.(ToolUse); ok {
			// The SDK puts a copy of the block before in the place of one that
			// it does not know: the tool would run twice.
			if seen[use.ID] {
				continue
			}
			seen[use.ID] = true
		}
		if c != nil {
			msg.Content = append(msg.Content, c)
		}
	}
	body := map[string]any{"output": map[string]any{"message": msg}, "stopReason": out.StopReason}
	if u := out.Usage; u != nil {
		usage := map[string]any{
			"inputTokens": aws.ToInt32(u.InputTokens), "outputTokens": aws.ToInt32(u.OutputTokens),
			"cacheReadInputTokens": aws.ToInt32(u.CacheReadInputTokens), "cacheWriteInputTokens": aws.ToInt32(u.CacheWriteInputTokens),
		}
		var details []map[string]any
		for _, d := range u.CacheDetails {
			details = append(details, map[string]any{"ttl": d.Ttl, "inputTokens": aws.ToInt32(d.InputTokens)})
		}
		usage["cacheDetails"] = details
		body["usage"] = usage
	}
	if fields := out.AdditionalModelResponseFields; fields != nil {
		raw, err := fields.MarshalSmithyDocument()
		if err != nil {
			return nil, fmt.Errorf("additional fields: %w", err)
		}
		body["additionalModelResponseFields"] = json.RawMessage(raw)
	}
	if out.ServiceTier != nil {
		body["serviceTier"] = map[string]any{"type": bedrockkit.ServiceTier(out.ServiceTier.Type)}
	}
	return json.Marshal(body)
}

// fromSDKBlock is a block of the SDK as content, nil for one that it could not
// read.
func fromSDKBlock(block types.ContentBlock) (Content, error) {
	switch b := block.(type) {
	case *types.ContentBlockMemberText:
		return Text(b.Value), nil
	case *types.ContentBlockMemberToolUse:
		if b.Value.Type == types.ToolUseTypeServerToolUse {
			return nil, nil // the service runs it by itself
		}
		input := []byte("{}")
		if b.Value.Input != nil {
			var err error
			if input, err = b.Value.Input.MarshalSmithyDocument(); err != nil {
				return nil, err
			}
		}
		return ToolUse{ID: aws.ToString(b.Value.ToolUseId), Name: aws.ToString(b.Value.Name), Input: input}, nil
	case *types.ContentBlockMemberReasoningContent:
		switch r := b.Value.(type) {
		case *types.ReasoningContentBlockMemberReasoningText:
			return Reasoning{Text: aws.ToString(r.Value.Text), Signature: aws.ToString(r.Value.Signature)}, nil
		case *types.ReasoningContentBlockMemberRedactedContent:
			return Redacted(r.Value), nil
		}
	case *types.ContentBlockMemberImage:
		if source, ok := b.Value.Source.(*types.ImageSourceMemberBytes); ok {
			return Image{Format: string(b.Value.Format), Bytes: source.Value}, nil
		}
	case *types.ContentBlockMemberCitationsContent:
		var text strings.Builder
		for _, c := range b.Value.Content {
			if c, ok := c.(*types.CitationGeneratedContentMemberText); ok {
				text.WriteString(c.Value)
			}
		}
		return Text(text.String()), nil
	case nil, *types.UnknownUnionMember:
		return nil, nil
	}
	return nil, fmt.Errorf("a %T can not be taken from a mock", block)
}
