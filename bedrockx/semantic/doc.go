// Package semantic lets a cache answer a question that means the same as an earlier
// one: "When do you open?" and "What are your opening hours?". It is for single
// questions whose answers are the same for everyone, such as the questions to a shop.
// It is used only for calls that set it.
//
//	similar := semantic.New(semantic.Titan(client, "amazon.titan-embed-text-v2:0"))
//	…
//	response, err := chat.Send(ctx, request, converse.Call(func(o *bedrockx.Options) {
//		o.Tenant, o.CachePolicy.Similar = tenant, similar
//	}))
//
// If the cache has no answer to the question itself, its text is embedded and compared
// by cosine with the questions that were answered. Everything except the question must
// be equal: tenant, model, system prompt, parameters and tools.
//
// # The threshold
//
// A similarity of 1 is the same text. Which similarity is enough depends on the model
// and the subject: "Is volume 3 in stock?" is very similar to "Is volume 4 in stock?".
// Measure it with your own questions, mainly with questions that must not be confused,
// and set Options.Threshold. If one wrong answer is too many, do not use this package.
//
// # Guards
//
// A number, a negation or a name changes the answer, but hardly changes the vector. So
// two questions must also have the same results of Options.Guards: by default their
// numbers, negations and names. Options.Accept is for your own check of the two texts.
// Only with it are questions stored as text.
package semantic
