package cohere

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/internal/family"
)

// ChatRequest is the body of a request to Command R and Command R+. Message is
// required, unless the request brings ToolResults.
type ChatRequest struct {
	Message           string              `json:"message"`
	ChatHistory       []ChatMessage       `json:"chat_history,omitempty"` // what was said before
	Preamble          string              `json:"preamble,omitempty"`     // the system prompt
	Documents         []map[string]string `json:"documents,omitempty"`    // to be cited: "title", "snippet" and others
	SearchQueriesOnly bool                `json:"search_queries_only,omitempty"`
	PromptTruncation  string              `json:"prompt_truncation,omitempty"` // "OFF" (default) or "AUTO_PRESERVE_ORDER"
	MaxTokens         int                 `json:"max_tokens,omitempty"`        // default: what the model gives
	Temperature       *float64            `json:"temperature,omitempty"`       // 0 to 1, default 0.3
	P                 *float64            `json:"p,omitempty"`                 // 0.01 to 0.99, default 0.75
	K                 *float64            `json:"k,omitempty"`                 // 0 (default) to 500
	FrequencyPenalty  *float64            `json:"frequency_penalty,omitempty"` // 0 to 1
	PresencePenalty   *float64            `json:"presence_penalty,omitempty"`  // 0 to 1
	Seed              *int64              `json:"seed,omitempty"`
	StopSequences     []string            `json:"stop_sequences,omitempty"`
	Tools             []Tool              `json:"tools,omitempty"`
	ToolResults       []ToolResult        `json:"tool_results,omitempty"`
	ReturnPrompt      bool                `json:"return_prompt,omitempty"`
	RawPrompting      bool                `json:"raw_prompting,omitempty"`

	Extra map[string]json.RawMessage `json:"-"` // fields of the body that are not above
}

// ChatMessage is a turn of the conversation so far.
type ChatMessage struct {
	Role      string     `json:"role"` // "USER" or "CHATBOT"
	Message   string     `json:"message"`
	ToolCalls []ToolCall `json:"tool_calls,omitempty"`
}

// Tool is a tool that the model may use.
type Tool struct {
	Name                 string               `json:"name"`
	Description          string               `json:"description"`
	ParameterDefinitions map[string]Parameter `json:"parameter_definitions,omitempty"`
}

// Parameter is a parameter of a tool.
type Parameter struct {
	Description string `json:"description,omitempty"`
	Type        string `json:"type"` // "str", "int", "float", "bool", "List[str]"…
	Required    bool   `json:"required,omitempty"`
}

// ToolCall is a call that the model wants. It has no id: its result repeats
// the call.
type ToolCall struct {
	Name       string          `json:"name"`
	Parameters json.RawMessage `json:"parameters"` // a JSON object
}

// ToolResult is what a tool gave for a call, as JSON objects.
type ToolResult struct {
	Call    ToolCall          `json:"call"`
	Outputs []json.RawMessage `json:"outputs"`
}

// ChatResponse is the body of a response.
type ChatResponse struct {
	ResponseID       string        `json:"response_id"`
	GenerationID     string        `json:"generation_id"`
	Text             string        `json:"text"`
	FinishReason     string        `json:"finish_reason"` // "COMPLETE", "MAX_TOKENS"…; see [StopReason]
	Citations        []Citation    `json:"citations,omitempty"`
	ToolCalls        []ToolCall    `json:"tool_calls,omitempty"`
	IsSearchRequired bool          `json:"is_search_required,omitempty"`
	SearchQueries    []Query       `json:"search_queries,omitempty"`
	ChatHistory      []ChatMessage `json:"chat_history,omitempty"` // with this turn
	Prompt           string        `json:"prompt,omitempty"`       // where ReturnPrompt asked for it

	Extra map[string]json.RawMessage `json:"-"` // fields of the body that are not above
}

// Citation is a part of the text and the documents that it comes from.
type Citation struct {
	Start       int      `json:"start"` // characters; End is the first one that does not belong to it
	End         int      `json:"end"`
	Text        string   `json:"text"`
	DocumentIDs []string `json:"document_ids"`
}

// Query is what the model would search for.
type Query struct {
	Text         string `json:"text"`
	GenerationID string `json:"generation_id"`
}

// StopReason translates a finish reason into a stop reason of Converse; one
// that means nothing else passes through.
func StopReason(finish string) bedrockkit.StopReason {
	switch finish {
	case "COMPLETE":
		return bedrockkit.StopEndTurn
	case "MAX_TOKENS":
		return bedrockkit.StopMaxTokens
	case "STOP_SEQUENCE":
		return bedrockkit.StopSequence
	case "ERROR_TOXIC":
		return bedrockkit.StopContentFiltered
	case "ERROR_LIMIT":
		return bedrockkit.StopContextWindowExceeded
	case "ERROR":
		return bedrockkit.StopMalformedModelOutput
	}
	return bedrockkit.StopReason(finish)
}

// MaxOutputTokens is MaxTokens; 0 stands for the most that the model gives.
func (r ChatRequest) MaxOutputTokens() int { return r.MaxTokens }

// EncodeInvoke returns the body. Its errors name the field that is wrong.
func (r ChatRequest) EncodeInvoke(model bedrockkit.ModelID) (json.RawMessage, error) {
	if err := chats.Check(model); err != nil {
		return nil, err
	}
	switch {
	case strings.TrimSpace(r.Message) == "" && len(r.ToolResults) == 0:
		return nil, errors.New("message is empty")
	case r.MaxTokens < 0:
		return nil, fmt.Errorf("max_tokens is %d; it is at least 1, or 0 for the service's default", r.MaxTokens)
	case len(r.ToolResults) > 0 && len(r.Tools) == 0:
		return nil, errors.New("tool_results without tools; give the tools of the call again")
	}
	for i, m := range r.ChatHistory {
		if m.Role != "USER" && m.Role != "CHATBOT" {
			return nil, fmt.Errorf("chat_history[%d].role is %q; it is USER or CHATBOT", i, m.Role)
		}
	}
	for i, tool := range r.Tools {
		if tool.Name == "" {
			return nil, fmt.Errorf("tools[%d] has no name", i)
		}
	}
	err := errors.Join(
		family.Between("temperature", r.Temperature, 0, 1), family.Between("p", r.P, 0, 1), family.Between("k", r.K, 0, 500),
		family.Between("frequency_penalty", r.FrequencyPenalty, 0, 1), family.Between("presence_penalty", r.PresencePenalty, 0, 1))
	if err != nil {
		return nil, err
	}
	return r.MarshalJSON()
}

// DecodeInvoke reads the body of a response.
func (r ChatRequest) DecodeInvoke(body json.RawMessage) (ChatResponse, bedrockkit.Usage, bedrockkit.StopReason, error) {
	var resp ChatResponse
	unknown := bedrockkit.Usage{Unknown: true}
	if err := resp.UnmarshalJSON(body); err != nil {
		return resp, unknown, "", fmt.Errorf("reading the response: %w", err)
	}
	if resp.FinishReason == "" && resp.Text == "" && len(resp.ToolCalls) == 0 && len(resp.SearchQueries) == 0 {
		return resp, unknown, "", errors.New("the response has neither a text nor a finish reason")
	}
	stop := StopReason(resp.FinishReason)
	if stop == bedrockkit.StopEndTurn && len(resp.ToolCalls) > 0 {
		stop = bedrockkit.StopToolUse
	}
	return resp, unknown, stop, nil
}

type (
	plainChatRequest  ChatRequest
	plainChatResponse ChatResponse
)

// MarshalJSON writes the body as the model takes it.
func (r ChatRequest) MarshalJSON() ([]byte, error) {
	return family.Marshal(plainChatRequest(r), r.Extra)
}

// UnmarshalJSON reads a body.
func (r *ChatRequest) UnmarshalJSON(data []byte) (err error) {
	r.Extra, err = family.Unmarshal(data, (*plainChatRequest)(r))
	return err
}

// MarshalJSON writes the body as it came.
func (r ChatResponse) MarshalJSON() ([]byte, error) {
	return family.Marshal(plainChatResponse(r), r.Extra)
}

// UnmarshalJSON reads a body.
func (r *ChatResponse) UnmarshalJSON(data []byte) (err error) {
	r.Extra, err = family.Unmarshal(data, (*plainChatResponse)(r))
	return err
}
