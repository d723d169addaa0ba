// Package bedrockx is the one door to Amazon Bedrock Runtime: every call to a
// model, unary or streamed, passes one pipeline that validates, retries, times
// out, meters and prices it.
//
//	client := bedrockx.NewFromConfig(cfg, bedrockx.Service)
//	result, err := bedrockx.Invoke(ctx, client, "us.anthropic.claude-haiku-4-5-20251001-v1:0", anthropic.Request{
//		MaxTokens: 512,
//		Messages:  []anthropic.Message{anthropic.User("What is One Piece about?")},
//	})
//	if err != nil {
//		return err // errors.Is(err, bedrockx.ErrThrottled) and others tell the kind
//	}
//	fmt.Println(result.Output.Text(), result.Usage, result.Cost)
//
// The packages below this one have the bodies of the model families for
// [Invoke]: Anthropic, Nova, Titan, Cohere, Llama and Mistral. [Raw] is a body as
// it is, and a type of your own is one by two methods (see [Payload]). Package
// stream reads their streams, and package converse speaks to all models alike.
//
// It extends the AWS SDK and does not hide it: credentials, signing, endpoints,
// regions and the HTTP client are those of the [bedrockruntime.Client] that it
// is given, and that client stays yours for whatever is not wrapped here.
//
// # The pipeline
//
// A [Call] passes these steps, each a [Middleware] but for the last two: send is
// the innermost [Handler], and meter is [Call.End].
//
//	validate → yours (Options.Middleware) → budget → cache → fallback → retry → quota → send → meter
//
// An attempt at a unary call ends when its response has been read and decoded,
// so a response that cannot be read counts as a failure of the attempt. An
// attempt at a stream lasts until its first output has been decoded: retries
// cover exactly what the caller has not seen yet. What comes after (metering,
// pricing, whatever a middleware registers with [Call.OnEnd]) runs once, when
// the call ends, whichever way it ends.
//
// # Policies of your own
//
// A [Middleware] in the options of a client or of a call sees every call before
// it is sent, and may change, answer or refuse it. [Call.OnText] shows it the
// answer before the caller sees it, of a unary call and of a stream, and
// [Call.OnEnd] what became of it. The example of Middleware is a moderation
// check.
//
// # Errors
//
// Every error of a call is an [*Error], which errors.As finds; it holds the
// operation, the model, the attempts and the request id. Its kind is found with
// errors.Is and a sentinel such as [ErrThrottled], and the error of the AWS SDK
// below it with errors.As. No error repeats a prompt or an answer.
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
// With [Options.Fallback] a call that its own model could not answer goes to
// the next target: another model, inference profile, region or account. The
// call's own model is always tried first, so that prompt caches stay warm, and
// a circuit breaker leaves a target alone that keeps failing.
//
// # Quotas
//
// A [Limiter] in the options keeps calls within quotas of tokens and requests
// per minute, for each account, region and model, so that the service does not
// throttle them.
//
// # Budgets
//
// [Options.MaxCost], [Options.MaxTotalTokens] and a shared [Budget] of dollars or
// tokens refuse a call that may take more than is left before it is sent, by
// the most that it can take, and settle on what it did. A budget in the options
// of a client bounds all its calls, one in the options of a call those of a
// conversation or a tenant.
//
// # Cache
//
// With [Options.Cache] an answer is paid for once: a [Cache] over a store of
// package cache gives whole answers again, of InvokeModel, Converse and their
// streams alike, and sends one call for many equal ones at the same time. What
// it answers says CacheHit and costs nothing.
//
//	answers := bedrockx.NewCache(memcache.New())
//	client := bedrockx.NewFromConfig(cfg, func(o *bedrockx.Options) { o.Cache = answers })
//	…
//	result, err := bedrockx.Invoke(ctx, client, model, req, func(o *bedrockx.Options) { o.Tenant = tenant })
//
// # Mocks
//
// [New] takes any [RuntimeAPI]. With a [*bedrockruntime.Client] the response is
// decoded by this module. Anything else is a mock or a decorator: the SDK's own
// input goes in, and what it returns is converted. To test streams, use package
// bedrocktest.
package bedrockx
