package main

import (
	"context"
	"crypto/rand"
	"embed"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"strconv"
	"sync"

	"github.com/mangaassist/bedrockkit"
)

//go:embed page
var page embed.FS

// maxBody bounds the body of an HTTP request.
const maxBody = 64 << 10

// A server serves the page, the WebSocket behind it and the HTTP API.
type server struct {
	assistant *assistant
	info      info
	log       *slog.Logger

	closing context.Context // ends when the server is about to stop
	sockets sync.WaitGroup  // open WebSockets, which http.Server does not wait for
}

// info is what the page asks first.
type info struct {
	Backend              string      `json:"backend"` // "offline" or "aws"
	Notice               string      `json:"notice,omitempty"`
	Models               []modelInfo `json:"models"`
	MaxQuestionCharacter int         `json:"max_question_characters"`
}

type modelInfo struct {
	Name string             `json:"name"`
	ID   bedrockkit.ModelID `json:"id"`
}

func (s *server) handler() http.Handler {
	files, err := fs.Sub(page, "page")
	if err != nil {
		panic(err) // the page is embedded
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(files))
	mux.HandleFunc("GET /ws", s.serveSocket)
	mux.HandleFunc("GET /v1/info", s.serveInfo)
	mux.HandleFunc("POST /v1/manga/query", s.serveQuery)
	mux.HandleFunc("GET /v1/manga/query", func(w http.ResponseWriter, _ *http.Request) { // GET / would answer that there is nothing
		w.Header().Set("Allow", http.MethodPost)
		writeJSON(w, http.StatusMethodNotAllowed, errorResponse{Error: "Questions are sent with POST.", RequestID: rand.Text()})
	})
	// The server has no login, so what keeps other pages out is that browsers
	// say where a request comes from and what it was told to go to.
	return secured(sameHost(http.NewCrossOriginProtection().Handler(mux)))
}

// sameHost refuses requests for another host than this machine: a page whose
// name was made to point here (DNS rebinding) has the origin that it asks for.
func sameHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !loopback(r.Host) {
			http.Error(w, "This server answers on loopback addresses only.", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// secured sets the headers that keep a page from doing what this one never
// does, whatever an answer holds.
func secured(next http.Handler) http.Handler {
	const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
		"font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
		"require-trusted-types-for 'script'; trusted-types 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-cache")
		next.ServeHTTP(w, r)
	})
}

func (s *server) serveInfo(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, http.StatusOK, s.info)
}

// serveQuery answers one question without a conversation.
func (s *server) serveQuery(w http.ResponseWriter, r *http.Request) {
	id := rand.Text()
	fail := func(status int, message string, details ...errorDetail) {
		writeJSON(w, status, errorResponse{Error: message, Details: details, RequestID: id})
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	var body queryBody
	data, err := io.ReadAll(r.Body)
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		fail(http.StatusRequestEntityTooLarge, "The body has more than "+strconv.Itoa(maxBody)+" bytes.")
		return
	}
	if err != nil {
		fail(http.StatusBadRequest, "The body could not be read.")
		return
	}
	if err = decodeJSON(data, &body); err == nil {
		var q question
		if q, err = body.question(); err == nil {
			s.answerQuery(w, r, id, q, fail)
			return
		}
	}
	var bad *badInput
	errors.As(err, &bad)
	fail(http.StatusBadRequest, "The request is not valid.", errorDetail{Path: bad.path, Message: bad.message})
}

func (s *server) answerQuery(w http.ResponseWriter, r *http.Request, id string, q question, fail func(int, string, ...errorDetail)) {
	result, err := s.assistant.answerWhole(r.Context(), q)
	s.logAnswer(id, q, result, err)
	if err != nil {
		p := problemOf(err)
		if p.status == http.StatusTooManyRequests {
			w.Header().Set("Retry-After", "5")
		}
		fail(p.status, p.Message)
		return
	}
	last := result.Last()
	response := queryResponse{
		Response: result.Text(), Model: last.Model, Usage: result.Usage, StopReason: last.StopReason, RequestID: id,
	}
	if result.Cost != nil {
		response.CostUSD = result.Cost.String()
	}
	writeJSON(w, http.StatusOK, response)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v) // an error means that the client has gone
}
