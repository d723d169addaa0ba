// Package emf writes one line of CloudWatch embedded metric format for each call:
// CloudWatch makes metrics from what Lambda and ECS print, without an agent and
// without calls of PutMetricData.
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
// CacheReadTokens, CacheWriteTokens, CostUSD, Attempts, CacheHit and Fallback, each if
// it is known. Properties in addition to the dimensions: RequestId, StopReason,
// ErrorKind, RequestedModel. It has nothing of a prompt, an answer or an error's text.
//
// Each metric is a separate custom metric for every set of dimensions, and is billed
// as one. So put what has many values, such as a tenant, into the properties, where
// CloudWatch Logs Insights finds it.
//
// Source of the format: "CloudWatch embedded metric format specification", Amazon
// CloudWatch User Guide.
package emf
