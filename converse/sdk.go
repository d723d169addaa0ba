package converse

import (
	"encoding/json"
	"fmt"
	"math"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/document"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"

	"github.com/mangaassist/bedrockkit"
)

// What is here is for programs that have the SDK's types already, and for APIs
// that are not the SDK's own client: mocks and decorators, which take and give
// those types. They cannot hold every number and no unknown content, so the
// SDK's own client never sees them.

// SDK converts the request to the SDK's types. It fails for what they cannot hold,
// such as [Raw]. A number with more digits than a float64 is rounded. A client uses it
// if its API is a mock or another type than the SDK's own client. Use it in code that
// calls the SDK itself.
func (r *Request) SDK() (*bedrockruntime.ConverseInput, error) {
	s := subjectOf(r.Model, bedrockkit.Capabilities)
	return r.sdk(r.modelFields(&s))
}

func (r *Request) sdk(fields json.RawMessage, effort string) (*bedrockruntime.ConverseInput, error) {
	in := &bedrockruntime.ConverseInput{ModelId: aws.String(string(r.Model)), RequestMetadata: r.Metadata, AdditionalModelResponseFieldPaths: r.ResponseFields}
	for i, m := range r.Messages {
		msg, err := m.SDK()
		if err != nil {
			return nil, fmt.Errorf("messages[%d].%w", i, err)
		}
		in.Messages = append(in.Messages, msg)
	}
	for i, c := range r.System {
		block, err := sdkSystemBlock(c)
		if err != nil {
			return nil, fmt.Errorf("system[%d]: %w", i, err)
		}
		in.System = append(in.System, block)
	}
	if r.MaxTokens > 0 || r.Temperature != nil || r.TopP != nil || len(r.StopSequences) > 0 {
		in.InferenceConfig = &types.InferenceConfiguration{StopSequences: r.StopSequences}
		if r.MaxTokens > 0 {
			in.InferenceConfig.MaxTokens = aws.Int32(int32(min(r.MaxTokens, math.MaxInt32)))
		}
		if r.Temperature != nil {
			in.InferenceConfig.Temperature = aws.Float32(float32(*r.Temperature))
		}
		if r.TopP != nil {
			in.InferenceConfig.TopP = aws.Float32(float32(*r.TopP))
		}
	}
	var err error
	if in.ToolConfig, err = r.sdkTools(); err != nil {
		return nil, err
	}
	if effort != "" {
		in.OutputConfig = &types.OutputConfig{Effort: aws.String(effort)}
	}
	if f := r.OutputFormat; f != nil {
		in.OutputConfig = &types.OutputConfig{Effort: optionalString(effort), TextFormat: &types.OutputFormat{
			Type: types.OutputFormatTypeJsonSchema,
			Structure: &types.OutputFormatStructureMemberJsonSchema{Value: types.JsonSchemaDefinition{
				Schema: aws.String(string(f.Schema)), Name: optionalString(f.Name), Description: optionalString(f.Description)}},
		}}
	}
	if g := r.Guardrail; g != (bedrockkit.Guardrail{}) {
		in.GuardrailConfig = &types.GuardrailConfiguration{
			GuardrailIdentifier: aws.String(g.ID), GuardrailVersion: aws.String(g.Version), Trace: types.GuardrailTrace(g.Trace)}
	}
	if r.ServiceTier != "" {
		in.ServiceTier = &types.ServiceTier{Type: types.ServiceTierType(r.ServiceTier)}
	}
	if r.Latency != "" {
		in.PerformanceConfig = &types.PerformanceConfiguration{Latency: types.PerformanceConfigLatency(r.Latency)}
	}
	for name, value := range r.PromptVariables {
		if in.PromptVariables == nil {
			in.PromptVariables = make(map[string]types.PromptVariableValues, len(r.PromptVariables))
		}
		in.PromptVariables[name] = &types.PromptVariableValuesMemberText{Value: value}
	}
	if len(fields) > 0 {
		if in.AdditionalModelRequestFields, err = sdkDocument(fields); err != nil {
			return nil, fmt.Errorf("additional fields: %w", err)
		}
	}
	return in, nil
}

// sdkStreamInput is what SDK returned, for a stream.
func (r *Request) sdkStreamInput(in *bedrockruntime.ConverseInput) *bedrockruntime.ConverseStreamInput {
	out := &bedrockruntime.ConverseStreamInput{
		ModelId: in.ModelId, Messages: in.Messages, System: in.System, InferenceConfig: in.InferenceConfig, ToolConfig: in.ToolConfig,
		OutputConfig: in.OutputConfig, ServiceTier: in.ServiceTier, PerformanceConfig: in.PerformanceConfig,
		PromptVariables: in.PromptVariables, RequestMetadata: in.RequestMetadata,
		AdditionalModelRequestFields: in.AdditionalModelRequestFields, AdditionalModelResponseFieldPaths: in.AdditionalModelResponseFieldPaths,
	}
	if g := in.GuardrailConfig; g != nil {
		out.GuardrailConfig = &types.GuardrailStreamConfiguration{
			GuardrailIdentifier: g.GuardrailIdentifier, GuardrailVersion: g.GuardrailVersion, Trace: g.Trace,
			StreamProcessingMode: types.GuardrailStreamProcessingMode(r.Guardrail.StreamMode)}
	}
	return out
}

func (r *Request) sdkTools() (*types.ToolConfiguration, error) {
	if len(r.Tools) == 0 {
		return nil, nil
	}
	config := &types.ToolConfiguration{}
	for _, t := range r.Tools {
		if t.System {
			config.Tools = append(config.Tools, &types.ToolMemberSystemTool{Value: types.SystemTool{Name: aws.String(t.Name)}})
		} else {
			schema, err := sdkDocument(t.InputSchema)
			if err != nil {
				return nil, fmt.Errorf("tool %q: %w", t.Name, err)
			}
			spec := types.ToolSpecification{Name: aws.String(t.Name), Description: optionalString(t.Description), InputSchema: &types.ToolInputSchemaMemberJson{Value: schema}}
			if t.Strict {
				spec.Strict = aws.Bool(true)
			}
			config.Tools = append(config.Tools, &types.ToolMemberToolSpec{Value: spec})
		}
		if t.CachePoint != nil {
			config.Tools = append(config.Tools, &types.ToolMemberCachePoint{Value: sdkCachePoint(*t.CachePoint)})
		}
	}
	switch {
	case r.ToolChoice.Tool != "":
		config.ToolChoice = &types.ToolChoiceMemberTool{Value: types.SpecificToolChoice{Name: aws.String(r.ToolChoice.Tool)}}
	case r.ToolChoice.Any:
		config.ToolChoice = &types.ToolChoiceMemberAny{}
	}
	return config, nil
}

func optionalString(s string) *string {
	if s == "" {
		return nil
	}
	return &s
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

func errSDK(c Content) error {
	return fmt.Errorf("the SDK has no type for %s here", kindOf(c))
}

// SDK converts the message to the SDK's types. It fails for content that they cannot
// hold, such as [Raw].
func (m Message) SDK() (types.Message, error) {
	msg := types.Message{Role: types.ConversationRole(m.Role)}
	for i, c := range m.Content {
		block, err := sdkBlock(c)
		if err != nil {
			return types.Message{}, fmt.Errorf("content[%d]: %w", i, err)
		}
		msg.Content = append(msg.Content, block)
	}
	return msg, nil
}

func sdkSystemBlock(c Content) (types.SystemContentBlock, error) {
	switch c := c.(type) {
	case Text:
		return &types.SystemContentBlockMemberText{Value: string(c)}, nil
	case CachePoint:
		return &types.SystemContentBlockMemberCachePoint{Value: sdkCachePoint(c)}, nil
	case GuardText, GuardImage:
		return &types.SystemContentBlockMemberGuardContent{Value: sdkGuard(c)}, nil
	}
	return nil, errSDK(c)
}

func sdkBlock(c Content) (types.ContentBlock, error) {
	switch c := c.(type) {
	case Text:
		return &types.ContentBlockMemberText{Value: string(c)}, nil
	case Image:
		return &types.ContentBlockMemberImage{Value: sdkImage(c)}, nil
	case Document:
		return &types.ContentBlockMemberDocument{Value: sdkDocumentBlock(c)}, nil
	case Video:
		return &types.ContentBlockMemberVideo{Value: sdkVideo(c)}, nil
	case Audio:
		block := types.AudioBlock{Format: types.AudioFormat(c.Format), Source: &types.AudioSourceMemberBytes{Value: c.Bytes}}
		if c.S3URI != "" {
			block.Source = &types.AudioSourceMemberS3Location{Value: sdkS3(c.S3URI, c.S3Owner)}
		}
		return &types.ContentBlockMemberAudio{Value: block}, nil
	case ToolUse:
		input, err := sdkDocument(c.Input)
		if err != nil {
			return nil, err
		}
		if c.Extra != nil {
			return nil, fmt.Errorf("the SDK has no fields for the extra members of the tool use %q", c.ID)
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
		text := types.ReasoningTextBlock{Text: aws.String(c.Text), Signature: optionalString(c.Signature)}
		return &types.ContentBlockMemberReasoningContent{Value: &types.ReasoningContentBlockMemberReasoningText{Value: text}}, nil
	case Redacted:
		return &types.ContentBlockMemberReasoningContent{Value: &types.ReasoningContentBlockMemberRedactedContent{Value: c}}, nil
	case CitedText:
		return &types.ContentBlockMemberCitationsContent{Value: sdkCitedText(c)}, nil
	case SearchResult:
		return &types.ContentBlockMemberSearchResult{Value: sdkSearchResult(c)}, nil
	case GuardText, GuardImage:
		return &types.ContentBlockMemberGuardContent{Value: sdkGuard(c)}, nil
	case ToolAddition:
		return &types.ContentBlockMemberToolAddition{Value: types.ToolAdditionBlock{Tool: sdkReference(c.Tool)}}, nil
	case ToolRemoval:
		return &types.ContentBlockMemberToolRemoval{Value: types.ToolRemovalBlock{Tool: sdkReference(c.Tool)}}, nil
	case CachePoint:
		return &types.ContentBlockMemberCachePoint{Value: sdkCachePoint(c)}, nil
	}
	return nil, errSDK(c)
}

func sdkReference(r ToolReference) *types.ToolReference {
	return &types.ToolReference{Name: optionalString(r.Name), ServerName: optionalString(r.ServerName), Type: optionalString(r.Type)}
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
	case Video:
		return &types.ToolResultContentBlockMemberVideo{Value: sdkVideo(c)}, nil
	case SearchResult:
		return &types.ToolResultContentBlockMemberSearchResult{Value: sdkSearchResult(c)}, nil
	}
	return nil, errSDK(c)
}

func sdkS3(uri, owner string) types.S3Location {
	return types.S3Location{Uri: aws.String(uri), BucketOwner: optionalString(owner)}
}

func sdkImage(c Image) types.ImageBlock {
	block := types.ImageBlock{Format: types.ImageFormat(c.Format), Source: &types.ImageSourceMemberBytes{Value: c.Bytes}}
	if c.S3URI != "" {
		block.Source = &types.ImageSourceMemberS3Location{Value: sdkS3(c.S3URI, c.S3Owner)}
	}
	return block
}

func sdkVideo(c Video) types.VideoBlock {
	block := types.VideoBlock{Format: types.VideoFormat(c.Format), Source: &types.VideoSourceMemberBytes{Value: c.Bytes}}
	if c.S3URI != "" {
		block.Source = &types.VideoSourceMemberS3Location{Value: sdkS3(c.S3URI, c.S3Owner)}
	}
	return block
}

func sdkDocumentBlock(c Document) types.DocumentBlock {
	block := types.DocumentBlock{Format: types.DocumentFormat(c.Format), Name: aws.String(c.Name), Context: optionalString(c.Context), Citations: sdkCitationsConfig(c.Citations)}
	switch {
	case c.Text != "":
		block.Source = &types.DocumentSourceMemberText{Value: c.Text}
	case c.Chunks != nil:
		chunks := make([]types.DocumentContentBlock, len(c.Chunks))
		for i, chunk := range c.Chunks {
			chunks[i] = &types.DocumentContentBlockMemberText{Value: chunk}
		}
		block.Source = &types.DocumentSourceMemberContent{Value: chunks}
	case c.S3URI != "":
		block.Source = &types.DocumentSourceMemberS3Location{Value: sdkS3(c.S3URI, c.S3Owner)}
	default:
		block.Source = &types.DocumentSourceMemberBytes{Value: c.Bytes}
	}
	return block
}

func sdkCitationsConfig(enabled bool) *types.CitationsConfig {
	if !enabled {
		return nil
	}
	return &types.CitationsConfig{Enabled: aws.Bool(true)}
}

func sdkSearchResult(c SearchResult) types.SearchResultBlock {
	block := types.SearchResultBlock{Source: aws.String(c.Source), Title: aws.String(c.Title), Citations: sdkCitationsConfig(c.Citations), Content: []types.SearchResultContentBlock{}}
	for _, text := range c.Content {
		block.Content = append(block.Content, types.SearchResultContentBlock{Text: aws.String(text)})
	}
	return block
}

// sdkGuard converts a GuardText or a GuardImage.
func sdkGuard(c Content) types.GuardrailConverseContentBlock {
	if image, ok := c.(GuardImage); ok {
		return &types.GuardrailConverseContentBlockMemberImage{Value: types.GuardrailConverseImageBlock{
			Format: types.GuardrailConverseImageFormat(image.Format), Source: &types.GuardrailConverseImageSourceMemberBytes{Value: image.Bytes}}}
	}
	text := c.(GuardText)
	block := types.GuardrailConverseTextBlock{Text: aws.String(text.Text)}
	for _, q := range text.Qualifiers {
		block.Qualifiers = append(block.Qualifiers, types.GuardrailConverseContentQualifier(q))
	}
	return &types.GuardrailConverseContentBlockMemberText{Value: block}
}

func sdkCitedText(c CitedText) types.CitationsContentBlock {
	var block types.CitationsContentBlock
	for _, text := range c.Content {
		block.Content = append(block.Content, &types.CitationGeneratedContentMemberText{Value: text})
	}
	for _, citation := range c.Citations {
		out := types.Citation{Title: optionalString(citation.Title), Source: optionalString(citation.Source), Location: sdkLocation(citation.Location)}
		for _, text := range citation.SourceContent {
			out.SourceContent = append(out.SourceContent, &types.CitationSourceContentMemberText{Value: text})
		}
		block.Citations = append(block.Citations, out)
	}
	return block
}

func sdkLocation(l Location) types.CitationLocation {
	index, start, end := aws.Int32(int32(l.Index)), aws.Int32(int32(l.Start)), aws.Int32(int32(l.End))
	switch l.Kind {
	case LocationChar:
		return &types.CitationLocationMemberDocumentChar{Value: types.DocumentCharLocation{DocumentIndex: index, Start: start, End: end}}
	case LocationPage:
		return &types.CitationLocationMemberDocumentPage{Value: types.DocumentPageLocation{DocumentIndex: index, Start: start, End: end}}
	case LocationChunk:
		return &types.CitationLocationMemberDocumentChunk{Value: types.DocumentChunkLocation{DocumentIndex: index, Start: start, End: end}}
	case LocationSearchResult:
		return &types.CitationLocationMemberSearchResultLocation{Value: types.SearchResultLocation{SearchResultIndex: index, Start: start, End: end}}
	case LocationWeb:
		return &types.CitationLocationMemberWeb{Value: types.WebLocation{Url: optionalString(l.URL), Domain: optionalString(l.Domain)}}
	}
	return nil
}
