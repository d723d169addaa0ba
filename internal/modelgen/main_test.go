package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
)

func TestShippedTableIsWhatTheSourcesMake(t *testing.T) {
	want, err := generate("source")
	require.NoError(t, err)
	got, err := os.ReadFile("../../models.json")
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got), "run go generate in the module's root")
}

// An adjustment names a model that there is, has a reason, and never makes a no
// of what is only inferred.
func TestAdjustmentsAreChecked(t *testing.T) {
	fact := bedrockkit.Fact{Confidence: "peer", Sources: []string{"s"}}
	newBuild := func() *build {
		return &build{sources: map[string]bedrockkit.ModelSource{"s": {Title: "a page", Date: "2026-11"}},
			rows: map[bedrockkit.ModelID]*bedrockkit.Capability{"a.b": {ID: "a.b", Facts: map[string]bedrockkit.Fact{}}}}
	}
	b := newBuild()
	require.NoError(t, b.adjust(adjustment{Why: "w", Models: []bedrockkit.ModelID{"a.b"}, No: bedrockkit.FeatureTools, Fact: fact,
		Set: map[string]any{"thinking": map[string]any{"kind": "fixed"}, "max_output": 9}}))
	assert.Equal(t, bedrockkit.No, b.rows["a.b"].Supports(bedrockkit.FeatureTools))
	assert.Equal(t, 9, b.rows["a.b"].MaxOutput)
	assert.Equal(t, map[string]bedrockkit.Fact{"features.tools": fact, "thinking": fact, "max_output": fact}, b.rows["a.b"].Facts)
	_, err := b.encode()
	require.NoError(t, err)

	assert.ErrorContains(t, b.adjust(adjustment{Models: []bedrockkit.ModelID{"a.b"}}), "no reason")
	assert.ErrorContains(t, b.adjust(adjustment{Why: "w", Models: []bedrockkit.ModelID{"a.c"}}), "no model")
	assert.ErrorContains(t, b.adjust(adjustment{Why: "w", Models: []bedrockkit.ModelID{"a.b"}, Set: map[string]any{"colour": 1}}), "colour")

	fact.Confidence = "inferred"
	require.NoError(t, b.adjust(adjustment{Why: "w", Models: []bedrockkit.ModelID{"a.b"}, No: bedrockkit.FeatureImages, Fact: fact}))
	_, err = b.encode()
	assert.ErrorContains(t, err, "inferred")

	b = newBuild()
	fact = bedrockkit.Fact{Confidence: "peer", Sources: []string{"another"}}
	require.NoError(t, b.adjust(adjustment{Why: "w", Models: []bedrockkit.ModelID{"a.b"}, Yes: bedrockkit.FeatureImages, Fact: fact}))
	_, err = b.encode()
	assert.ErrorContains(t, err, "not described")
}

// What is only inferred to be absent stays unknown.
func TestInferredAbsenceIsUnknown(t *testing.T) {
	b := &build{}
	c := &bedrockkit.Capability{Facts: map[string]bedrockkit.Fact{}}
	b.set(c, bedrockkit.FeatureImages, bedrockkit.No, bedrockkit.Fact{Confidence: "inferred"})
	b.set(c, bedrockkit.FeatureTools, bedrockkit.Yes, bedrockkit.Fact{Confidence: "inferred"})
	b.set(c, bedrockkit.FeatureTools, bedrockkit.No, bedrockkit.Fact{Confidence: "documented"})
	assert.Equal(t, bedrockkit.Unknown, c.Supports(bedrockkit.FeatureImages))
	assert.Equal(t, bedrockkit.Yes, c.Supports(bedrockkit.FeatureTools), "an earlier source wins")
}
