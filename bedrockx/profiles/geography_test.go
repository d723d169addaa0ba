package profiles

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
)

// Regions of several geographies are no reason for the price of a global profile:
// that has an ARN without a region.
func TestModelOfRegions(t *testing.T) {
	const base = "anthropic.claude-sonnet-4-5-20250929-v1:0"
	for regions, want := range map[string]bedrockkit.ModelID{
		"us-east-1":                     base,
		"us-east-1 us-west-2":           "us." + base,
		"us-gov-east-1 us-gov-west-1":   "us-gov." + base,
		"eu-central-1 eu-north-1":       "eu." + base,
		"ap-northeast-1 ap-northeast-3": "jp." + base,
		"ap-southeast-2 ap-southeast-4": "au." + base,
		"ap-south-1 ap-south-2":         "in." + base,
		"ap-northeast-1 ap-south-1":     "apac." + base,
		"us-east-1 ca-central-1":        "amer." + base,
		"us-east-1 mx-central-1":        "amer." + base,
		"eu-central-1 il-central-1":     "eu." + base,
		"il-central-1 eu-central-1":     "eu." + base,
		"ap-southeast-1 me-central-1":   "apac." + base,
		"il-central-1 me-central-1":     base,
		"us-east-1 ":                    "global." + base,
		"":                              "global." + base,
	} {
		var arns []string
		for _, region := range strings.Split(regions, " ") {
			arns = append(arns, "arn:aws:bedrock:"+region+"::foundation-model/"+base)
		}
		got, err := modelOf(arns)
		require.NoError(t, err, regions)
		assert.Equal(t, want, got, regions)
	}
}
