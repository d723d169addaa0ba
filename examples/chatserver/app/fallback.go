package app

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/examples/chatserver/assistant"
)

// fallback lets another model answer if the one that was asked is throttled, or
// fails, before it has said the first word. After that the answer would change in
// the middle.
func (b *builder) fallback(context.Context) (func(*assistant.Options), error) {
	var targets []bedrockx.Target
	switch b.Fallback {
	case "off":
		b.say("fallback", "off")
		return func(*assistant.Options) {}, nil
	case "other":
		// The one that was asked is left out.
		targets = []bedrockx.Target{{Model: b.models["haiku"]}, {Model: b.models["sonnet"]}}
		b.say("fallback", "haiku and sonnet stand in for each other, before the first word")
	default:
		for text := range strings.SplitSeq(b.Fallback, ",") {
			name, region, elsewhere := strings.Cut(strings.TrimSpace(text), "@")
			target := bedrockx.Target{Model: bedrockkit.ModelID(name)}
			if err := target.Model.Validate(); err != nil {
				return nil, fmt.Errorf("-fallback is off, other, or models such as MODEL,MODEL@REGION: %w", err)
			}
			if elsewhere {
				target.API = bedrockruntime.NewFromConfig(b.model.cfg, func(o *bedrockruntime.Options) { o.Region = region })
			}
			targets = append(targets, target)
		}
		b.say("fallback", "%s, before the first word", b.Fallback)
	}
	return func(o *assistant.Options) {
		o.Chat = append(o.Chat, converse.Call(func(o *bedrockx.Options) { o.Fallback = targets }))
	}, nil
}
