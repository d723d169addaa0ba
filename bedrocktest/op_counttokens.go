package bedrocktest

import (
	"encoding/json"
	"net/http"

	"github.com/mangaassist/bedrockkit"
)

// countTokens reads the body of another operation and counts its input.
func (s *Server) countTokens(x *exchange) *Reply {
	req := x.req
	var body struct {
		Input struct {
			InvokeModel *struct {
				Body []byte `json:"body"`
			} `json:"invokeModel"`
			Converse *json.RawMessage `json:"converse"`
		} `json:"input"`
	}
	if err := json.Unmarshal(req.Body, &body); err != nil {
		return unreadable(err)
	}
	if r := s.knownModel(req.Model); r != nil {
		return r
	}
	if !s.ignores(RuleAction) && s.capability(req.Model).Supports(bedrockkit.FeatureCountTokens) == bedrockkit.No {
		return invalid("The provided model doesn't support counting tokens.")
	}
	// Only foundation models are counted for, not profiles.
	if ident, err := req.Model.Parse(); err == nil && ident.Kind != bedrockkit.KindFoundationModel {
		return invalid("The provided model identifier is invalid.")
	}
	var inner Request
	switch {
	case (body.Input.InvokeModel == nil) == (body.Input.Converse == nil):
		return invalid("The input must have exactly one of invokeModel and converse.")
	case body.Input.InvokeModel != nil:
		inner = Request{Model: req.Model, Body: body.Input.InvokeModel.Body}
		f, r := s.familyOf(&inner)
		if r == nil {
			r = s.read(f, &inner)
		}
		if r != nil {
			return r
		}
	default:
		var c converseRequest
		inner = Request{Model: req.Model, Body: *body.Input.Converse}
		if err := json.Unmarshal(inner.Body, &c); err != nil {
			return unreadable(err)
		}
		inner.readConverse(&c)
		if r := s.validateConverse(&inner, &c); r != nil {
			return r
		}
	}
	req.Conversation = inner.Conversation
	return nil
}

func (s *Server) countedTokens(x *exchange) *Reply {
	return result(object{"inputTokens": x.req.inputTokens()})
}

// result is the body of an operation that asks no model.
func result(v any) *Reply { return Body(http.StatusOK, "application/json", marshal(v)) }
