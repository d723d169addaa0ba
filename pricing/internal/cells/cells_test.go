package cells_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/pricing"
	"github.com/mangaassist/bedrockkit/pricing/internal/cells"
)

// Rows that are taken apart and put together say what they said.
func TestThereAndBack(t *testing.T) {
	rows := pricing.Default().Data().Rows
	all := cells.Explode(rows)
	again := cells.Rows(all)
	assert.Equal(t, all, cells.Explode(again))
	assert.Len(t, again, len(rows), "the shipped table is grouped as well as it can be")
	assert.Equal(t, rows, again)
}

func TestActive(t *testing.T) {
	periods := []cells.Period{{To: "2026-03-01", Rate: 1}, {From: "2026-04-01", Rate: 2}}
	for day, want := range map[string]pricing.Rate{"": 1, "2026-02-28": 1, "2026-03-01": 0, "2026-04-01": 2, "2027-01-01": 2} {
		p, ok := cells.Active(periods, day)
		require.Equal(t, want != 0, ok, day)
		assert.Equal(t, want, p.Rate, day)
	}
}
