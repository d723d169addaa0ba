// Package pricing says what a Bedrock request cost, what it will cost and what
// it can cost at most, exactly.
//
//	cost, err := pricing.Default().Cost(
//		"us.anthropic.claude-sonnet-4-5-20250929-v1:0",
//		bedrockkit.Usage{InputTokens: 3, OutputTokens: 12, CacheReadTokens: 13216, CacheWrite5mTokens: 25},
//	)
//	fmt.Println(cost) // 0.004672305
//
// # Exact
//
// An [Amount] is a whole number of quadrillionths of a dollar, which is what
// one token costs at the smallest [Rate]; nothing is rounded before it is
// displayed. A rate is stored as it was published, never derived: a model, a
// tier or a dimension without one is an [*UnpricedError], which holds the part
// that has a price. Nothing unknown costs zero.
//
// # What decides the price
//
// The model id is parsed, and its base model is looked up exactly. The
// profile's prefix, the tier that served the request, the region, the day and
// the size of the input select the rate. See [CostOptions].
//
// # The table
//
// [Default] is embedded, a file with a row for each model, scope, tier, region,
// input bracket, period and source; prices.schema.json describes it. It was
// collected from public lists on 2026-11-22 and not checked against an
// account. [Table.Data] shows sources and dates. Package pricing/refresh makes
// a newer table from the AWS Price List.
//
// # Before and after
//
// [Table.Bound] is the most a request can cost, [Table.Estimate] what it is
// likely to, [Table.Forecast] what a workload will. [Ledger] sums what was
// spent, [Table.Compare] prices the same usage with other models.
package pricing

//go:generate go run ./internal/tablegen
