package asyncq

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// A Notification says that a job has ended. It has the key of the result, but not the
// result.
type Notification struct {
	// ID stays the same if a notification is sent again, so a receiver that has seen
	// it may ignore it. If a job is redriven, or its id is used again, its next end
	// has another ID.
	ID          string `json:"id"`
	CallbackURL string `json:"callback_url,omitempty"` // from the request; do not trust it
	Status      Status `json:"status"`
}

// A Notifier sends notifications. The worker calls it after it has stored the end of a
// job and before it acknowledges the message. If it fails, the message is held and the
// notifier is called again, with longer and longer waits. So it is called at least
// once. It must be safe for concurrent use. A call has at most 30 s.
type Notifier interface {
	Notify(ctx context.Context, n Notification) error
}

// NotifierFunc is a function as a Notifier.
type NotifierFunc func(context.Context, Notification) error

// Notify calls f.
func (f NotifierFunc) Notify(ctx context.Context, n Notification) error { return f(ctx, n) }

// Notifiers calls several notifiers at the same time, so that a notifier that hangs or
// panics does not stop the others. If one fails, all are called again.
type Notifiers []Notifier

// Notify implements [Notifier].
func (all Notifiers) Notify(ctx context.Context, n Notification) error {
	errs := slices.Repeat([]error{errExited}, len(all))
	var telling sync.WaitGroup
	for i, one := range all {
		telling.Go(func() {
			errs[i] = guarded("a notifier", func() error { return one.Notify(ctx, n) })
		})
	}
	telling.Wait()
	return errors.Join(errs...)
}
