package openai_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/openai"
)

var look = openai.Tool{Function: openai.Function{Name: "look", Parameters: json.RawMessage(`{"type":"object"}`)}}

// demands are what some models take and others refuse.
func demands() map[string]openai.Request {
	yes := true
	strict := look
	strict.Function.Strict = &yes
	user := []openai.Message{openai.User("hello")}
	return map[string]openai.Request{
		"nothing":         {Messages: user},
		"effort none":     {Messages: user, ReasoningEffort: "none"},
		"effort minimal":  {Messages: user, ReasoningEffort: "minimal"},
		"effort medium":   {Messages: user, ReasoningEffort: "medium"},
		"effort max":      {Messages: user, ReasoningEffort: "max"},
		"a schema":        {Messages: user, ResponseFormat: openai.JSON("x", json.RawMessage(`{"type":"object","additionalProperties":false}`))},
		"tools":           {Messages: user, Tools: []openai.Tool{look}},
		"strict tools":    {Messages: user, Tools: []openai.Tool{strict}},
		"a tool required": {Messages: user, Tools: []openai.Tool{look}, ToolChoice: &openai.ToolChoice{Mode: "required"}},
		"a tool by name":  {Messages: user, Tools: []openai.Tool{look}, ToolChoice: &openai.ToolChoice{Name: "look"}},
		"an image":        {Messages: []openai.Message{{Role: "user", Content: openai.Content{openai.Image("image/png", []byte("x"))}}}},
	}
}

// What CheckModel refuses is what the fake refuses, of every model of the table
// that takes the body.
func TestRulesAgreeWithTheService(t *testing.T) {
	srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) {
		o.Responder, o.AllowEnded, o.KeepRequests = bedrocktest.Echo, true, -1
		o.Ignore = []bedrocktest.Rule{bedrocktest.RuleModel, bedrocktest.RuleAction, bedrocktest.RuleOnDemand}
	})
	// Without knowledge of models everything goes out.
	client := bedrockx.New(srv.Client(), func(o *bedrockx.Options) {
		o.Capabilities = func(bedrockkit.ModelID) (bedrockkit.Capability, bool) { return bedrockkit.Capability{}, false }
		o.MaxAttempts = 1
	})
	models, refused := 0, 0
	for _, c := range bedrockkit.Models() {
		if len(c.IDs) == 0 {
			continue
		}
		model := c.IDs[0]
		if _, err := demands()["nothing"].EncodeInvoke(model); err != nil {
			continue // it takes another body
		}
		models++
		for name, request := range demands() {
			_, err := bedrockx.Invoke(t.Context(), client, model, request)
			var e *bedrockx.Error
			if err != nil {
				require.True(t, errors.As(err, &e), "%s: %v", model, err)
				require.Equal(t, bedrockx.KindValidation, e.Kind, "%s, %s: %v", model, name, err)
				refused++
			}
			check := request.CheckModel(c)
			assert.Equal(t, err == nil, check == nil, "%s, %s: the service %v, the check %v", model, name, err, check)
		}
	}
	assert.Greater(t, models, 20)
	assert.Greater(t, refused, 20)
}
