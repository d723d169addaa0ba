package refresh_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/mangaassist/bedrockkit/pricing"
	"github.com/mangaassist/bedrockkit/pricing/refresh"
)

// A bulk file is read, and the table of the next day has its price.
func ExampleList() {
	const bulk = `{
		"products": {"SKU1": {"attributes": {"servicename": "Claude Haiku 4.5 (Amazon Bedrock Edition)",
			"regionCode": "us-east-1", "usagetype": "USE1-MP:USE1_InputTokenCount_Global-Units"}}},
		"terms": {"OnDemand": {"SKU1": {"SKU1.JRTCKXETXF": {"priceDimensions": {"SKU1.JRTCKXETXF.6YS6EN2CT7": {
			"unit": "1M tokens", "pricePerUnit": {"USD": "0.9000000000"}}}}}}}
	}`
	base := pricing.Default().Data()
	list := refresh.New(base)
	if err := list.ReadBulk(strings.NewReader(bulk)); err != nil {
		panic(err)
	}
	newer, err := list.Data(time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC))
	if err != nil {
		panic(err)
	}
	for _, c := range refresh.Diff(base, newer) {
		fmt.Println(c.Model, c.Scope, c.Dimension, c.Old, "→", c.New)
	}
	// Output: anthropic.claude-haiku-4-5 global input 1 → 0.9
}
