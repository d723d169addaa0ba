package bedrocktest

import (
	"encoding/json"
)

// applyGuardrail checks texts by a guardrail of the options.
func (s *Server) applyGuardrail(x *exchange) *Reply {
	var body struct {
		Source  string `json:"source"`
		Content []struct {
			Text *struct {
				Text string `json:"text"`
			} `json:"text"`
		} `json:"content"`
	}
	if err := json.Unmarshal(x.req.Body, &body); err != nil {
		return unreadable(err)
	}
	if body.Source != "INPUT" && body.Source != "OUTPUT" {
		return constraint([]byte(body.Source), "source", "Member must satisfy enum value set: [INPUT, OUTPUT]")
	}
	g, refused := s.guardrail(x.req.params[0], x.req.params[1])
	if refused != nil {
		return Error(404, "ResourceNotFoundException", refused.message)
	}
	message := g.InputMessage
	if body.Source == "OUTPUT" {
		message = g.OutputMessage
	}
	text := ""
	for i, c := range body.Content {
		if c.Text == nil {
			return invalid("The content at content.%d is no text. The server's guardrails check texts.", i)
		}
		if i > 0 {
			text += "\n"
		}
		text += c.Text.Text
	}
	if text == "" {
		return invalid("The content of the request is empty. Add text and try again.")
	}
	f := g.find(text, message)
	v := object{
		"action": "NONE", "usage": f.units(), "outputs": []any{},
		"assessments": []object{f.assessment()}, "guardrailCoverage": f.coverage(),
	}
	if f.intervened() {
		v["action"] = "GUARDRAIL_INTERVENED"
		v["outputs"] = []object{{"text": f.text}}
	}
	return result(v)
}
