// Package resume runs answers independently of the connections of their readers. A
// reader that was reloaded or lost its connection comes back and gets each message
// once and in order. The model is asked only once.
//
//	registry := resume.New()
//	http.Handle("/answers/{id}", resume.Handler(registry, func(w http.ResponseWriter, r *http.Request) (resume.Answer, bool) {
//		question := r.URL.Query().Get("q")
//		return resume.Answer{
//			ID: r.PathValue("id"), // the page chose it: crypto.randomUUID()
//			Open: func(ctx context.Context) (stream.Source, error) {
//				return stream.Converse(ctx, client, input(question))
//			},
//		}, true
//	}))
//
// The page reads it with an EventSource, which connects again by itself:
//
//	const answer = new EventSource(`/answers/${id}?q=${encodeURIComponent(question)}`);
//	answer.addEventListener("token", (e) => show(JSON.parse(e.data)));
//	answer.addEventListener("complete", () => answer.close());
//
// docs/streaming.md has a whole client, also for fetch, WebSockets and React Native.
// For WebSockets use package wsresume, for any other transport [Registry.Read].
//
// # When an answer ends
//
// An answer runs until the model has ended it, [Registry.Stop] is called, it had no
// reader for some time (Options.Grace), or the process ends. It always ends with a
// message of type complete or error. The code of an error says why it ended. The
// answer is kept for some minutes (Options.Keep), so a reader that comes late still
// gets the rest, or the whole answer.
//
// # Several processes
//
// If processes share a [Log], such as the one of package redisresume, a reader may
// come back to a process that does not run the answer, and can stop the answer there.
// If the process that runs the answer dies, the readers get an error message with
// [CodeInterrupted] within Options.Lease. Use package resumetest to test your own log.
//
// # Who may read an answer
//
// The registry does not know users: someone who knows an id can read and stop its
// answer. Use ids that cannot be guessed ([NewID], or crypto.randomUUID() in a page),
// and check in your handler that the answer belongs to the user who asks.
package resume
