// Package emf writes one line of CloudWatch embedded metric format for each
// call: CloudWatch makes metrics of what Lambda and ECS print, without an agent
// and without calls of PutMetricData.
//
//	client := bedrockx.New(api, func(o *bedrockx.Options) {
//		o.Middleware = append(o.Middleware, emf.Middleware(os.Stdout, func(o *emf.Options) {
//			o.Namespace = "MangaAssist"
//			o.Properties = map[string]string{"Service": "chat"}
//			o.Dimensions = [][]string{{"Service", "Model"}, {"Service"}}
//		}))
//	})
//
// # What a line holds
//
// The metrics Calls, Errors, Latency, FirstOutput, InputTokens, OutputTokens,
// CacheReadTokens, CacheWriteTokens, CostUSD, Attempts, CacheHit and Fallback,
// each where it is known; as properties beside the dimensions RequestId,
// StopReason, ErrorKind, RequestedModel. Nothing of a prompt, an answer or an
// error's text.
//
// Every set of dimensions is a custom metric of its own for each metric, and is
// billed so: keep what has many values, such as a tenant, in the properties,
// where CloudWatch Logs Insights finds it.
//
// The format is that of the "CloudWatch embedded metric format specification",
// Amazon CloudWatch User Guide.
package emf
