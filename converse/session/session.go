package session

import (
	"context"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/mangaassist/bedrockkit/converse"
)

// The errors of stores. Other errors are a store's own.
var (
	// ErrNotFound is the error of loading a session that does not exist, or no
	// longer does.
	ErrNotFound = errors.New("session not found")
	// ErrConflict is the error of saving a history that somebody else has saved
	// or deleted since it was loaded. Load it again and repeat the request, or
	// give up the answer.
	ErrConflict = errors.New("session was changed by another request")
	// ErrTooLarge is the error of a history that is larger than the store can
	// hold. Images and documents can be kept in S3 and given by their S3URI.
	ErrTooLarge = errors.New("session is too large for its store")
)

// History is a conversation as it is stored.
type History struct {
	Messages []converse.Message `json:"messages"`

	// Version is that of the store, which a Save compares and then raises. 0
	// stands for a session that is not stored yet.
	Version int64 `json:"version"`
}

// A Store keeps histories by the id of a session. It is safe for concurrent
// use. Package sessiontest checks that a store does what is said here.
//
// An id is 1 to 1,024 bytes of UTF-8; [CheckID] says so. It is all that
// separates one user from the other: make it unguessable, or put the user's own
// id into it.
type Store interface {
	// Load returns a history, or ErrNotFound. The caller may change what it
	// gets.
	Load(ctx context.Context, id string) (History, error)

	// Save stores a history in the place of the one with its Version, and
	// returns the new version, which is greater. If the stored one has another
	// version by now, or there is none, the error is ErrConflict; with Version
	// 0, if there is one. A version that has been is never given again, also
	// after Delete.
	Save(ctx context.Context, id string, h History) (version int64, err error)

	// Delete removes a history. That there is none is no error.
	Delete(ctx context.Context, id string) error
}

// MaxIDBytes is the longest id of a session.
const MaxIDBytes = 1024

// CheckID returns an error for what is no id of a session. It does not repeat
// it.
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
