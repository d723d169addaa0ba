package converse

import (
	"errors"
	"fmt"

	"github.com/mangaassist/bedrockkit"
)

// MarshalJSON writes the request as the input of the API's operation Converse, with
// its "modelId". "aws bedrock-runtime converse --cli-input-json" takes the same JSON.
// Thinking and Effort are written in the form of the model, so they are an error if
// the id does not name the model. [NoMaxTokens] has no JSON form and is an error. An
// empty list is left out, like nil. Nothing else is validated; use [EncodeRequest] for
// that.
func (r Request) MarshalJSON() ([]byte, error) {
	switch {
	case r.MaxTokens < 0:
		return nil, errors.New("converse: NoMaxTokens has no JSON; set it in Options.MaxTokens")
	case (r.Thinking != 0 || r.Effort != "") && r.Model.Base() == "":
		return nil, fmt.Errorf("converse: Thinking and Effort have a form for each model, and %q does not tell its model; use AdditionalFields", r.Model)
	}
	s := subjectOf(r.Model, bedrockkit.Capabilities)
	b := append(appendString([]byte(`{"modelId":`), string(r.Model)), ',')
	start := len(b)
	b, err := r.appendBody(b, bedrockkit.OpConverseStream, &s) // which has all that Converse has
	if err != nil {
		return nil, fmt.Errorf("converse: %w", err)
	}
	switch {
	case r.Model == "":
		return b[start:], nil
	case len(b) == start+len(`{}`):
		return append(b[:start-1], '}'), nil
	}
	return append(b[:start], b[start+1:]...), nil
}

// UnmarshalJSON reads an input of the API's operation Converse, with or without a
// "modelId". The model's own parameters, such as thinking, are put into
// AdditionalFields. Content that this version does not know becomes [Raw]. Any other
// member that Request has no field for is an error.
func (r *Request) UnmarshalJSON(data []byte) error {
	read, err := requestFromBody(data)
	if err != nil {
		return err
	}
	*r = read
	return nil
}
