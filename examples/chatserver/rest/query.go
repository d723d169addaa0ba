package rest

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strings"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/stream"
)

type queryRequest struct {
	Query          string      `json:"query"`
	Model          string      `json:"model"`
	MaxTokens      json.Number `json:"max_tokens"` // the schema takes 512 and 512.0
	Temperature    *float64    `json:"temperature"`
	ConversationID string      `json:"conversation_id"`
	Language       string      `json:"language"`
}

type queryResponse struct {
	Response   string                `json:"response"`
	Model      string                `json:"model"`
	ModelID    bedrockkit.ModelID    `json:"model_id,omitempty"`
	Usage      bedrockkit.Usage      `json:"usage"`
	StopReason bedrockkit.StopReason `json:"stop_reason"`
	CostUSD    string                `json:"cost_usd,omitempty"`
	Reason     string                `json:"routing_reason,omitempty"`
	Cached     bool                  `json:"cached,omitempty"`
	RequestID  string                `json:"request_id"`
}

// query answers a question.
func (a *api) query(w http.ResponseWriter, r *http.Request) {
	var body queryRequest
	if !a.decode(w, r, querySchema, &body) {
		return
	}
	q, bad := body.question(RequestID(r.Context()))
	if bad != nil {
		fail(w, r, http.StatusBadRequest, invalid, *bad)
		return
	}
	q.Fresh = strings.Contains(r.Header.Get("Cache-Control"), "no-cache") // RFC 9111
	route, err := a.assistant.Route(r.Context(), q)
	if err != nil {
		a.failAsking(w, r, err)
		return
	}
	if q.Model = route.Model; route.Rule != "" {
		a.opts.Log.Info("routed", "request_id", q.RequestID, "model", route.Model, "rule", route.Rule)
	}
	if accepts(r, "text/event-stream") {
		a.streamAnswer(w, r, q, route.Reason)
		return
	}
	answer, err := a.assistant.Answer(r.Context(), q)
	if err != nil {
		a.failAsking(w, r, err)
		return
	}
	response := queryResponse{Response: answer.Text, Model: q.Model, ModelID: answer.Model, Usage: answer.Usage, StopReason: answer.StopReason, Reason: route.Reason, Cached: answer.Cached, RequestID: q.RequestID}
	if answer.Cost != nil {
		response.CostUSD = answer.Cost.String()
	}
	writeJSON(w, http.StatusOK, response)
}

// question is the request with the schema's defaults.
func (b *queryRequest) question(id string) (Question, *Detail) {
	q := Question{RequestID: id, Text: Clean(b.Query), Model: "haiku", MaxTokens: 512, Temperature: 0.5, ConversationID: b.ConversationID, Language: "auto"}
	if strings.TrimSpace(q.Text) == "" {
		return q, &Detail{"/query", "it has no characters that can be read", "minLength"}
	}
	if b.Model != "" {
		q.Model = b.Model
	}
	if n, err := b.MaxTokens.Float64(); err == nil {
		q.MaxTokens = int(n)
	}
	if b.Temperature != nil {
		q.Temperature = *b.Temperature
	}
	if b.Language != "" {
		q.Language = b.Language
	}
	return q, nil
}

// streamAnswer answers a question with server-sent events. The first one says why
// the model was chosen, if the caller left that open. A reader that is gone stops
// the model.
func (a *api) streamAnswer(w http.ResponseWriter, r *http.Request, q Question, reason string) {
	source, err := a.assistant.Stream(r.Context(), q)
	if err != nil {
		a.failAsking(w, r, err)
		return
	}
	sink := stream.SSE(w)
	if reason != "" {
		data, err := json.Marshal(map[string]string{"type": "start", "model": q.Model, "routing_reason": reason})
		if err == nil {
			_, err = fmt.Fprintf(w, "event: start\ndata: %s\n\n", data)
		}
		if err != nil {
			return // the client has gone
		}
	}
	if err := stream.Write(r.Context(), source, sink); err != nil {
		a.opts.Log.Warn("failed", "request_id", q.RequestID, "error", err)
	}
}

// accepts reports whether a request asks for a media type by its name.
func accepts(r *http.Request, want string) bool {
	for _, field := range r.Header.Values("Accept") {
		for part := range strings.SplitSeq(field, ",") {
			if media, params, err := mime.ParseMediaType(part); err == nil && media == want && params["q"] != "0" {
				return true
			}
		}
	}
	return false
}
