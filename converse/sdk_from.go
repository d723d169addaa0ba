package converse

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/internal/jsonscan"
)

// sdkBody is the JSON of an input of the SDK, by the SDK's own serializer: so
// nothing of the input is lost, and content that this version does not know
// becomes Raw. Nothing is sent.
func sdkBody(in *bedrockruntime.ConverseInput) ([]byte, error) {
	if err := checkUnions(reflect.ValueOf(in)); err != nil {
		return nil, err
	}
	var body []byte
	stop := middleware.BuildMiddlewareFunc("bedrockkit: take the body", func(_ context.Context, in middleware.BuildInput, _ middleware.BuildHandler) (middleware.BuildOutput, middleware.Metadata, error) {
		var err error
		if req, ok := in.Request.(*smithyhttp.Request); ok && req.GetStream() != nil {
			body, err = io.ReadAll(req.GetStream())
		}
		return middleware.BuildOutput{Result: &bedrockruntime.ConverseOutput{}}, middleware.Metadata{}, err
	})
	copied := *in
	if aws.ToString(copied.ModelId) == "" {
		copied.ModelId = aws.String("none") // the serializer wants one for the path
	}
	client := bedrockruntime.New(bedrockruntime.Options{Region: "us-east-1"})
	_, err := client.Converse(context.Background(), &copied, bedrockruntime.WithAPIOptions(func(stack *middleware.Stack) error {
		// What is not valid is found by Preflight, and a part is valid as well.
		_, _ = stack.Initialize.Remove("OperationInputValidation")
		return stack.Build.Add(stop, middleware.Before)
	}))
	if err != nil {
		return nil, fmt.Errorf("reading the SDK's input: %w", err)
	}
	return body, nil
}

// MessageFromSDK converts a message of the SDK. Content that this package has no type
// for becomes [Raw]. A member of a union that the SDK itself does not know is an
// error.
func MessageFromSDK(m types.Message) (Message, error) {
	raw, err := sdkBody(&bedrockruntime.ConverseInput{Messages: []types.Message{m}})
	if err != nil {
		return Message{}, err
	}
	r, err := requestFromBody(raw)
	if err != nil || len(r.Messages) != 1 {
		return Message{}, err
	}
	return r.Messages[0], nil
}

// RequestFromSDK converts a request of the SDK. Content that this package has no type
// for becomes [Raw]. It returns an error if the input sets something that [Request]
// has no field for.
func RequestFromSDK(in *bedrockruntime.ConverseInput) (Request, error) {
	raw, err := sdkBody(in)
	if err != nil {
		return Request{}, err
	}
	r, err := requestFromBody(raw)
	r.Model = bedrockkit.ModelID(aws.ToString(in.ModelId))
	return r, err
}

// requestFromBody reads the JSON of a Converse request. A member that a Request
// has no field for is an error.
func requestFromBody(raw []byte) (r Request, err error) {
	var body struct {
		ModelID         bedrockkit.ModelID `json:"modelId"`
		Messages        []Message
		System          Contents
		InferenceConfig struct {
			MaxTokens     int
			Temperature   *float64
			TopP          *float64
			StopSequences []string
		}
		ToolConfig struct {
			Tools      []bodyTool
			ToolChoice *struct {
				Auto, Any *struct{}
				Tool      *struct{ Name string }
			}
		}
		OutputConfig struct {
			Effort     string
			TextFormat *struct {
				Type      string
				Structure struct {
					JSONSchema *struct{ Schema, Name, Description string } `json:"jsonSchema"`
				}
			}
		}
		GuardrailConfig struct {
			GuardrailIdentifier, GuardrailVersion string
			StreamProcessingMode                  bedrockkit.GuardrailStreamMode
			Trace                                 bedrockkit.GuardrailTrace
		}
		ServiceTier       struct{ Type bedrockkit.ServiceTier }
		PerformanceConfig struct{ Latency bedrockkit.Latency }
		PromptVariables   map[string]struct{ Text *string }
		RequestMetadata   map[string]string

		AdditionalModelRequestFields      json.RawMessage
		AdditionalModelResponseFieldPaths []string
	}
	if len(raw) > 0 {
		decoder := json.NewDecoder(bytes.NewReader(raw))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&body); err != nil {
			return r, fmt.Errorf("reading a request: %w", err)
		}
	}
	inference, output, guardrail := body.InferenceConfig, body.OutputConfig, body.GuardrailConfig
	r = Request{
		Model: body.ModelID, Messages: body.Messages, System: body.System, Effort: output.Effort,
		MaxTokens: inference.MaxTokens, Temperature: inference.Temperature, TopP: inference.TopP, StopSequences: inference.StopSequences,
		Guardrail:   bedrockkit.Guardrail{ID: guardrail.GuardrailIdentifier, Version: guardrail.GuardrailVersion, Trace: guardrail.Trace, StreamMode: guardrail.StreamProcessingMode},
		ServiceTier: body.ServiceTier.Type, Latency: body.PerformanceConfig.Latency, Metadata: body.RequestMetadata,
		AdditionalFields: body.AdditionalModelRequestFields, ResponseFields: body.AdditionalModelResponseFieldPaths,
	}
	for i, t := range body.ToolConfig.Tools {
		if err := t.addTo(&r); err != nil {
			return r, fmt.Errorf("tools[%d]: %w", i, err)
		}
	}
	if choice := body.ToolConfig.ToolChoice; choice != nil {
		r.ToolChoice.Any = choice.Any != nil
		if choice.Tool != nil {
			r.ToolChoice.Tool = choice.Tool.Name
		}
	}
	if f := output.TextFormat; f != nil && f.Structure.JSONSchema != nil {
		schema := f.Structure.JSONSchema
		r.OutputFormat = &OutputFormat{Schema: json.RawMessage(schema.Schema), Name: schema.Name, Description: schema.Description}
	}
	for name, value := range body.PromptVariables {
		if r.PromptVariables == nil {
			r.PromptVariables = make(map[string]string, len(body.PromptVariables))
		}
		r.PromptVariables[name] = aws.ToString(value.Text)
	}
	return r, nil
}

// A bodyTool is a tool as the body of a request has it.
type bodyTool struct {
	ToolSpec *struct {
		Name, Description string
		InputSchema       struct {
			JSON json.RawMessage `json:"json"`
		}
		Strict bool
	}
	SystemTool *struct{ Name string }
	CachePoint *struct{ Type, TTL string }
}

func (t *bodyTool) addTo(r *Request) error {
	switch {
	case t.ToolSpec != nil:
		spec := t.ToolSpec
		r.Tools = append(r.Tools, ToolSpec{Name: spec.Name, Description: spec.Description, InputSchema: spec.InputSchema.JSON, Strict: spec.Strict})
	case t.SystemTool != nil:
		r.Tools = append(r.Tools, ToolSpec{Name: t.SystemTool.Name, System: true})
	case t.CachePoint != nil && len(r.Tools) > 0:
		r.Tools[len(r.Tools)-1].CachePoint = &CachePoint{TTL: t.CachePoint.TTL}
	case t.CachePoint != nil:
		return errors.New("a cache point with no tool before it")
	default:
		return errors.New("it is empty")
	}
	return nil
}

// apiJSON is a value of the SDK's types as the API has it: the SDK has no
// serializer for responses. The names of its fields are the API's with a capital.
func apiJSON(v any) (json.RawMessage, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return appendAPIJSON(nil, raw), nil
}

func appendAPIJSON(b []byte, raw json.RawMessage) []byte {
	if list, ok := jsonscan.Entries(raw, '['); ok {
		b = append(b, '[')
		for i, m := range list {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendAPIJSON(b, m.Value)
		}
		return append(b, ']')
	}
	all, ok := jsonscan.Entries(raw, '{')
	if !ok {
		return append(b, raw...)
	}
	b = append(b, '{')
	for _, m := range all {
		if string(m.Value) == "null" {
			continue // an optional field that is not there
		}
		if b[len(b)-1] != '{' {
			b = append(b, ',')
		}
		b = append(appendString(b, strings.ToLower(m.Key[:min(1, len(m.Key))])+m.Key[min(1, len(m.Key)):]), ':')
		b = appendAPIJSON(b, m.Value)
	}
	return append(b, '}')
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
	message := types.Message{Role: member.Value.Role}
	seen := make(map[string]bool)
	for _, block := range member.Value.Content {
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
		message.Content = append(message.Content, block)
	}
	msg, err := MessageFromSDK(message)
	if err != nil {
		return nil, err
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
	if out.Metrics != nil {
		body["metrics"] = map[string]any{"latencyMs": aws.ToInt64(out.Metrics.LatencyMs)}
	}
	if out.Trace != nil {
		raw, err := apiJSON(out.Trace)
		if err != nil {
			return nil, fmt.Errorf("trace: %w", err)
		}
		body["trace"] = raw
	}
	if out.PerformanceConfig != nil {
		body["performanceConfig"] = map[string]any{"latency": out.PerformanceConfig.Latency}
	}
	return json.Marshal(body)
}
