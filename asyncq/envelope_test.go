package asyncq

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var bodies = []string{
	`{"version":1,"request_id":"r1","priority":"high","created_at":"2026-11-30T08:00:00.5Z","payload":{"a":[1,2]},"payload_sha256":"ab"}`,
	`{"version":1,"request_id":"r1","group":"日本\u8a9e","callback_url":"https://example.com/?a=1\u0026b=2","metadata":{"a":"b"},"created_at":"2026-11-30T08:00:00Z","payload_key":"k","payload_sha256":""}`,
	`{"version":1,"request_id":"r1","payload":null}`,
	`{"version":1,"version":2}`,
	`{"Version":1,"REQUEST_ID":"r1"}`,
	`{"version":1,"new":true}`,
	`{"version":01}`, `{"version":1.5}`, `{"version":null}`, `{"version":12345678901}`,
	`{"request_id":null}`, `{"request_id":"\ud800"}`, "{\"request_id\":\"\xff\"}", "{\"request_id\":\"a\nb\"}",
	`{"created_at":"yesterday"}`, `{"created_at":null}`, `{"created_at":1}`,
	`{"metadata":{"a":1}}`, `{"metadata":null}`, `{"metadata":{"a":"1","a":"2"}}`,
	`{"payload":{"a":}}`, `{"payload":"\x"}`, "{\"payload\":\"\xff\"}", `{"payload": [1 , 2] }`,
	`{}`, ` {} `, `{} {}`, `{},`, `null`, `[]`, `{"version":1`, ``,
}

// readEnvelope reads what encoding/json reads, and refuses what it refuses.
func FuzzEnvelope(f *testing.F) {
	for _, body := range bodies {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		var want envelope
		wantErr := json.Unmarshal([]byte(body), &want)
		got, err := readEnvelope(body)
		require.Equal(t, wantErr == nil, err == nil, "%v, %v", wantErr, err)
		if err == nil {
			assert.Equal(t, &want, got)
		}
	})
}

// What a producer writes is read in one pass.
func TestEnvelopesAreScanned(t *testing.T) {
	for i, body := range bodies[:2] {
		assert.True(t, new(envelope).scan([]byte(body)), "%d", i)
	}
}

func BenchmarkEnvelope(b *testing.B) {
	body := `{"version":1,"request_id":"b4ca5602-a305-4fe8-870a-078b7a73eee2","priority":"high","created_at":"2026-11-30T08:00:00.5Z","payload":{"text":"` +
		strings.Repeat("x", 200) + `"},"payload_sha256":"` + strings.Repeat("ab", 32) + `"}`
	b.Run("scan", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			readEnvelope(body)
		}
	})
	b.Run("encoding/json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var e envelope
			json.Unmarshal([]byte(body), &e)
		}
	})
}
