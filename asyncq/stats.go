package asyncq

import (
	"maps"
	"sync"
	"time"
)

// EventKind says what an [Event] is.
type EventKind string

// The kinds.
const (
	EventReceived     EventKind = "received"      // Count messages were received
	EventStarted      EventKind = "started"       // an attempt began
	EventCompleted    EventKind = "completed"     // a job was done
	EventCanceled     EventKind = "cancelled"     // a job was canceled by its handler
	EventFailed       EventKind = "failed"        // a job has failed for good
	EventRetried      EventKind = "retried"       // a job will be tried again
	EventThrottled    EventKind = "throttled"     // the model takes no more for now
	EventHeld         EventKind = "held"          // a message waits in the worker for Duration; ErrorClass says why
	EventDeadLettered EventKind = "dead_lettered" // a job went to the dead-letter queue
	EventDuplicate    EventKind = "duplicate"     // a message of a job that has ended, or that another worker has
	EventReleased     EventKind = "released"      // a message was given back without an attempt
	EventAPIError     EventKind = "api_error"     // a request to SQS, a store or a notifier failed; ErrorClass is its OpError.Op
)

// An Event is something that a worker does.
type Event struct {
	Kind       EventKind
	Queue      string
	JobID      string
	Attempt    int
	Count      int           // of messages, for EventReceived
	Duration   time.Duration // of the attempt; for EventStarted the time since the submission, for EventHeld how long the message will wait
	Age        time.Duration // since the submission, for the ends of jobs
	ErrorClass string
}

// Health is the state of a worker, for a health check.
type Health struct {
	Running   int     `json:"running"`              // jobs under way
	Waiting   int     `json:"waiting"`              // messages that are ready to start
	Held      int     `json:"held"`                 // messages that wait for a time, or for another message of their group
	Limit     float64 `json:"limit"`                // of Running, for now
	Paused    bool    `json:"paused"`               // by Pause
	Draining  bool    `json:"draining"`             // Run's context has ended
	LastError string  `json:"last_error,omitempty"` // of a request; empty once a receive has succeeded
}

// Stats are what a worker has done since it started, and what it does now.
type Stats struct {
	Health

	// Events counts the events by kind. For EventReceived it counts messages.
	Events map[EventKind]int64 `json:"events"`

	// Rate is how many jobs a second ended in the last minute, completed or not.
	Rate float64 `json:"rate"`

	// Attempts counts the jobs that have ended, by the number of their attempts.
	Attempts map[int]int64 `json:"attempts"`

	// Holds counts the messages that are held now, by reason: an error class such as
	// "throttled", or the OpError.Op that fails.
	Holds map[string]int `json:"holds"`

	// DeadLetters counts the messages that this worker sent to the dead-letter queue,
	// by error class.
	DeadLetters map[string]int64 `json:"dead_letters"`

	// Oldest is the time since the worker received the oldest message that it has.
	Oldest time.Duration `json:"oldest_ns"`

	// Age is the mean time from the submission of a job to its end, of the jobs
	// that ended in the last minute.
	Age time.Duration `json:"age_ns"`
}

// slices of the last minute, for rates.
const (
	spanCount = 6
	spanTime  = 10 * time.Second
)

type span struct {
	number int64 // which span of time it is
	ended  int64
	age    time.Duration // of all that ended
}

// A ledger counts events and holds, and passes events on.
type ledger struct {
	observer func(Event)

	mu       sync.Mutex
	events   map[EventKind]int64
	attempts map[int]int64
	holds    map[string]int
	dead     map[string]int64
	spans    [spanCount]span
}

func newLedger(observer func(Event)) *ledger {
	return &ledger{observer: observer, events: map[EventKind]int64{}, attempts: map[int]int64{}, holds: map[string]int{}, dead: map[string]int64{}}
}

func (l *ledger) observe(e Event) {
	l.mu.Lock()
	l.events[e.Kind] += int64(max(e.Count, 1))
	switch e.Kind {
	case EventCompleted, EventFailed, EventCanceled:
		l.attempts[e.Attempt]++
		s := l.span(time.Now())
		s.ended++
		s.age += e.Age
	case EventDeadLettered:
		l.dead[bounded(l.dead, e.ErrorClass)]++
	}
	l.mu.Unlock()
	if l.observer != nil {
		// An observer that panics does not end a worker, and nobody hears of it.
		_ = guarded("Observe", func() error { l.observer(e); return nil })
	}
}

// mostClasses bounds the error classes that are counted apart: they are the user's.
const mostClasses = 100

// bounded is a class, or "other" if there are too many.
func bounded[V any](known map[string]V, class string) string {
	if _, ok := known[class]; !ok && len(known) >= mostClasses {
		return "other"
	}
	return class
}

// span is that of a time. l.mu is held.
func (l *ledger) span(at time.Time) *span {
	number := at.UnixNano() / int64(spanTime)
	s := &l.spans[number%spanCount]
	if s.number != number {
		*s = span{number: number}
	}
	return s
}

// holding counts a message as held until the returned function is called.
func (l *ledger) holding(reason string) (release func()) {
	l.mu.Lock()
	reason = bounded(l.holds, reason)
	l.holds[reason]++
	l.mu.Unlock()
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.holds[reason]--; l.holds[reason] == 0 {
			delete(l.holds, reason)
		}
	}
}

func (l *ledger) stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := Stats{Events: maps.Clone(l.events), Attempts: maps.Clone(l.attempts), Holds: maps.Clone(l.holds), DeadLetters: maps.Clone(l.dead)}
	var all span
	now := time.Now().UnixNano() / int64(spanTime)
	for _, one := range l.spans {
		if one.number > now-spanCount {
			all.ended += one.ended
			all.age += one.age
		}
	}
	if s.Rate = float64(all.ended) / (spanCount * spanTime).Seconds(); all.ended > 0 {
		s.Age = all.age / time.Duration(all.ended)
	}
	return s
}
