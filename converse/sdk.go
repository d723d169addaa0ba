package converse

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/document"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
)

// What is here is for programs that have the SDK's types already, and for APIs
// that are not the SDK's own client: mocks and decorators, which take and give
// those types. They cannot hold every number and no unknown content, so the
// SDK's own client never sees them.

// SDK is the request in the SDK's types. It fails for what those cannot hold,
// such as [Raw]; a number with more digits than a float64 has is rounded. A
// mock, or any other API than the SDK's own client, is given this; so is code
// that calls the SDK by itself.
func (r *Request) SDK() (*bedrockruntime.ConverseInput, error) {
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
	if r.MaxTokens != 0 || r.Temperature != nil || r.TopP != nil || len(r.StopSequences) > 0 {
		in.InferenceConfig = &types.InferenceConfiguration{StopSequences: r.StopSequences}
		if r.MaxTokens != 0 {
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
	if f := r.OutputFormat; f != nil {
		in.OutputConfig = &types.OutputConfig{TextFormat: &types.OutputFormat{
			Type: types.OutputFormatTypeJsonSchema,
			Structure: &types.OutputFormatStructureMemberJsonSchema{Value: types.JsonSchemaDefinition{
				Schema: aws.String(string(f.Schema)), Name: optionalString(f.Name), Description: optionalString(f.Description)}},
		}}
	}
	if g := r.Guardrail; g != (Guardrail{}) {
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
	if fields := r.additionalFields(); len(fields) > 0 {
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

// SDK is the message in the SDK's types. It fails for what those cannot hold,
// such as [Raw].
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
	case CachePoint:
		return &types.ContentBlockMemberCachePoint{Value: sdkCachePoint(c)}, nil
	}
	return nil, errSDK(c)
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

// RequestFromSDK is a request of the SDK's types. It fails for blocks that this
// package has no value for.
func RequestFromSDK(in *bedrockruntime.ConverseInput) (Request, error) {
	r := Request{Model: bedrockkit.ModelID(aws.ToString(in.ModelId)), Metadata: in.RequestMetadata, ResponseFields: in.AdditionalModelResponseFieldPaths}
	for i, m := range in.Messages {
		msg, err := MessageFromSDK(m)
		if err != nil {
			return r, fmt.Errorf("messages[%d].%w", i, err)
		}
		r.Messages = append(r.Messages, msg)
	}
	for i, block := range in.System {
		c, err := fromSDKSystem(block)
		if err != nil {
			return r, fmt.Errorf("system[%d]: %w", i, err)
		}
		r.System = append(r.System, c)
	}
	if c := in.InferenceConfig; c != nil {
		r.MaxTokens, r.StopSequences = int(aws.ToInt32(c.MaxTokens)), c.StopSequences
		r.Temperature, r.TopP = fromFloat32(c.Temperature), fromFloat32(c.TopP)
	}
	if err := r.toolsFromSDK(in.ToolConfig); err != nil {
		return r, err
	}
	if in.OutputConfig != nil && in.OutputConfig.TextFormat != nil {
		schema, ok := in.OutputConfig.TextFormat.Structure.(*types.OutputFormatStructureMemberJsonSchema)
		if !ok {
			return r, fmt.Errorf("output format: %w", errFromSDK(in.OutputConfig.TextFormat.Structure))
		}
		r.OutputFormat = &OutputFormat{Schema: json.RawMessage(aws.ToString(schema.Value.Schema)), Name: aws.ToString(schema.Value.Name), Description: aws.ToString(schema.Value.Description)}
	}
	if g := in.GuardrailConfig; g != nil {
		r.Guardrail = Guardrail{ID: aws.ToString(g.GuardrailIdentifier), Version: aws.ToString(g.GuardrailVersion), Trace: string(g.Trace)}
	}
	if in.ServiceTier != nil {
		r.ServiceTier = bedrockkit.ServiceTier(in.ServiceTier.Type)
	}
	if in.PerformanceConfig != nil {
		r.Latency = Latency(in.PerformanceConfig.Latency)
	}
	for name, value := range in.PromptVariables {
		text, ok := value.(*types.PromptVariableValuesMemberText)
		if !ok {
			return r, fmt.Errorf("prompt variable %q: %w", name, errFromSDK(value))
		}
		if r.PromptVariables == nil {
			r.PromptVariables = make(map[string]string, len(in.PromptVariables))
		}
		r.PromptVariables[name] = text.Value
	}
	if in.AdditionalModelRequestFields != nil {
		raw, err := in.AdditionalModelRequestFields.MarshalSmithyDocument()
		if err != nil {
			return r, fmt.Errorf("additional fields: %w", err)
		}
		r.AdditionalFields = raw
	}
	return r, nil
}

func fromFloat32(v *float32) *float64 {
	if v == nil {
		return nil
	}
	// 0.1 is to stay 0.1.
	var f float64
	if _, err := fmt.Sscan(fmt.Sprint(*v), &f); err != nil {
		f = float64(*v)
	}
	return &f
}

func (r *Request) toolsFromSDK(config *types.ToolConfiguration) error {
	if config == nil {
		return nil
	}
	for i, tool := range config.Tools {
		switch t := tool.(type) {
		case *types.ToolMemberToolSpec:
			spec := ToolSpec{Name: aws.ToString(t.Value.Name), Description: aws.ToString(t.Value.Description), Strict: aws.ToBool(t.Value.Strict)}
			schema, ok := t.Value.InputSchema.(*types.ToolInputSchemaMemberJson)
			if !ok || schema.Value == nil {
				return fmt.Errorf("tools[%d]: it has no JSON Schema", i)
			}
			raw, err := schema.Value.MarshalSmithyDocument()
			if err != nil {
				return fmt.Errorf("tools[%d]: %w", i, err)
			}
			spec.InputSchema = raw
			r.Tools = append(r.Tools, spec)
		case *types.ToolMemberSystemTool:
			r.Tools = append(r.Tools, ToolSpec{Name: aws.ToString(t.Value.Name), System: true})
		case *types.ToolMemberCachePoint:
			if len(r.Tools) == 0 {
				return fmt.Errorf("tools[%d]: a cache point with no tool before it", i)
			}
			r.Tools[len(r.Tools)-1].CachePoint = &CachePoint{TTL: string(t.Value.Ttl)}
		default:
			return fmt.Errorf("tools[%d]: %w", i, errFromSDK(tool))
		}
	}
	switch choice := config.ToolChoice.(type) {
	case nil, *types.ToolChoiceMemberAuto:
	case *types.ToolChoiceMemberAny:
		r.ToolChoice.Any = true
	case *types.ToolChoiceMemberTool:
		r.ToolChoice.Tool = aws.ToString(choice.Value.Name)
	default:
		return fmt.Errorf("tool choice: %w", errFromSDK(choice))
	}
	return nil
}

func errFromSDK(v any) error { return fmt.Errorf("there is no value for a %T here", v) }

// MessageFromSDK is a message of the SDK's types. It fails for blocks that this
// package has no value for.
func MessageFromSDK(m types.Message) (Message, error) {
	msg := Message{Role: Role(m.Role)}
	for i, block := range m.Content {
		c, err := fromSDKBlock(block)
		if err != nil {
			return msg, fmt.Errorf("content[%d]: %w", i, err)
		}
		msg.Content = append(msg.Content, c)
	}
	return msg, nil
}

func fromSDKSystem(block types.SystemContentBlock) (Content, error) {
	switch b := block.(type) {
	case *types.SystemContentBlockMemberText:
		return Text(b.Value), nil
	case *types.SystemContentBlockMemberCachePoint:
		return CachePoint{TTL: string(b.Value.Ttl)}, nil
	case *types.SystemContentBlockMemberGuardContent:
		return fromSDKGuard(b.Value)
	}
	return nil, errFromSDK(block)
}

func fromSDKBlock(block types.ContentBlock) (Content, error) {
	switch b := block.(type) {
	case *types.ContentBlockMemberText:
		return Text(b.Value), nil
	case *types.ContentBlockMemberImage:
		return fromSDKImage(b.Value)
	case *types.ContentBlockMemberDocument:
		return fromSDKDocument(b.Value)
	case *types.ContentBlockMemberVideo:
		return fromSDKVideo(b.Value)
	case *types.ContentBlockMemberAudio:
		switch source := b.Value.Source.(type) {
		case *types.AudioSourceMemberBytes:
			return Audio{Format: string(b.Value.Format), Bytes: source.Value}, nil
		case *types.AudioSourceMemberS3Location:
			return Audio{Format: string(b.Value.Format), S3URI: aws.ToString(source.Value.Uri), S3Owner: aws.ToString(source.Value.BucketOwner)}, nil
		}
	case *types.ContentBlockMemberToolUse:
		input, err := fromSDKInput(b.Value.Input)
		if err != nil {
			return nil, err
		}
		use := ToolUse{ID: aws.ToString(b.Value.ToolUseId), Name: aws.ToString(b.Value.Name), Input: input}
		if b.Value.Type != "" {
			return rawOf(use, string(b.Value.Type)) // the service runs it by itself
		}
		return use, nil
	case *types.ContentBlockMemberToolResult:
		result := ToolResult{ToolUseID: aws.ToString(b.Value.ToolUseId), Status: ToolStatus(b.Value.Status), Content: Contents{}}
		for i, inner := range b.Value.Content {
			c, err := fromSDKResult(inner)
			if err != nil {
				return nil, fmt.Errorf("content[%d]: %w", i, err)
			}
			result.Content = append(result.Content, c)
		}
		if kind := aws.ToString(b.Value.Type); kind != "" {
			return rawOf(result, kind)
		}
		return result, nil
	case *types.ContentBlockMemberReasoningContent:
		switch r := b.Value.(type) {
		case *types.ReasoningContentBlockMemberReasoningText:
			return Reasoning{Text: aws.ToString(r.Value.Text), Signature: aws.ToString(r.Value.Signature)}, nil
		case *types.ReasoningContentBlockMemberRedactedContent:
			return Redacted(r.Value), nil
		}
	case *types.ContentBlockMemberCitationsContent:
		return fromSDKCitedText(b.Value)
	case *types.ContentBlockMemberSearchResult:
		return fromSDKSearchResult(b.Value), nil
	case *types.ContentBlockMemberGuardContent:
		return fromSDKGuard(b.Value)
	case *types.ContentBlockMemberCachePoint:
		return CachePoint{TTL: string(b.Value.Ttl)}, nil
	}
	return nil, errFromSDK(block)
}

// rawOf is a block with a type of its own, which its value has no field for.
func rawOf(c Content, kind string) (Content, error) {
	b, err := c.appendJSON(nil)
	if err != nil {
		return nil, err
	}
	b = append(b[:len(b)-2], `,"type":`...)
	return Raw(append(appendString(b, kind), `}}`...)), nil
}

func fromSDKInput(input document.Interface) (json.RawMessage, error) {
	if input == nil {
		return json.RawMessage("{}"), nil
	}
	return input.MarshalSmithyDocument()
}

func fromSDKResult(block types.ToolResultContentBlock) (Content, error) {
	switch b := block.(type) {
	case *types.ToolResultContentBlockMemberText:
		return Text(b.Value), nil
	case *types.ToolResultContentBlockMemberJson:
		raw, err := fromSDKInput(b.Value)
		return JSON(raw), err
	case *types.ToolResultContentBlockMemberImage:
		return fromSDKImage(b.Value)
	case *types.ToolResultContentBlockMemberDocument:
		return fromSDKDocument(b.Value)
	case *types.ToolResultContentBlockMemberVideo:
		return fromSDKVideo(b.Value)
	case *types.ToolResultContentBlockMemberSearchResult:
		return fromSDKSearchResult(b.Value), nil
	}
	return nil, errFromSDK(block)
}

func fromSDKImage(b types.ImageBlock) (Content, error) {
	switch source := b.Source.(type) {
	case *types.ImageSourceMemberBytes:
		return Image{Format: string(b.Format), Bytes: source.Value}, nil
	case *types.ImageSourceMemberS3Location:
		return Image{Format: string(b.Format), S3URI: aws.ToString(source.Value.Uri), S3Owner: aws.ToString(source.Value.BucketOwner)}, nil
	}
	return nil, errFromSDK(b.Source)
}

func fromSDKVideo(b types.VideoBlock) (Content, error) {
	switch source := b.Source.(type) {
	case *types.VideoSourceMemberBytes:
		return Video{Format: string(b.Format), Bytes: source.Value}, nil
	case *types.VideoSourceMemberS3Location:
		return Video{Format: string(b.Format), S3URI: aws.ToString(source.Value.Uri), S3Owner: aws.ToString(source.Value.BucketOwner)}, nil
	}
	return nil, errFromSDK(b.Source)
}

func fromSDKDocument(b types.DocumentBlock) (Content, error) {
	d := Document{Format: string(b.Format), Name: aws.ToString(b.Name), Context: aws.ToString(b.Context), Citations: b.Citations != nil && aws.ToBool(b.Citations.Enabled)}
	switch source := b.Source.(type) {
	case *types.DocumentSourceMemberBytes:
		d.Bytes = source.Value
	case *types.DocumentSourceMemberS3Location:
		d.S3URI, d.S3Owner = aws.ToString(source.Value.Uri), aws.ToString(source.Value.BucketOwner)
	case *types.DocumentSourceMemberText:
		d.Text = source.Value
	case *types.DocumentSourceMemberContent:
		d.Chunks = []string{}
		for _, chunk := range source.Value {
			text, ok := chunk.(*types.DocumentContentBlockMemberText)
			if !ok {
				return nil, errFromSDK(chunk)
			}
			d.Chunks = append(d.Chunks, text.Value)
		}
	default:
		return nil, errFromSDK(b.Source)
	}
	return d, nil
}

func fromSDKSearchResult(b types.SearchResultBlock) Content {
	c := SearchResult{Source: aws.ToString(b.Source), Title: aws.ToString(b.Title), Citations: b.Citations != nil && aws.ToBool(b.Citations.Enabled)}
	for _, text := range b.Content {
		c.Content = append(c.Content, aws.ToString(text.Text))
	}
	return c
}

func fromSDKGuard(block types.GuardrailConverseContentBlock) (Content, error) {
	switch b := block.(type) {
	case *types.GuardrailConverseContentBlockMemberText:
		c := GuardText{Text: aws.ToString(b.Value.Text)}
		for _, q := range b.Value.Qualifiers {
			c.Qualifiers = append(c.Qualifiers, Qualifier(q))
		}
		return c, nil
	case *types.GuardrailConverseContentBlockMemberImage:
		if source, ok := b.Value.Source.(*types.GuardrailConverseImageSourceMemberBytes); ok {
			return GuardImage{Format: string(b.Value.Format), Bytes: source.Value}, nil
		}
	}
	return nil, errFromSDK(block)
}

func fromSDKCitedText(b types.CitationsContentBlock) (Content, error) {
	var c CitedText
	for _, content := range b.Content {
		text, ok := content.(*types.CitationGeneratedContentMemberText)
		if !ok {
			return nil, errFromSDK(content)
		}
		c.Content = append(c.Content, text.Value)
	}
	for _, in := range b.Citations {
		citation := Citation{Title: aws.ToString(in.Title), Source: aws.ToString(in.Source)}
		for _, content := range in.SourceContent {
			text, ok := content.(*types.CitationSourceContentMemberText)
			if !ok {
				return nil, errFromSDK(content)
			}
			citation.SourceContent = append(citation.SourceContent, text.Value)
		}
		var err error
		if citation.Location, err = fromSDKLocation(in.Location); err != nil {
			return nil, err
		}
		c.Citations = append(c.Citations, citation)
	}
	return c, nil
}

func fromSDKLocation(location types.CitationLocation) (Location, error) {
	at := func(kind LocationKind, index, start, end *int32) (Location, error) {
		return Location{Kind: kind, Index: int(aws.ToInt32(index)), Start: int(aws.ToInt32(start)), End: int(aws.ToInt32(end))}, nil
	}
	switch l := location.(type) {
	case nil:
		return Location{}, nil
	case *types.CitationLocationMemberDocumentChar:
		return at(LocationChar, l.Value.DocumentIndex, l.Value.Start, l.Value.End)
	case *types.CitationLocationMemberDocumentPage:
		return at(LocationPage, l.Value.DocumentIndex, l.Value.Start, l.Value.End)
	case *types.CitationLocationMemberDocumentChunk:
		return at(LocationChunk, l.Value.DocumentIndex, l.Value.Start, l.Value.End)
	case *types.CitationLocationMemberSearchResultLocation:
		return at(LocationSearchResult, l.Value.SearchResultIndex, l.Value.Start, l.Value.End)
	case *types.CitationLocationMemberWeb:
		return Location{Kind: LocationWeb, URL: aws.ToString(l.Value.Url), Domain: aws.ToString(l.Value.Domain)}, nil
	}
	return Location{}, errFromSDK(location)
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
		switch b := block.(type) {
		case nil, *types.UnknownUnionMember:
			continue // the SDK could not read it
		case *types.ContentBlockMemberToolUse:
			// The SDK puts a copy of the block before in the place of one that
			// it does not know: the tool would run twice.
			if id := aws.ToString(b.Value.ToolUseId); seen[id] {
				continue
			} else {
				seen[id] = true
			}
		}
		c, err := fromSDKBlock(block)
		if err != nil {
			return nil, fmt.Errorf("content[%d]: %w", i, err)
		}
		msg.Content = append(msg.Content, c)
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
