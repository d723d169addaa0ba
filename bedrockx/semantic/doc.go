// Package semantic lets a cache give an answer to a question that means the
// same as one that was answered before: "When do you open?" and "What are your
// opening hours?". It is for single questions with answers that hold for
// everybody, such as a shop's, and it is only used for calls that ask for it.
//
//	similar := semantic.New(semantic.Titan(client, "amazon.titan-embed-text-v2:0"))
//	…
//	response, err := chat.Send(ctx, request, func(o *converse.Options) {
//		o.Call = append(o.Call, func(o *bedrockx.Options) {
//			o.Tenant, o.Caching.Similar = tenant, similar
//		})
//	})
//
// A text is embedded where the cache has no answer to the question itself, and
// compared by cosine with the questions that were answered. All but the
// question must be equal: tenant, model, system prompt, parameters and tools.
//
// # The threshold
//
// A likeness of 1 is the same text, and what is enough differs by model and by
// matter: "Is volume 3 in stock?" is very like "Is volume 4 in stock?". Measure
// it with questions of your own, those that must not be taken for each other
// most of all, and set [Options].Threshold; where one wrong answer is too many,
// leave the package out.
package semantic
