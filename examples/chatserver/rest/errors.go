package rest

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/converse/session"
)

// errorResponse is the body of every error.
type errorResponse struct {
	Error     string   `json:"error"`
	Details   []Detail `json:"details,omitempty"`
	RequestID string   `json:"request_id"`
}

// Fail answers a request as the API does: for handlers around it.
func Fail(w http.ResponseWriter, r *http.Request, status int, message string) {
	fail(w, r, status, message)
}

func fail(w http.ResponseWriter, r *http.Request, status int, message string, details ...Detail) {
	id := RequestID(r.Context())
	if id == "" {
		id = rand.Text() // it did not come as far as the API
		w.Header().Set("X-Request-Id", id)
	}
	writeJSON(w, status, errorResponse{Error: message, Details: details, RequestID: id})
}

const internal = "The server failed. Please try again."

// retryAfter is how long a client waits if the model is busy, in
// seconds.
const retryAfter = 5

// failAsking answers an error of a model's call.
func (a *api) failAsking(w http.ResponseWriter, r *http.Request, err error) {
	p := ProblemOf(err)
	tomorrow := time.Now().UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
	switch {
	case p.Retryable:
		w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
	case p.Code == "quota":
		w.Header().Set("Retry-After", strconv.Itoa(int(time.Until(tomorrow).Seconds())+1))
	}
	a.opts.Log.Warn("failed", "request_id", RequestID(r.Context()), "status", p.Status, "error", err)
	fail(w, r, p.Status, p.Message)
}

// failReading answers an error of a body.
func (a *api) failReading(w http.ResponseWriter, r *http.Request, err error) {
	var bad *bodyError
	switch {
	case errors.Is(err, errTooLarge):
		fail(w, r, http.StatusRequestEntityTooLarge, "The request is too large: "+err.Error()+".")
	case errors.As(err, &bad):
		fail(w, r, http.StatusBadRequest, invalid, bad.Detail)
	default:
		fail(w, r, http.StatusBadRequest, invalid)
	}
}

const invalid = "The request is not valid."

// A Problem is what a client learns of an error: what happened and whether to
// try again, without a word of AWS's.
type Problem struct {
	Code      string `json:"code"`
	Message   string `json:"message"`
	Retryable bool   `json:"retryable"`
	Status    int    `json:"-"` // of HTTP
}

// ProblemOf returns the problem of an error of the library. An error that the
// client can do nothing about is "internal".
func ProblemOf(err error) Problem {
	status := bedrockx.KindOf(err).HTTPStatus()
	switch {
	case errors.Is(err, bedrockx.ErrThrottled), errors.Is(err, bedrockx.ErrOverloaded), errors.Is(err, bedrockx.ErrNotReady), errors.Is(err, bedrockx.ErrLimited):
		return Problem{"busy", "The assistant is busy. Please try again in a moment.", true, http.StatusTooManyRequests}
	case errors.Is(err, bedrockx.ErrBudget):
		return Problem{"quota", "The limit for today is reached, or too little is left for this answer. It starts again at 00:00 UTC.", false, http.StatusTooManyRequests}
	case errors.Is(err, bedrockx.ErrDailyQuota), errors.Is(err, bedrockx.ErrQuota):
		return Problem{"quota", "The assistant has reached its limit for today.", false, http.StatusTooManyRequests}
	case errors.Is(err, session.ErrConflict):
		return Problem{"conflict", "The conversation is being answered elsewhere. Wait for that answer, then ask again.", true, http.StatusConflict}
	case errors.Is(err, bedrockx.ErrContextOverflow):
		return Problem{"too_long", "The conversation is too long for the model. Start a new one.", false, status}
	case errors.Is(err, bedrockx.ErrTimeout), errors.Is(err, bedrockx.ErrStalled), errors.Is(err, context.DeadlineExceeded):
		return Problem{"timeout", "The model took too long. Please try again.", true, http.StatusGatewayTimeout}
	case errors.Is(err, bedrockx.ErrTruncated), errors.Is(err, bedrockx.ErrCorrupt), errors.Is(err, bedrockx.ErrConnection):
		return Problem{"interrupted", "The answer was interrupted. Please try again.", true, status}
	case errors.Is(err, converse.ErrMaxRounds), errors.Is(err, converse.ErrMaxToolCalls):
		return Problem{"too_many_tools", "The assistant could not finish its look-ups. Try a simpler question.", false, http.StatusBadGateway}
	case errors.Is(err, bedrockx.ErrAccessDenied), errors.Is(err, bedrockx.ErrCredentials), errors.Is(err, bedrockx.ErrNotFound):
		return Problem{"model_unavailable", "The model is not available to this server. Its log says what to allow.", false, http.StatusBadGateway}
	case errors.Is(err, bedrockx.ErrValidation):
		return Problem{"invalid_request", "The model does not accept what the server asked. Trying again will not help.", false, http.StatusBadGateway}
	}
	return Problem{"internal", "The assistant failed. Please try again.", true, http.StatusInternalServerError}
}
