package socket

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"io"
	"net/http"

	"github.com/mangaassist/bedrockkit/examples/chatserver/auth"
)

// The headers that the HTTP integrations of an API Gateway set; see
// [Gateway.Handler].
const (
	HeaderSecret     = "X-Gateway-Secret"
	HeaderConnection = "X-Connection-Id"
	HeaderAddress    = "X-Source-Ip"
)

// MinSecret is the fewest bytes of the secret of [Gateway.Handler].
const MinSecret = 32

// Handler serves the three routes as HTTP integrations: POST /gateway/connect,
// /gateway/message and /gateway/disconnect. Their request parameters are
//
//	integration.request.header.X-Gateway-Secret    'the secret'
//	integration.request.header.X-Connection-Id     context.connectionId
//	integration.request.header.X-Source-Ip         context.identity.sourceIp
//
// and for $connect, with which alone an API Gateway sends headers and query,
//
//	integration.request.header.Origin              route.request.header.Origin
//	integration.request.header.X-Api-Key           route.request.header.X-Api-Key
//	integration.request.header.Authorization       route.request.header.Authorization
//	integration.request.querystring.ticket         route.request.querystring.ticket
//
// Whoever reaches these paths could speak for any connection, and name any
// address. The server may be reached by others than the API Gateway, so each request
// has a secret that the API Gateway alone knows, of [MinSecret] bytes at least; a
// request without it gets status 403. A message is answered with 204 before its answer
// is posted: an integration has 29 s.
func (g *Gateway) Handler(secret string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /gateway/connect", func(w http.ResponseWriter, r *http.Request) {
		header := http.Header{}
		for _, name := range []string{"Origin", "X-Api-Key", "Authorization"} {
			header[name] = r.Header.Values(name)
		}
		reply(w, g.Connect(r.Context(), Opening{
			ConnectionID: r.Header.Get(HeaderConnection), Header: header, Query: r.URL.Query(), Address: r.Header.Get(HeaderAddress),
		}))
	})
	mux.HandleFunc("POST /gateway/message", func(w http.ResponseWriter, r *http.Request) {
		message, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxFrame+1)) // one more is refused with words
		if err == nil {
			err = g.Message(r.Context(), r.Header.Get(HeaderConnection), message)
		}
		reply(w, err)
	})
	mux.HandleFunc("POST /gateway/disconnect", func(w http.ResponseWriter, r *http.Request) {
		reply(w, g.Disconnect(r.Context(), r.Header.Get(HeaderConnection)))
	})
	want := sha256.Sum256([]byte(secret))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got := sha256.Sum256([]byte(r.Header.Get(HeaderSecret)))
		if len(secret) < MinSecret || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			http.Error(w, "This is for the API Gateway alone.", http.StatusForbidden)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// reply is the answer of an integration.
func reply(w http.ResponseWriter, err error) {
	var refused *auth.Refused
	var long *http.MaxBytesError
	switch {
	case err == nil:
		w.WriteHeader(http.StatusNoContent)
	case errors.As(err, &refused):
		refused.Header(w.Header())
		http.Error(w, refused.Message, refused.Status)
	case errors.Is(err, ErrNoConnection):
		http.Error(w, "The connection is not known here.", http.StatusGone)
	case errors.As(err, &long):
		http.Error(w, "The message is too long.", http.StatusRequestEntityTooLarge)
	default:
		http.Error(w, "The server cannot do this now.", http.StatusServiceUnavailable)
	}
}
