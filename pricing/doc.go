// Package pricing calculates what a Bedrock request cost, what it will probably cost,
// and the most that it can cost. Prices are exact.
//
//	cost, err := pricing.Default().Cost(
//		"us.anthropic.claude-sonnet-4-5-20250929-v1:0",
//		bedrockkit.Usage{InputTokens: 3, OutputTokens: 12, CacheReadTokens: 13216, CacheWrite5mTokens: 25},
//	)
//	fmt.Println(cost) // 0.004672305
//
// # Exact
//
// An [Amount] is a whole number of quadrillionths of a dollar, which is the price of
// one token at the smallest [Rate]. Nothing is rounded before it is displayed. A rate
// is stored as it was published. A model, a region, a tier or a dimension without a
// rate is an [*UnpricedError], which holds the part that has a price. An unknown cost
// is never zero.
//
// # What decides the price
//
// The model id is parsed, and its base model is looked up exactly. The
// profile's prefix, the tier that served the request, the region, the day and
// the size of the input select the rate. See [CostOptions].
//
// # The table
//
// [Default] is an embedded file with a row for each model, scope, tier, set of
// regions, input bracket, period and source; prices.schema.json describes it. It is
// read when a program asks for a price for the first time. It was made from public
// lists, including the AWS Price List of 2026-10-06, and was not checked with an
// account. [Table.Data] has the sources, dates and confidence, and docs/pricing.md
// says what is not known. Package pricing/refresh makes a newer table from the AWS
// Price List.
//
// # Before and after
//
// [Table.Bound] returns the most that a request can cost, [Table.Estimate] its likely
// cost, and [Table.Forecast] the cost of a workload. A [Ledger] sums what was spent,
// and [Table.Compare] prices the same usage with other models.
package pricing

//go:generate go run ./internal/tablegen
