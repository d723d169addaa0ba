// Package proxy serves an HTTP handler from the events of an API Gateway REST API,
// in AWS Lambda:
//
//	lambda.Start(proxy.Handler(server.API()))
//
// [Handler] answers when the handler has ended, and [Stream] sends the response as
// it is written; the integration's transfer mode must be STREAM then. The events are
// those of proxy integrations. A mapping template that makes such an event, of which
// it needs resource, httpMethod, headers, body and requestContext.identity, may be in
// front of [Handler].
//
// The caller of a request is the API key of its usage plan. API Gateway has checked
// the key; the handler finds it with [auth.CallerOf]. An event without one is
// answered with 401.
package proxy
