package asyncq

import (
	"context"
	"errors"
)

// A Notification tells that a job has ended. It names the result and does not
// hold it.
type Notification struct {
	// ID is the same however often the end of this job is told: a receiver
	// that has seen it may ignore it.
	ID          string `json:"id"`
	CallbackURL string `json:"callback_url,omitempty"` // of the request; not to be trusted
	Status      Status `json:"status"`
}

// A Notifier takes notifications. The worker calls it when the end of a job is
// stored and before it acknowledges the message; where it fails, the message
// comes again and the notifier is asked again. So it is told at least once, and
// must be safe for concurrent use.
type Notifier interface {
	Notify(ctx context.Context, n Notification) error
}

// NotifierFunc is a function as a Notifier.
type NotifierFunc func(context.Context, Notification) error

// Notify calls f.
func (f NotifierFunc) Notify(ctx context.Context, n Notification) error { return f(ctx, n) }

// Notifiers tells all of several; each that fails is told again with the others.
type Notifiers []Notifier

// Notify implements [Notifier].
func (all Notifiers) Notify(ctx context.Context, n Notification) error {
	var errs []error
	for _, one := range all {
		errs = append(errs, one.Notify(ctx, n))
	}
	return errors.Join(errs...)
}
