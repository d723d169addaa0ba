package main

import (
	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/batch"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/anthropic"
	"github.com/mangaassist/bedrockkit/bedrockx/cohere"
	"github.com/mangaassist/bedrockkit/bedrockx/llama"
	"github.com/mangaassist/bedrockkit/bedrockx/nova"
	"github.com/mangaassist/bedrockkit/bedrockx/openai"
	"github.com/mangaassist/bedrockkit/bedrockx/titan"
	"github.com/mangaassist/bedrockkit/internal/family"
)

// kinds are what the records of a model can be, by the name of the body.
var kinds = map[string]kind{
	"anthropic.Request":       of[anthropic.Request](),
	"cohere.EmbedRequest":     of[cohere.EmbedRequest](),
	"llama.Request":           of[llama.Request](),
	"nova.Request":            of[nova.Request](),
	"openai.Request":          of[openai.Request](),
	"titan.EmbedRequest":      of[titan.EmbedRequest](),
	"titan.MultimodalRequest": of[titan.MultimodalRequest](),
	"titan.TextRequest":       of[titan.TextRequest](),
}

// kindOf is what the records of a model are, so that each is checked by the rules
// of its family. A model that none of these is for takes any JSON object.
func kindOf(model bedrockkit.ModelID, typ batch.Type) kind {
	if typ == batch.TypeConverse {
		return of[batch.Converse]()
	}
	for _, f := range []family.Family{
		anthropic.Family, cohere.Family, llama.Family, nova.Family, openai.Family, titan.Family,
	} {
		for _, body := range f.Bodies {
			if k, ok := kinds[body.Name]; ok && body.Takes(model) {
				return k
			}
		}
	}
	return of[bedrockx.Raw]()
}
