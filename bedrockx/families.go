package bedrockx

import (
	"bytes"
	"encoding/json"
	"reflect"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx/anthropic"
	"github.com/mangaassist/bedrockkit/bedrockx/cohere"
	"github.com/mangaassist/bedrockkit/bedrockx/llama"
	"github.com/mangaassist/bedrockkit/bedrockx/mistral"
	"github.com/mangaassist/bedrockkit/bedrockx/nova"
	"github.com/mangaassist/bedrockkit/bedrockx/openai"
	"github.com/mangaassist/bedrockkit/bedrockx/titan"
	"github.com/mangaassist/bedrockkit/internal/converseform"
	"github.com/mangaassist/bedrockkit/internal/family"
)

// families are the forms of the bodies of InvokeModel that this module knows,
// each in a folder of its own.
var families = []family.Family{
	anthropic.Family,
	cohere.Family,
	llama.Family,
	mistral.Family,
	nova.Family,
	openai.Family,
	titan.Family,
}

// converseForm is that of the bodies of Converse.
var converseForm = family.Family{
	MaxTokens: converseform.MaxTokens,
	Question:  family.SingleMessage,
	Split:     converseform.Split,
	Join:      converseform.Join,
}

// formsOf are those that a body of the operation can have.
func formsOf(op bedrockkit.Operation) (forms []family.Family, chunks bool) {
	if op == bedrockkit.OpInvokeModel || op == bedrockkit.OpInvokeModelWithResponseStream {
		return families, true
	}
	return []family.Family{converseForm}, false
}

// formsFor are the forms that a body for the model can have: those of its
// family, or all where that is not known.
func formsFor(op bedrockkit.Operation, model bedrockkit.ModelID) []family.Family {
	forms, _ := formsOf(op)
	for i := range forms {
		if forms[i].Takes(model) {
			return forms[i : i+1]
		}
	}
	return forms
}

// otherBody reports whether one model takes none of the bodies that the other
// takes, as far as ids show it. For a model that no family knows, the provider decides.
func otherBody(own, other bedrockkit.ModelID) bool {
	if own.Base() == "" || other.Base() == "" {
		return false
	}
	known := false
	for _, f := range families {
		for _, b := range f.Bodies {
			if !b.Takes(own) {
				continue
			}
			if known = true; b.Takes(other) {
				return false
			}
		}
	}
	return known || own.Provider() != other.Provider()
}

// split returns the body of a unary answer as the frames of a stream, with
// texts in pieces of so many characters, 0 for whole ones.
func split(op bedrockkit.Operation, body []byte, piece int) ([]family.Frame, error) {
	forms, chunks := formsOf(op)
	return family.Split(body, chunks, piece, forms...)
}

// join returns the frames of a whole stream as the body of a unary answer.
func join(op bedrockkit.Operation, frames []byte, maxFrame int) (json.RawMessage, error) {
	forms, chunks := formsOf(op)
	return family.Join(frames, chunks, maxFrame, forms...)
}

// faithful reports whether the body of a unary answer can be given as a stream
// and nothing of it is lost: what is split and joined again is what it was. What
// a form does not know, it would leave out.
func faithful(op bedrockkit.Operation, body []byte) bool {
	frames, err := split(op, body, 0)
	if err != nil {
		return false
	}
	var all []byte
	for _, f := range frames {
		all = append(all, f.Bytes...)
	}
	joined, err := join(op, all, 0)
	return err == nil && sameJSON(body, joined)
}

// sameJSON reports whether two texts are the same JSON, in any order of members.
func sameJSON(a, b []byte) bool {
	var values [2]any
	for i, text := range [][]byte{a, b} {
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		if d.Decode(&values[i]) != nil {
			return false
		}
	}
	return reflect.DeepEqual(values[0], values[1])
}
