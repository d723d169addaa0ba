package session

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/mangaassist/bedrockkit/converse"
)

// The errors of every Store. A store may return other errors too.
var (
	// ErrNotFound is the error of loading a session that does not exist, or no longer
	// exists.
	ErrNotFound = errors.New("session not found")
	// ErrConflict is the error of a request to a session while another request to it
	// runs. It is also the error of saving a history that another request has saved,
	// claimed or deleted since it was loaded. Load the history again and repeat the
	// request, or drop the answer.
	ErrConflict error = &codedError{"conflict", "session was changed by another request"}
	// ErrTooLarge is the error of a history that is larger than the store can hold. To
	// make it smaller, keep images and documents in S3 and use their S3URI.
	ErrTooLarge error = &codedError{"session_too_large", "session is too large for its store"}
)

// A codedError is an error that says what a reader is sent of it; see
// stream.ErrorMessage.
type codedError struct{ code, text string }

func (e *codedError) Error() string       { return e.text }
func (e *codedError) MessageCode() string { return e.code }

// History is a conversation as it is stored.
type History struct {
	Messages []converse.Message `json:"messages"`

	// Version is the version in the store. Save compares it and returns a greater one.
	// It is 0 for a session that is not stored yet.
	Version int64 `json:"version"`

	// Busy is the time until which a request has claimed the session. It is zero if no
	// request has.
	Busy time.Time `json:"busy,omitzero"`
}

// A Store keeps histories by the id of a session. It must be safe for concurrent use.
// Package sessiontest tests whether a store does what is said here.
//
// An id is 1 to 1,024 bytes of UTF-8; see [CheckID]. Only the id separates one user
// from another: make it impossible to guess, or put the user's own id into it.
type Store interface {
	// Load returns a history, or ErrNotFound. The caller may change the returned
	// history.
	Load(ctx context.Context, id string) (History, error)

	// Save replaces the history that has h.Version, and returns the new version, which
	// is greater. It returns ErrConflict if the stored history has another version or
	// does not exist; for Version 0, if one exists. A version is never used again, not
	// even after Delete. The stored history is not Busy; h.Busy is ignored.
	Save(ctx context.Context, id string, h History) (version int64, err error)

	// Claim sets Busy of the history with this version and returns the new version, as
	// Save does. It does not change the messages, and should be cheap. With version 0
	// it stores a history without messages. until has a precision of milliseconds; the
	// zero time ends the claim.
	Claim(ctx context.Context, id string, version int64, until time.Time) (newVersion int64, err error)

	// Delete removes a history. It is not an error if there is none.
	Delete(ctx context.Context, id string) error
}

// MaxIDBytes is the maximum length of a session id, in bytes.
const MaxIDBytes = 1024

// CheckID validates the id of a session. The error does not repeat the id.
func CheckID(id string) error {
	switch {
	case id == "":
		return errors.New("session: the id is empty")
	case len(id) > MaxIDBytes:
		return fmt.Errorf("session: the id has %d bytes; %d are allowed", len(id), MaxIDBytes)
	case !utf8.ValidString(id):
		return errors.New("session: the id is not valid UTF-8")
	}
	return nil
}
