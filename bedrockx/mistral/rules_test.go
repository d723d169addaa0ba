package mistral_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/mistral"
)

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
	user := []mistral.Message{mistral.User("hello")}
	tools := []mistral.Tool{{Function: mistral.Function{Name: "look", Parameters: json.RawMessage(`{"type":"object"}`)}}}
	requests := map[string]mistral.ChatRequest{
		"nothing":  {Messages: user},
		"tools":    {Messages: user, Tools: tools},
		"any tool": {Messages: user, Tools: tools, ToolChoice: json.RawMessage(`"any"`)},
		"an image": {Messages: []mistral.Message{{Role: "user", Content: mistral.Content{{Type: "image_url", ImageURL: &mistral.ImageURL{URL: "data:image/png;base64,eA=="}}}}}},
	}
	models, refused := 0, 0
	for _, c := range bedrockkit.Models() {
		if len(c.IDs) == 0 {
			continue
		}
		if _, err := requests["nothing"].EncodeInvoke(c.IDs[0]); err != nil {
			continue // it takes another body
		}
		models++
		for name, request := range requests {
			_, err := bedrockx.Invoke(t.Context(), client, c.IDs[0], request)
			var e *bedrockx.Error
			if err != nil {
				require.True(t, errors.As(err, &e), "%s: %v", c.ID, err)
				require.Equal(t, bedrockx.KindValidation, e.Kind, "%s, %s: %v", c.ID, name, err)
				refused++
			}
			check := request.CheckModel(c)
			assert.Equal(t, err == nil, check == nil, "%s, %s: the service %v, the check %v", c.ID, name, err, check)
		}
	}
	assert.Positive(t, models)
	assert.Positive(t, refused)
}
