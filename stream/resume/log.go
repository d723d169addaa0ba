package resume

import (
	"context"
	"errors"
	"time"

	"github.com/mangaassist/bedrockkit/stream"
)

// ErrUnknown is the error of an id without an answer: it never had one, or the answer
// ended longer ago than Options.Keep.
var ErrUnknown = errors.New("there is no answer with this id")

// ErrExists is the error of Registry.Start if the id already has an answer.
var ErrExists = errors.New("the id has an answer")

// ErrLost is the error of a run whose lease has expired and whose answer was ended by
// a reader, for example after a long pause of the process.
var ErrLost = errors.New("the answer no longer belongs to this run")

// ErrFull is the error of an answer without room: too many answers are running or
// kept, or the answer is longer than Options.MaxBytes.
var ErrFull = errors.New("there is no room for the answer")

// The codes of the error messages that end an answer, besides those of
// bedrockx.Kind for an error of the model's stream.
const (
	CodeStopped     = "stopped"     // by [Registry.Stop]
	CodeAbandoned   = "abandoned"   // it had no reader for [Options].Grace
	CodeInterrupted = "interrupted" // the process that ran it is gone, or shut down
	CodeTooLong     = "too_long"    // longer than [Options].MaxBytes, or than the log has room for
)

// A Log keeps the messages of answers, for one process or for many: [MemoryLog], the
// log of package redisresume, or your own. Package resumetest tests a log. A Log must
// be safe for concurrent use. Its methods return the error of their context if it is
// done.
type Log interface {
	// Begin creates the answer of a claim. It returns [ErrExists] if the id has an
	// answer of another owner, and [ErrFull] if there is no room. If the same owner
	// repeats it, it succeeds.
	Begin(ctx context.Context, c Claim) error

	// Append adds messages to an answer and renews its lease, even if there are no
	// messages. Their sequences count from 1 without gaps. A message that is there
	// already is ignored, so that an Append can be repeated after an error. After a
	// last message (stream.Message.Last) the answer has ended, and is removed after
	// c.Keep. It returns [ErrLost] if the answer does not exist, belongs to another
	// owner or was ended, and [ErrFull] if there is no room. There is always room for
	// the last message.
	Append(ctx context.Context, c Claim, messages ...stream.Message) (Status, error)

	// Read returns messages after a sequence. If there are none, it waits for one, at
	// most for wait, and then returns an empty page. If the lease of the answer has
	// expired, Read ends the answer with an error message with [CodeInterrupted]. It
	// returns [ErrUnknown] if there is no answer, and [stream.ErrGap] for a sequence
	// that the answer has not reached. The caller must not change the messages.
	Read(ctx context.Context, id string, after int64, wait time.Duration) (Page, error)

	// Stop asks the owner of an answer to stop: its next Append returns
	// Status.Stopped. If the answer has ended, Stop does nothing. It returns
	// [ErrUnknown] if there is no answer.
	Stop(ctx context.Context, id string) error
}

// A Claim identifies the run of an answer, in each of its calls.
type Claim struct {
	ID    string
	Owner string        // unique to this run
	Lease time.Duration // without an Append for this long, the run counts as dead
	Keep  time.Duration // how long the answer can be read after its end
}

// A Status is what [Log.Append] reports to the owner.
type Status struct {
	Stopped bool          // Stop was called
	Unread  time.Duration // how long no Read has waited for a message; 0 if one waits. It may be too small by the wait of a Read that was canceled
}

// A Page is part of an answer.
type Page struct {
	Messages []stream.Message
	Ended    bool // there is nothing after the messages
}
