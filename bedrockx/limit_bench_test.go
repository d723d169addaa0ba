package bedrockx

import (
	"context"
	"strings"
	"testing"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/quota"
)

// What the step costs, with and without a quota, for calls at once.
func BenchmarkLimit(b *testing.B) {
	const model bedrockkit.ModelID = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
	limiter, err := quota.New([]quota.Quota{{Model: model, TokensPerMinute: 1 << 50}})
	if err != nil {
		b.Fatal(err)
	}
	body := []byte(`{"text":"` + strings.Repeat("Which manga? ", 80) + `"}`)
	handler := limit(func(_ context.Context, call *Call) error {
		call.Usage = bedrockkit.Usage{InputTokens: 10, OutputTokens: 10}
		return nil
	})
	for _, bb := range []struct {
		name    string
		limiter *quota.Limiter
		model   bedrockkit.ModelID
	}{{"none", nil, model}, {"another model's", limiter, "amazon.nova-lite-v1:0"}, {"one", limiter, model}} {
		b.Run(bb.name, func(b *testing.B) {
			o := Options{Limiter: bb.limiter}.resolved()
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					call := &Call{Op: bedrockkit.OpConverse, Outcome: Outcome{Model: bb.model, Region: "us-east-1"}, Body: body, MaxTokens: 100, Options: &o}
					if err := handler(context.Background(), call); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}
