package main

import (
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The program starts itself to do the work, and here that is the test's binary.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "-work" {
		main()
		return
	}
	os.Exit(m.Run())
}

// The soak test of CI has 100,000.
var many = flag.Int("records", 6000, "the records of TestKilledJob")

// A job whose process is killed again and again has every result once, and its
// memory grows by no more than the ids of its records.
func TestKilledJob(t *testing.T) {
	few := tenth(t, *many/10)
	var out strings.Builder
	sum, err := run(t.Context(), &out, &strings.Builder{}, *many, 8, 7)
	require.NoError(t, err, out.String())
	t.Log(out.String())
	assert.Equal(t, *many, sum.Records)
	assert.Equal(t, *many, sum.Done+sum.Failed)
	assert.Positive(t, sum.Failed)
	assert.Zero(t, sum.Lost)
	assert.Zero(t, sum.Doubled)
	assert.Equal(t, 8, sum.Interrupted)
	assert.Equal(t, sum.LiveCost, sum.Cost.Mul(2), "half the price")
	if few.PeakRSS > 0 {
		assert.LessOrEqual(t, sum.PeakRSS, 1.2*few.PeakRSS+64*float64(*many)/(1<<20), "megabytes")
	}

	// The last line is the summary.
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var last summary
	require.NoError(t, json.Unmarshal([]byte(lines[len(lines)-1]), &last))
	assert.Equal(t, sum, last)
	assert.Equal(t, 8, strings.Count(out.String(), "killed the job's process"))
}

func tenth(t *testing.T, records int) summary {
	sum, err := run(t.Context(), &strings.Builder{}, &strings.Builder{}, records, 0, 7)
	require.NoError(t, err)
	assert.Equal(t, records, sum.Done+sum.Failed)
	return sum
}

// A set that is too small for a job is sent live.
func TestFewRecords(t *testing.T) {
	var out strings.Builder
	sum, err := run(t.Context(), &out, &strings.Builder{}, 5, 0, 1)
	require.NoError(t, err)
	assert.Equal(t, 5, sum.Done)
	assert.Equal(t, sum.LiveCost, sum.Cost, "at the price of live calls")
	assert.Contains(t, out.String(), "One Piece, vol. 1")
}
