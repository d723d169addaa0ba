package converse

import "github.com/mangaassist/bedrockkit"

// known is what the table says of a model.
func known(id bedrockkit.ModelID) *subject { return subjectIn(bedrockkit.Capabilities, id) }

func subjectIn(table func(bedrockkit.ModelID) (bedrockkit.Capability, bool), id bedrockkit.ModelID) *subject {
	s := subjectOf(id, table)
	return &s
}
