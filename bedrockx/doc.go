// Package bedrockx calls Amazon Bedrock Runtime. Every call to a model, unary or
// streamed, passes one pipeline that validates, retries, times out, meters and prices
// it.
//
//	client := bedrockx.NewFromConfig(cfg, bedrockx.Service)
//	result, err := bedrockx.Invoke(ctx, client, "us.anthropic.claude-haiku-4-5-20251001-v1:0", anthropic.Request{
//		MaxTokens: 512,
//		Messages:  []anthropic.Message{anthropic.User("What is One Piece about?")},
//	})
//	if err != nil {
//		return err // errors.Is(err, bedrockx.ErrThrottled) and others find the kind
//	}
//	fmt.Println(result.Output.Text(), result.Usage, result.Cost)
//
// The packages below this one have the bodies of the model families for [Invoke]:
// Anthropic, Nova, Titan, Cohere, Llama, Mistral and, in package openai, Chat
// Completions for all that speak it. [Raw] sends a body unchanged, and any type with
// two methods can be a body (see [Payload]). Package stream reads the streams of all
// families, and package converse has one form of request for all models.
//
// The package extends the AWS SDK and does not hide it. Credentials, signing,
// endpoints, regions and the HTTP client come from the [bedrockruntime.Client] that
// you pass in. You can still use that client directly for everything that is not
// wrapped here.
//
// # The pipeline
//
// A [Call] passes these steps. Each is a [Middleware], except the last two: send is
// the innermost [Handler], and meter is [Call.End].
//
//	validate → yours (Options.Middleware) → budget → cache → fallback → retry → quota → send → meter
//
// An attempt at a unary call ends when its response has been read and decoded, so a
// response that cannot be read counts as a failure of the attempt. An attempt at a
// stream lasts until its first output has been decoded: a call is retried only while
// the caller has not seen any output. Metering, pricing and the functions that a
// middleware registers with [Call.OnEnd] run once, when the call ends, with or without
// an error.
//
// # Policies of your own
//
// A [Middleware] in the options of a client or of a call sees every call before it is
// sent. It may change the call, answer it or refuse it. With [Call.OnText] it sees the
// answer before the caller does, for unary calls and for streams. With [Call.OnEnd] it
// sees the outcome. The example of Middleware is a moderation check.
//
// # Errors
//
// Every error of a call is an [*Error], which errors.As finds. It holds the operation,
// the model, the attempts and the request id. Use errors.Is with a sentinel such as
// [ErrThrottled] to find its kind, and errors.As to find the error of the AWS SDK
// inside it. [Kind.HTTPStatus] returns the status that a server should answer its own
// client with. No error of this package repeats a prompt or an answer. The service's
// own message may quote the request, so [Error.LogValue] leaves it out.
//
// # Retries
//
// The client retries by itself, by kind of error (see [Options.MaxAttempts]),
// and turns the SDK's retries off for its calls: Bedrock sees exactly as many
// requests as the policy says. A retry budget for each target bounds the share
// of retries (see [Options.RetryBudget]).
//
// # Fallback
//
// With [Options.Fallback], a call goes to another target if its own model could not
// answer. A target is another model, inference profile, region or account. The call's
// own model is always tried first, so that prompt caches stay warm. A circuit breaker
// skips a target that keeps failing. A target with another model gets its own body
// ([Call.Encode]). If Encode finds that a target cannot take the call, the call fails
// before anything is sent.
//
// # Quotas
//
// A [quota.Limiter] in the options keeps calls within quotas of tokens and
// requests per minute, for each account, region and model, so that the service
// does not throttle them.
//
// # Budgets
//
// [Options.MaxCost], [Options.MaxTotalTokens] and a shared [pricing.Budget] (of
// dollars or tokens) refuse a call before it is sent, if it may take more than is
// left. They compare the most that the call can take, and count what it really took
// when it has ended. A budget in the options of a client bounds all calls of the
// client. A budget in the options of a call can bound a conversation or a tenant.
//
// # Cache
//
// With [Options.Cache] you pay once for an answer. A [Cache] over a store of package
// cache returns whole answers again, for InvokeModel, Converse and their streams. If
// many equal calls run at the same time, it sends only one. An answer from the cache
// has CacheHit set and costs nothing.
//
//	answers := bedrockx.NewCache(memcache.New())
//	client := bedrockx.NewFromConfig(cfg, func(o *bedrockx.Options) { o.Cache = answers })
//	…
//	result, err := bedrockx.Invoke(ctx, client, model, req, func(o *bedrockx.Options) { o.Tenant = tenant })
//
// # Mocks
//
// [New] takes any [RuntimeAPI]. With a [*bedrockruntime.Client] this module decodes
// the response itself. Any other type is a mock or a decorator: it gets the SDK's own
// input, and its output is converted. To test streams, use package bedrocktest.
package bedrockx
