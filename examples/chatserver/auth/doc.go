// Package auth says who may use MangaAssist, and how much.
//
//	keys, err := auth.OpenKeys("keys.json") // made by: chatserver keys add NAME
//	if err != nil {
//		return err
//	}
//	gate := auth.NewGate(auth.NewLimits(), keys)
//	http.Handle("/v1/", gate.Handler(questions, rest.Fail))
//
// A caller comes with an API key, in the header X-Api-Key or as a bearer token, or
// with a bearer token of an issuer, a JWT ([OpenJWT]). Of a key only its SHA-256 is
// stored. A browser cannot set headers on a WebSocket, so a page that may call the API
// gets a [Tickets] ticket with its key first: good for one connection, within half a
// minute, and for no request. A message over a connection is refused after its key was
// revoked or its token has expired.
//
// [Limits] bound what a caller may do: requests a minute for each key and for each
// address, messages over a WebSocket among them, answers at once, and the dollars of a
// day. What they remember is bounded as well.
package auth
