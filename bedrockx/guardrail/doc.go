// Package guardrail checks prompts and answers with Amazon Bedrock Guardrails, as a
// middleware of package bedrockx. It works for every model and every body, including
// those that do not take a guardrail.
//
//	api := bedrockruntime.NewFromConfig(cfg)
//	check := guardrail.Apply(api, "gr-abc123", "1")
//	client := bedrockx.New(api, func(o *bedrockx.Options) {
//		o.Middleware = append(o.Middleware, guardrail.Middleware(check))
//	})
//
// [Apply] asks a guardrail of your account (ApplyGuardrail); [Checks] asks classifiers
// without one (InvokeGuardrailChecks). You can also use your own [Checker].
//
// # What is checked
//
// The prompt is checked before the call: all texts of the user and the results of
// tools, or only what came after the model's last answer ([Options.Newest]). A unary
// answer is checked before the caller gets it, a streamed answer in pieces. Only text
// is checked: not images, not reasoning, and not the input of tools.
//
// # Streams
//
// By default the events of a stream wait until their text was checked. The reader
// never sees refused text. It gets the answer in pieces of about [Options.Every]
// characters, delayed by the time of a check. With [Options.Async] the reader gets
// text at once, while the check runs; refused text has then been visible for the time
// of the check. In both modes, the end of the answer waits for the last check.
//
// # When it intervenes
//
// The call ends with an [*InterventionError]; errors.Is finds [ErrIntervened], and its
// kind is bedrockx.KindRefused. It holds the [Verdict] with its findings and the text
// to show instead. A guardrail that masks what it found, such as names, also
// intervenes: the masked text is in the verdict.
//
// If the guardrail cannot be asked, the call also fails with the kind
// bedrockx.KindRefused, so that it is not sent again. Use errors.Is with
// [ErrIntervened] to distinguish the two. With [Options.FailOpen] the text passes.
//
// # Cost
//
// The text units of each verdict are part of the cost of the call. If the cost of a
// verdict is not known, the cost of the call is not known.
package guardrail
