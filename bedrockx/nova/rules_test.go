package nova_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/nova"
)

func TestRulesOfModels(t *testing.T) {
	const nova2, micro, unheard = "us.amazon.nova-2-lite-v1:0", "amazon.nova-micro-v1:0", "amazon.nova-9-v1:0"
	high := &nova.ReasoningConfig{Type: "enabled", MaxReasoningEffort: "high"}
	picture := nova.Message{Role: "user", Content: []nova.Block{{Image: &nova.Media{Format: "png", Source: nova.MediaSource{Bytes: []byte("x")}}}}}
	ask := func(config nova.InferenceConfig, messages ...nova.Message) nova.Request {
		return nova.Request{Messages: append(messages, nova.User("hello")), InferenceConfig: config}
	}
	for name, tt := range map[string]struct {
		model bedrockkit.ModelID
		in    nova.Request
		want  string
	}{
		"high without max tokens":      {nova2, ask(nova.InferenceConfig{ReasoningConfig: high}), ""},
		"high beside max tokens":       {nova2, ask(nova.InferenceConfig{ReasoningConfig: high, MaxTokens: 100}), "beside the reasoning effort high"},
		"high beside a temperature":    {nova2, ask(nova.InferenceConfig{ReasoningConfig: high, Temperature: new(float64)}), "beside the reasoning effort high"},
		"high beside top p":            {nova2, ask(nova.InferenceConfig{ReasoningConfig: high, TopP: new(float64)}), "beside the reasoning effort high"},
		"low beside max tokens":        {nova2, ask(nova.InferenceConfig{ReasoningConfig: &nova.ReasoningConfig{Type: "enabled", MaxReasoningEffort: "low"}, MaxTokens: 100}), ""},
		"reasoning of another":         {micro, ask(nova.InferenceConfig{ReasoningConfig: high}), "amazon.nova-micro does not reason"},
		"no reasoning of another":      {micro, ask(nova.InferenceConfig{ReasoningConfig: &nova.ReasoningConfig{Type: "disabled"}}), ""},
		"a picture":                    {micro, ask(nova.InferenceConfig{}, picture), "content[0].image: amazon.nova-micro takes none"},
		"a picture to one not known":   {unheard, ask(nova.InferenceConfig{}, picture), ""},
		"any effort, one not known":    {unheard, ask(nova.InferenceConfig{ReasoningConfig: &nova.ReasoningConfig{Type: "enabled", MaxReasoningEffort: "xhigh"}}), ""},
		"a picture to one that has it": {nova2, ask(nova.InferenceConfig{}, picture), ""},
	} {
		c, _ := bedrockkit.Capabilities(tt.model)
		if err := tt.in.CheckModel(c); tt.want == "" {
			assert.NoError(t, err, name)
		} else {
			assert.ErrorContains(t, err, tt.want, name)
		}
	}

	srv := bedrocktest.NewServer(t)
	client := bedrockx.New(srv.Client())
	_, err := bedrockx.Invoke(t.Context(), client, nova2, ask(nova.InferenceConfig{ReasoningConfig: high, MaxTokens: 100}))
	require.ErrorIs(t, err, bedrockx.ErrValidation)
	assert.Empty(t, srv.Requests(), "it is found before anything is sent")
}
