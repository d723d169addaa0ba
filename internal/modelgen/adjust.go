package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/mangaassist/bedrockkit"
)

// adjustments is adjustments.json: what we add to the collection or change in
// it, each with the reason.
type adjustments struct {
	Sources     map[string]bedrockkit.ModelSource `json:"sources"`
	Defaults    map[string]bedrockkit.Fact        `json:"defaults"`
	Adjustments []adjustment                      `json:"adjustments"`
}

type adjustment struct {
	Why    string               `json:"why"`
	Models []bedrockkit.ModelID `json:"models"`

	// Yes, No and Unknown change features.
	Yes     bedrockkit.Feature `json:"yes"`
	No      bedrockkit.Feature `json:"no"`
	Unknown bedrockkit.Feature `json:"unknown"`

	// Set is merged into the row, as RFC 7386 says.
	Set map[string]any `json:"set"`

	bedrockkit.Fact
}

func (b *build) adjust(a adjustment) error {
	if a.Why == "" || len(a.Models) == 0 {
		return errors.New("it has no reason or no models")
	}
	for _, id := range a.Models {
		c := b.rows[id]
		if c == nil {
			return fmt.Errorf("there is no model %q", id)
		}
		changed := a.Yes | a.No | a.Unknown
		c.Features.Yes, c.Features.No = c.Features.Yes&^changed|a.Yes, c.Features.No&^changed|a.No
		for _, name := range changed.Names() {
			delete(c.Facts, "features."+name)
		}
		for _, name := range (a.Yes | a.No).Names() {
			c.Facts["features."+name] = a.Fact
		}
		if err := b.merge(c, a); err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
	}
	return nil
}

func (b *build) merge(c *bedrockkit.Capability, a adjustment) error {
	if len(a.Set) == 0 {
		return nil
	}
	data, err := json.Marshal(c)
	if err != nil {
		return err
	}
	var row map[string]any
	if err := json.Unmarshal(data, &row); err != nil {
		return err
	}
	if data, err = json.Marshal(mergePatch(row, a.Set)); err != nil {
		return err
	}
	var merged bedrockkit.Capability
	if err := strict(data, &merged); err != nil {
		return err
	}
	if merged.Facts == nil {
		merged.Facts = map[string]bedrockkit.Fact{}
	}
	for field, v := range a.Set {
		parts, nested := v.(map[string]any)
		switch _, whole := c.Facts[field]; {
		case field == "note":
		case nested && whole:
			for _, part := range slices.Sorted(maps.Keys(parts)) {
				merged.Facts[field+"."+part] = a.Fact
			}
		default:
			merged.Facts[field] = a.Fact
		}
	}
	*c = merged
	return nil
}

// mergePatch is RFC 7386.
func mergePatch(target, patch map[string]any) map[string]any {
	if target == nil {
		target = map[string]any{}
	}
	for k, v := range patch {
		if v == nil {
			delete(target, k)
		} else if p, ok := v.(map[string]any); ok {
			t, _ := target[k].(map[string]any)
			target[k] = mergePatch(t, p)
		} else {
			target[k] = v
		}
	}
	return target
}
