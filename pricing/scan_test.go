package pricing

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The scan reads the shipped table, and reads what encoding/json does.
func TestScan(t *testing.T) {
	got, ok := scanData(embedded)
	require.True(t, ok)
	var want Data
	require.NoError(t, json.Unmarshal(embedded, &want))
	assert.Equal(t, want, got)
}

// What the scan takes of a table that was damaged, encoding/json reads alike.
func TestScanOfDamagedTables(t *testing.T) {
	const small = `{"$schema":"./prices.schema.json","sources":{"t":{"title":"a \u00e9 \"b\" 料","date":"2026-01-01"}},"models":[{"id":"acme.one","aliases":["acme.one-v1:0"]}],
		"rows":[{"model":"acme.one","scopes":["region"],"regions":["eu-west-1","eu-west-2"],"tier":"flex","above_input":9,"up_to_input":99,"from":"2026-03-01","to":"2026-04-01",
		"rates":{"input":"1.05","output":"0"},"sources":["t"],"confidence":"peer","note":"n"}]}`
	rnd := rand.New(rand.NewPCG(1, 2))
	const bytes = `{}[]",:.0123456789eabc\-n `
	taken := 0
	for range 20_000 {
		text := []byte(small)
		for range rnd.IntN(3) {
			switch i := rnd.IntN(len(text)); rnd.IntN(3) {
			case 0:
				text[i] = bytes[rnd.IntN(len(bytes))]
			case 1:
				text = append(text[:i], text[i+1:]...)
			default:
				text = append(text[:i], append([]byte{bytes[rnd.IntN(len(bytes))]}, text[i:]...)...)
			}
		}
		got, ok := scanData(text)
		if !ok {
			continue
		}
		taken++
		var want Data
		dec := json.NewDecoder(strings.NewReader(string(text)))
		dec.DisallowUnknownFields()
		require.NoError(t, dec.Decode(&want), "%s", text)
		require.Equal(t, want, got, "%s", text)
	}
	assert.Greater(t, taken, 5000)
}
