package asyncq

import (
	"encoding/json"
	"time"

	"github.com/mangaassist/bedrockkit/internal/jsonscan"
)

// envelope is the body of a message.
type envelope struct {
	Version     int               `json:"version"`
	ID          string            `json:"request_id"`
	Priority    Priority          `json:"priority,omitempty"`
	Group       string            `json:"group,omitempty"`
	CallbackURL string            `json:"callback_url,omitempty"`
	Metadata    map[string]string `json:"metadata,omitempty"`
	CreatedAt   time.Time         `json:"created_at"`
	Payload     json.RawMessage   `json:"payload,omitempty"`
	PayloadKey  string            `json:"payload_key,omitempty"` // in the blob store, where it is too large for a message
	PayloadHash string            `json:"payload_sha256"`
}

const envelopeVersion = 1

// readEnvelope reads a body.
func readEnvelope(body string) (*envelope, error) {
	data := []byte(body)
	if e := new(envelope); e.scan(data) {
		return e, nil
	}
	var e envelope
	err := json.Unmarshal(data, &e)
	return &e, err
}

// scan reads, in one pass, a body as a producer of this version writes it, and
// reports whether it is one. It refuses whatever encoding/json could read in another
// way: names that are unknown or come twice, other types.
func (e *envelope) scan(data []byte) bool {
	s := jsonscan.New(data)
	seen := 0
	ok := s.Object(func(key []byte) bool {
		var field int
		var ok bool
		switch string(key) {
		case "version":
			field = 1 << 0
			e.Version, ok = s.Number()
		case "request_id":
			field = 1 << 1
			e.ID, ok = s.Text()
		case "priority":
			field = 1 << 2
			var text string
			text, ok = s.Text()
			e.Priority = Priority(text)
		case "group":
			field = 1 << 3
			e.Group, ok = s.Text()
		case "callback_url":
			field = 1 << 4
			e.CallbackURL, ok = s.Text()
		case "metadata":
			field = 1 << 5
			var raw []byte
			raw, ok = s.Value()
			ok = ok && json.Unmarshal(raw, &e.Metadata) == nil
		case "created_at":
			field = 1 << 6
			var raw []byte
			raw, ok = s.Value()
			ok = ok && e.CreatedAt.UnmarshalJSON(raw) == nil
		case "payload":
			field = 1 << 7
			e.Payload, ok = s.Value()
		case "payload_key":
			field = 1 << 8
			e.PayloadKey, ok = s.Text()
		case "payload_sha256":
			field = 1 << 9
			e.PayloadHash, ok = s.Text()
		}
		twice := seen&field != 0
		seen |= field
		return ok && !twice
	})
	return ok && s.End()
}
