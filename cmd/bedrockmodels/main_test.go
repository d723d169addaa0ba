package main

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
)

func bedrockmodels(args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = run(args, &out, &errs)
	return status, out.String(), errs.String()
}

func TestTable(t *testing.T) {
	status, out, errs := bedrockmodels()
	require.Zero(t, status, errs)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	assert.Len(t, lines, len(bedrockkit.Models())+3)
	assert.Contains(t, lines[len(lines)-1], bedrockkit.ModelsDate())
	find := func(id, out string) []string {
		for line := range strings.Lines(out) {
			if f := strings.Fields(line); len(f) > 0 && f[0] == id {
				return f
			}
		}
		return nil
	}
	//                                                               converse sys  tools forced stream strict json think prefill cache img  doc  video batch count bare state
	assert.Equal(t, []string{"anthropic.claude-opus-5-5", "1000000", "128000", "+", "+", "+", "-", "+", "-", "-", "+", "-", "+", "+", "+", "-", "-", "-", "-", "active"},
		find("anthropic.claude-opus-5-5", out))
	assert.Equal(t, []string{"ended", "2026-09-10"}, find("anthropic.claude-3-haiku", out)[19:])
	assert.Equal(t, []string{"ends", "2027-01-08"}, find("anthropic.claude-opus-4-1", out)[19:])

	_, out, _ = bedrockmodels("-on", "2027-01-08")
	assert.Equal(t, []string{"ended", "2027-01-08"}, find("anthropic.claude-opus-4-1", out)[19:])
	_, out, _ = bedrockmodels("-on", "2026-09-09")
	assert.Equal(t, []string{"ends", "2026-09-10"}, find("anthropic.claude-3-haiku", out)[19:])
}

func TestFilters(t *testing.T) {
	list := func(args ...string) (all []bedrockkit.Capability) {
		status, out, errs := bedrockmodels(append(args, "-json")...)
		require.Zero(t, status, errs)
		require.NoError(t, json.Unmarshal([]byte(out), &all))
		return all
	}
	all := list()
	assert.Equal(t, bedrockkit.Models(), all, "the JSON has everything")
	living := list("-provider", "anthropic", "-living")
	assert.NotEmpty(t, living)
	for _, c := range living {
		assert.Equal(t, "anthropic", c.ID.Provider())
		assert.NotEqual(t, "ended", c.Lifecycle.State)
	}
	for _, c := range list("-feature", "tools, structured_output", "-without", "prefill") {
		assert.Equal(t, bedrockkit.Yes, c.Supports(bedrockkit.FeatureTools|bedrockkit.FeatureStructuredOutput), c.ID)
		assert.Equal(t, bedrockkit.No, c.Supports(bedrockkit.FeaturePrefill), c.ID)
	}
	one := list("-model", "us.anthropic.claude-haiku-4-5-20251001-v1:0")
	require.Len(t, one, 1)
	assert.EqualValues(t, "anthropic.claude-haiku-4-5", one[0].ID)
}

func TestOneModel(t *testing.T) {
	status, out, errs := bedrockmodels("-model", "us.anthropic.claude-opus-5-5")
	require.Zero(t, status, errs)
	assert.Regexp(t, `(?m)^features\.prefill +no +documented by card, prefill$`, out)
	assert.Regexp(t, `(?m)^features\.strict_tools +no +peer by `, out)
	assert.Contains(t, out, "Sources:\n")
	assert.Contains(t, out, "  burndown (2026-09-25): AWS User Guide")
}

func TestWrongArguments(t *testing.T) {
	for _, tt := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"-help"}, 0, "all models"},
		{[]string{"-colour"}, 2, "colour"},
		{[]string{"anthropic"}, 2, "give the id to -model"},
		{[]string{"-feature", "telepathy"}, 2, "there are system"},
		{[]string{"-on", "yesterday"}, 2, "YYYY-MM-DD"},
		{[]string{"-json", "-markdown"}, 2, "-json or -markdown"},
		{[]string{"-model", "a b"}, 2, "not allowed"},
		{[]string{"-model", "example.of-tomorrow"}, 1, "nothing is known of it"},
		{[]string{"-provider", "acme"}, 1, "the providers are"},
		{[]string{"-provider", "cohere", "-feature", "video"}, 1, "no model"},
	} {
		status, _, errs := bedrockmodels(tt.args...)
		assert.Equal(t, tt.status, status, tt.args)
		assert.Contains(t, errs, tt.want, tt.args)
	}
}

// What the quick start says of a model is what the table has: its command, the
// prefixes of its profiles, and the regions that a policy has to allow.
func TestQuickStart(t *testing.T) {
	guide, err := os.ReadFile("../../docs/quickstart.md")
	require.NoError(t, err)
	command := regexp.MustCompile(`cmd/bedrockmodels@latest (.+)`).FindSubmatch(guide)
	require.NotNil(t, command)
	status, out, errs := bedrockmodels(strings.Fields(string(command[1]))...)
	assert.Equal(t, 0, status, errs)
	assert.Contains(t, out, "us.anthropic.claude-haiku-4-5-20251001-v1:0")

	model, ok := bedrockkit.Capabilities("us.anthropic.claude-haiku-4-5-20251001-v1:0")
	require.True(t, ok)
	prefixes := regexp.MustCompile("`([a-z]+)\\.`").FindAllSubmatch(guide, -1)
	require.NotEmpty(t, prefixes)
	for _, prefix := range prefixes {
		_, ok := model.Profile(string(prefix[1]))
		assert.True(t, ok, "the model has no profile %s.", prefix[1])
	}
	profile, ok := model.Profile("us")
	require.True(t, ok)
	want, ok := profile.Destinations("us-east-1")
	require.True(t, ok)
	var allowed []string
	for _, arn := range regexp.MustCompile(`arn:aws:bedrock:([a-z0-9-]+)::foundation-model`).FindAllSubmatch(guide, -1) {
		allowed = append(allowed, string(arn[1]))
	}
	assert.ElementsMatch(t, want, allowed)
}

// The table in the guide is what the program prints.
func TestGuideHasTheTable(t *testing.T) {
	_, want, _ := bedrockmodels("-markdown", "-living")
	guide, err := os.ReadFile("../../docs/models.md")
	require.NoError(t, err)
	const begin, end = "<!-- go run ./cmd/bedrockmodels -markdown -living -->\n", "<!-- end -->"
	_, got, found := strings.Cut(string(guide), begin)
	require.True(t, found)
	got, _, found = strings.Cut(got, end)
	require.True(t, found)
	assert.Equal(t, want, got, "print the table again")
}
