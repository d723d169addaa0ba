// Package rest is MangaAssist's REST API: questions that are answered at once,
// analyses that run in the background, and their statuses.
//
//	POST /v1/manga/query                 one answer; server-sent events if the request accepts them
//	POST /v1/manga/batch                 202 and a request id for each item
//	GET  /v1/manga/status/{request_id}   queued, processing, completed or failed
//	POST /v1/manga/summary               202: a summary of the caller's jobs of a day
//	GET  /v1/manga/callback-secret       what the caller's callbacks are signed with
//	GET  /v1/manga/jobs                  the caller's latest analyses
//	GET  /v1/manga/jobs/events           the same and their changes, as server-sent events
//	GET  /openapi.json, /docs            what the API takes and answers
//	GET  /healthz, /readyz, /metrics     for whatever watches the server
//
// [New] makes the handler of what answers (an [Assistant]) and what works in the
// background ([Jobs]):
//
//	api := rest.New(manga, analyses, func(o *rest.Options) { o.Log = logger })
//	http.Handle("/", rest.Shared([]string{"https://manga.example"}, api))
//
// The files in schemas are the one source of what is valid: requests are held
// against them, [Document] is made of them, and so are the models of an API
// Gateway in front. An error is {"error", "details", "request_id"}; a detail
// has the path in the body as a JSON pointer, and the keyword that is violated.
package rest
