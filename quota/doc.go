// Package quota keeps callers below the tokens and requests per minute that Bedrock
// allows an account. Callers wait in order, so Bedrock does not throttle them.
//
//	limiter, err := quota.New([]quota.Quota{
//		{Model: "us.amazon.nova-lite-v1:0", TokensPerMinute: 50_000},
//	})
//	…
//	client := bedrockx.New(api, func(o *bedrockx.Options) { o.Limiter = limiter })
//
// Package bedrockx asks the limiter before each attempt. You can also use package
// quota without bedrockx:
//
//	lane := limiter.Lane(account, region, model) // nil: the model has no quota
//	held, err := lane.Acquire(ctx, quota.Request{Input: 1200, Output: 500})
//	if err != nil {
//		return err // quota.ErrLimited: there was no room in time
//	}
//	usage, err := ask(ctx)
//	held.Settle(ctx, lane.Quota().Taken(usage))
//
// # Stores
//
// A [Store] keeps what was taken from the quotas: in the memory of the process, or
// shared by processes, as package quota/redisquota does. Package quota/quotatest is
// the conformance suite for your own store.
package quota
