package asyncq

import (
	"context"
	"errors"
	"time"

	"github.com/mangaassist/bedrockkit/bedrockx"
)

// A finding is everything that decides what becomes of a message and its job.
type finding struct {
	// When the message comes.
	status   Status // zero if the store has none
	now      time.Time
	redriven bool // the message was moved back, and is not the one that ended the job
	stranger bool // the status is that of another job with the same id

	// During and after the attempt, whose record status is.
	err       error // nil: the handler has returned nil, or its result was stored before
	throttled bool  // JobOptions.Throttled says so of err
	alone     bool  // the model's service fails, and no job was completed since it began to
	held      bool  // MaxHold is over

	stored      bool // there is a result
	maxAttempts int
}

// A situation is a row of the table.
type situation int

// What may be found when a message comes.
const (
	isUnreadable situation = iota
	isStranger
	isNew
	isEarly
	isTaken
	isExhausted
	isUnburied
	isRedriven
	isEnded

	// What may come of an attempt.
	wasDone
	wasCanceled
	wasDead
	wasAsked
	wasDrained
	wasLost
	wasExited
	wasThrottled
	wasThrottledLong
	wasDenied
	wasOutage
	wasOutageLong
	wasFailed
	wasLastFailed

	// What may fail at the end of a job.
	endUntold
	endUnburied
	endNoDeadLetters

	situations // their number
)

// attemptCount says whether an attempt counts.
type attemptCount string

const (
	countsNot  attemptCount = "no"
	countsOne  attemptCount = "yes"
	countsAnew attemptCount = "from 0 again"
	countsSame attemptCount = "–" // there was none
)

// A fate is what becomes of the message.
type fate string

const (
	fateWork   fate = "the job is begun"
	fateDelete fate = "deleted, after the notifier was called"
	fateBury   fate = "to the dead-letter queue"
	fateSlot   fate = "held, in its slot"
	fateHold   fate = "held, without a slot"
	fateBack   fate = "given back to SQS"
)

// A wait is how long a message waits.
type wait string

const (
	waitNone    wait = "–"
	waitLease   wait = "until the lease ends"
	waitRest    wait = "the rest of its wait"
	waitAsked   wait = "what was asked for"
	waitBackoff wait = "backoff by attempts"
	waitOutage  wait = "1 s, doubling to 30 s"
	waitDelay   wait = "MaxDelay"
)

// A verdict is what becomes of a job and its message.
type verdict struct {
	when    string // in words, for the guide
	state   State  // empty: it stays as it is
	attempt attemptCount
	event   EventKind
	message fate
	wait    wait
}

// verdicts is the table. docs/async.md shows it.
var verdicts = [situations]verdict{
	isUnreadable: {"a message that is not a job", "", countsSame, EventDeadLettered, fateBury, waitNone},
	isStranger:   {"a message of an earlier job, whose id another has by now", "", countsSame, EventDeadLettered, fateBury, waitNone},
	isNew:        {"a job that waits, or whose lease is over", Processing, countsOne, EventStarted, fateWork, waitNone},
	isEarly:      {"a job that is to wait, and comes before its time", "", countsSame, EventDuplicate, fateHold, waitRest},
	isTaken:      {"another worker has the lease", "", countsSame, EventDuplicate, fateHold, waitLease},
	isExhausted:  {"attempts used up, the last one never ended, no result", Failed, countsSame, EventFailed, fateBury, waitNone},
	isUnburied:   {"failed, and not yet in the dead-letter queue", "", countsSame, EventDuplicate, fateBury, waitNone},
	isRedriven:   {"failed, and SQS has moved the dead letter back", Processing, countsAnew, EventStarted, fateWork, waitNone},
	isEnded:      {"the job has ended", "", countsSame, EventDuplicate, fateDelete, waitNone},

	wasDone:          {"nil, or the result of an attempt before", Completed, countsOne, EventCompleted, fateDelete, waitNone},
	wasCanceled:      {"JobCancel", Canceled, countsOne, EventCanceled, fateDelete, waitNone},
	wasDead:          {"JobDead, or a payload that cannot be read", Failed, countsOne, EventFailed, fateBury, waitNone},
	wasAsked:         {"JobRetry", Queued, countsNot, EventRetried, fateHold, waitAsked},
	wasDrained:       {"the worker is shutting down", Queued, countsNot, EventRetried, fateBack, waitNone},
	wasLost:          {"the lease was lost", "", countsSame, EventDuplicate, fateHold, waitLease},
	wasExited:        {"the handler has ended its goroutine", "", countsOne, EventRetried, fateHold, waitLease},
	wasThrottled:     {"throttled, no credentials, or a model that fails for all", "", countsNot, EventThrottled, fateSlot, waitOutage},
	wasThrottledLong: {"the same, for longer than MaxHold", Queued, countsNot, EventRetried, fateHold, waitDelay},
	wasDenied:        {"access denied", Queued, countsNot, EventRetried, fateHold, waitDelay},
	wasOutage:        {"a store is down", "", countsNot, EventAPIError, fateSlot, waitOutage},
	wasOutageLong:    {"the same before the handler ran, for longer than MaxHold; or a result that no store takes", Queued, countsNot, EventRetried, fateHold, waitDelay},
	wasFailed:        {"another error or a panic", Queued, countsOne, EventRetried, fateHold, waitBackoff},
	wasLastFailed:    {"another error or a panic, at the last attempt", Failed, countsOne, EventFailed, fateBury, waitNone},

	endUntold:        {"the notifier fails; the next of the group goes on", "", countsSame, EventAPIError, fateHold, waitBackoff},
	endUnburied:      {"the dead-letter queue takes nothing; the next of the group goes on", "", countsSame, EventAPIError, fateHold, waitBackoff},
	endNoDeadLetters: {"there is no dead-letter queue; the next of the group goes on", "", countsSame, EventReleased, fateBack, waitBackoff},
}

// arrived judges a message as it comes.
func arrived(f finding) situation {
	s := f.status
	switch taken := s.State == Processing && f.now.Before(s.LeaseUntil); {
	case f.stranger:
		return isStranger
	case s.State == Failed && f.redriven:
		return isRedriven
	case s.State == Failed && !s.DeadLettered:
		return isUnburied
	case s.State.Done():
		return isEnded
	case taken:
		return isTaken
	case s.State == Queued && f.now.Before(s.RetryAt):
		return isEarly
	case s.Attempt >= f.maxAttempts && !f.stored:
		return isExhausted
	}
	return isNew
}

// tried judges an attempt.
func tried(f finding) situation {
	var retry *JobRetryError
	var canceled *JobCancelError
	var dead *JobDeadError
	var bad *poison
	var store *OpError
	switch err := f.err; {
	case err == nil:
		return wasDone
	case errors.Is(err, ErrLeaseLost):
		return wasLost
	case errors.As(err, &canceled):
		return wasCanceled
	case errors.As(err, &retry):
		return wasAsked
	case errors.As(err, &dead), errors.As(err, &bad):
		return wasDead
	case errors.Is(err, ErrDraining):
		return wasDrained
	case errors.As(err, &store) && f.held:
		return wasOutageLong
	case errors.As(err, &store):
		return wasOutage
	case f.throttled || f.alone:
		if f.held {
			return wasThrottledLong
		}
		return wasThrottled
	case bedrockx.KindOf(err) == bedrockx.KindAccessDenied:
		return wasDenied
	case f.status.Attempt >= f.maxAttempts:
		return wasLastFailed
	}
	return wasFailed
}

// down reports whether a model's service may be down. Whether it is, or cannot
// bear this one request, the jobs beside it tell.
func down(err error) bool {
	switch bedrockx.KindOf(err) {
	case bedrockx.KindInternal, bedrockx.KindConnection:
		return !errors.Is(err, context.DeadlineExceeded)
	}
	return false
}

// throttled is the default of JobOptions.Throttled: the kinds of bedrockx that time
// or an operator fixes, and no job is to blame for.
func throttled(err error) bool {
	switch bedrockx.KindOf(err) {
	case bedrockx.KindThrottled, bedrockx.KindOverloaded, bedrockx.KindNotReady, bedrockx.KindLimited,
		bedrockx.KindQuota, bedrockx.KindDailyQuota, bedrockx.KindCredentials:
		return true
	}
	return false
}
