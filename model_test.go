package bedrockkit_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
)

func TestModelIDParse(t *testing.T) {
	tests := []struct {
		id     bedrockkit.ModelID
		kind   bedrockkit.Kind
		base   bedrockkit.ModelID
		scope  bedrockkit.Scope
		prefix string
		region string
	}{
		{"anthropic.claude-haiku-4-5-20251001-v1:0", bedrockkit.KindFoundationModel, "anthropic.claude-haiku-4-5-20251001-v1:0", bedrockkit.ScopeRegion, "", ""},
		{"amazon.nova-lite-v1:0:300k", bedrockkit.KindFoundationModel, "amazon.nova-lite-v1:0:300k", bedrockkit.ScopeRegion, "", ""},
		{"us.amazon.nova-lite-v1:0", bedrockkit.KindInferenceProfile, "amazon.nova-lite-v1:0", bedrockkit.ScopeGeographic, "us", ""},
		{"us-gov.anthropic.claude-haiku-4-5-20251001-v1:0", bedrockkit.KindInferenceProfile, "anthropic.claude-haiku-4-5-20251001-v1:0", bedrockkit.ScopeGeographic, "us-gov", ""},
		{"jp.anthropic.claude-sonnet-4-5-20250929-v1:0", bedrockkit.KindInferenceProfile, "anthropic.claude-sonnet-4-5-20250929-v1:0", bedrockkit.ScopeGeographic, "jp", ""},
		{"global.anthropic.claude-haiku-4-5-20251001-v1:0", bedrockkit.KindInferenceProfile, "anthropic.claude-haiku-4-5-20251001-v1:0", bedrockkit.ScopeGlobal, "global", ""},
		{"arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-haiku-4-5-20251001-v1:0", bedrockkit.KindFoundationModel, "anthropic.claude-haiku-4-5-20251001-v1:0", bedrockkit.ScopeRegion, "", "us-east-1"},
		{"arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.amazon.nova-lite-v1:0", bedrockkit.KindInferenceProfile, "amazon.nova-lite-v1:0", bedrockkit.ScopeGeographic, "eu", "eu-west-1"},
		{"arn:aws:bedrock:us-east-1:123456789012:inference-profile/global.anthropic.claude-haiku-4-5-20251001-v1:0", bedrockkit.KindInferenceProfile, "anthropic.claude-haiku-4-5-20251001-v1:0", bedrockkit.ScopeGlobal, "global", "us-east-1"},
		{"arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3d4e5f6", bedrockkit.KindApplicationProfile, "", bedrockkit.ScopeUnknown, "", "us-east-1"},
		{"arn:aws:bedrock:us-east-1:123456789012:provisioned-model/a1b2c3d4e5f6", bedrockkit.KindProvisionedModel, "", bedrockkit.ScopeUnknown, "", "us-east-1"},
		{"arn:aws:bedrock:us-east-1:123456789012:imported-model/a1b2c3d4e5f6", bedrockkit.KindImportedModel, "", bedrockkit.ScopeUnknown, "", "us-east-1"},
		{"arn:aws-us-gov:bedrock:us-gov-west-1::foundation-model/amazon.titan-embed-text-v2:0", bedrockkit.KindFoundationModel, "amazon.titan-embed-text-v2:0", bedrockkit.ScopeRegion, "", "us-gov-west-1"},
	}
	for _, tt := range tests {
		t.Run(string(tt.id), func(t *testing.T) {
			got, err := tt.id.Parse()
			require.NoError(t, err)
			assert.Equal(t, tt.id, got.ID)
			assert.Equal(t, tt.kind, got.Kind)
			assert.Equal(t, tt.base, got.Base)
			assert.Equal(t, tt.scope, got.Scope)
			assert.Equal(t, tt.prefix, got.Prefix)
			assert.Equal(t, tt.region, got.Region)
			assert.Equal(t, tt.base, tt.id.Base())
		})
	}
}

func TestModelIDRefused(t *testing.T) {
	tests := map[string]bedrockkit.ModelID{
		"empty":                       "",
		"a space":                     "anthropic.claude 3",
		"a line break":                "anthropic.claude\n",
		"not ASCII":                   "anthropic.クロード",
		"no provider":                 "claude-haiku-4-5",
		"a prefix and no model":       "us.anthropic",
		"two prefixes":                "us.eu.amazon.nova-lite-v1:0",
		"a slash":                     "us/anthropic.claude",
		"nothing behind provider":     "anthropic.",
		"a short ARN":                 "arn:aws:bedrock:us-east-1",
		"another service":             "arn:aws:s3:::bucket/key",
		"an unknown kind":             "arn:aws:bedrock:us-east-1:1:guardrail/abc",
		"a provider with a colon":     "arn:aws:bedrock:us-east-1:1:inference-profile/eu.arn:aw.nova-lite-v1:0",
		"no name":                     "arn:aws:bedrock:us-east-1::foundation-model/",
		"a profile called a model":    "arn:aws:bedrock:us-east-1::foundation-model/us.amazon.nova-lite-v1:0",
		"a model called a profile":    "arn:aws:bedrock:us-east-1:1:inference-profile/amazon.nova-lite-v1:0",
		"longer than Bedrock's bound": bedrockkit.ModelID("a." + strings.Repeat("b", 2048)),
	}
	for name, id := range tests {
		t.Run(name, func(t *testing.T) {
			err := id.Validate()
			var invalid *bedrockkit.InvalidModelIDError
			require.True(t, errors.As(err, &invalid), "%v", err)
			assert.Equal(t, id, invalid.ID)
			assert.NotEmpty(t, invalid.Reason)
			assert.Less(t, len(err.Error()), 400)
			assert.Empty(t, id.Base())
			assert.Empty(t, id.Provider())
		})
	}
}

func FuzzModelIDParse(f *testing.F) {
	f.Add("us.anthropic.claude-haiku-4-5-20251001-v1:0")
	f.Add("arn:aws:bedrock:us-east-1:123456789012:inference-profile/eu.amazon.nova-lite-v1:0")
	f.Fuzz(func(t *testing.T, s string) {
		ident, err := bedrockkit.ModelID(s).Parse()
		if err != nil {
			return
		}
		if ident.Base != "" {
			if again, err := ident.Base.Parse(); err != nil {
				t.Fatalf("the base %q of %q is not valid: %v", ident.Base, s, err)
			} else if again.Prefix == "" && again.Base != ident.Base {
				t.Fatalf("the base of %q is %q, and its base %q", s, ident.Base, again.Base)
			}
		}
	})
}

func TestParseConverseUsage(t *testing.T) {
	tests := []struct {
		name, json string
		want       bedrockkit.Usage
	}{
		{"plain", `{"inputTokens":10,"outputTokens":20,"totalTokens":30}`, bedrockkit.Usage{InputTokens: 10, OutputTokens: 20}},
		{"writes without details are of five minutes", `{"inputTokens":1,"outputTokens":2,"cacheReadInputTokens":3,"cacheWriteInputTokens":4}`,
			bedrockkit.Usage{InputTokens: 1, OutputTokens: 2, CacheReadTokens: 3, CacheWrite5mTokens: 4}},
		{"writes by TTL", `{"inputTokens":1,"outputTokens":2,"cacheWriteInputTokens":10,"cacheDetails":[{"ttl":"1h","inputTokens":7},{"ttl":"5m","inputTokens":3}]}`,
			bedrockkit.Usage{InputTokens: 1, OutputTokens: 2, CacheWrite5mTokens: 3, CacheWrite1hTokens: 7}},
		{"the cache beside the input", `{"inputTokens":10,"outputTokens":5,"totalTokens":215,"cacheReadInputTokens":150,"cacheWriteInputTokens":50}`,
			bedrockkit.Usage{InputTokens: 10, OutputTokens: 5, CacheReadTokens: 150, CacheWrite5mTokens: 50}},
		{"the cache within the input, as OpenAI's models count", `{"inputTokens":210,"outputTokens":5,"totalTokens":215,"cacheReadInputTokens":150,"cacheWriteInputTokens":50}`,
			bedrockkit.Usage{InputTokens: 10, OutputTokens: 5, CacheReadTokens: 150, CacheWrite5mTokens: 50}},
		{"the same, by TTL", `{"inputTokens":210,"outputTokens":5,"totalTokens":215,"cacheReadInputTokens":150,"cacheWriteInputTokens":50,"cacheDetails":[{"ttl":"30m","inputTokens":50}]}`,
			bedrockkit.Usage{InputTokens: 10, OutputTokens: 5, CacheReadTokens: 150, CacheWrite30mTokens: 50}},
		{"no counts", `{}`, bedrockkit.Usage{Unknown: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := bedrockkit.ParseConverseUsage([]byte(tt.json))
			require.NoError(t, err)
			assert.Equal(t, tt.want, got)
		})
	}
	for _, bad := range []string{`[]`, `{"inputTokens":-1}`, `{"inputTokens":1,"cacheDetails":[{"ttl":"1h","inputTokens":7}]}`, `{"inputTokens":1.5}`,
		`{"inputTokens":5,"outputTokens":1,"totalTokens":6,"cacheReadInputTokens":9}`, `{"inputTokens":9223372036854775807}`} {
		_, err := bedrockkit.ParseConverseUsage([]byte(bad))
		assert.Error(t, err, bad)
	}
}

func TestServedTier(t *testing.T) {
	for _, tt := range []struct {
		tier    bedrockkit.ServiceTier
		latency bedrockkit.Latency
		want    bedrockkit.ServiceTier
	}{
		{"", "", ""}, {"", "standard", ""}, {"priority", "standard", "priority"}, {"", "optimized", bedrockkit.TierOptimized},
		{bedrockkit.TierStandard, "optimized", bedrockkit.TierOptimized}, {"priority", "optimized", "priority+optimized"},
	} {
		assert.Equal(t, tt.want, bedrockkit.ServedTier(tt.tier, tt.latency))
	}
}

func TestUsageSums(t *testing.T) {
	u := bedrockkit.Usage{InputTokens: 1, OutputTokens: 2, CacheReadTokens: 4, CacheWrite5mTokens: 8, CacheWrite1hTokens: 16, CacheWrite30mTokens: 32}
	assert.EqualValues(t, 61, u.TotalInput())
	assert.EqualValues(t, 63, u.Total())
	assert.Equal(t, bedrockkit.Usage{InputTokens: 2, OutputTokens: 4, CacheReadTokens: 8, CacheWrite5mTokens: 16, CacheWrite1hTokens: 32, CacheWrite30mTokens: 64}, u.Add(u))
	assert.True(t, u.Add(bedrockkit.Usage{Unknown: true}).Unknown)
}

func ExampleModelID_Parse() {
	ident, err := bedrockkit.ModelID("global.anthropic.claude-haiku-4-5-20251001-v1:0").Parse()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(ident.Kind, ident.Scope, ident.Base)
	// Output: inference-profile global anthropic.claude-haiku-4-5-20251001-v1:0
}
