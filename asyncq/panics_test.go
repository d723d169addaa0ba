package asyncq_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/mangaassist/bedrockkit/asyncq"
)

// classed is an error of a user's. Its methods panic on a nil pointer.
type classed struct{ class string }

func (e *classed) Error() string      { return e.class }
func (e *classed) ErrorClass() string { return e.class }

type panicStatus struct {
	asyncq.StatusStore
	left int
}

func (p *panicStatus) Update(ctx context.Context, s asyncq.Status) error {
	if p.left--; p.left >= 0 {
		panic("in the store")
	}
	return p.StatusStore.Update(ctx, s)
}

// A panic of anything that is the user's is that job's failure, or no more than a
// request that failed. The worker goes on.
func TestPanics(t *testing.T) {
	for name, tt := range map[string]struct {
		handler func() error
		options func(*asyncq.WorkerOptions)
		state   asyncq.State
		class   string
	}{
		"the handler": {handler: func() error { panic("in the handler") }, state: asyncq.Failed, class: "panic"},
		"the class of an error": {handler: func() error {
			var e *classed
			return e
		}, state: asyncq.Failed, class: "panic"},
		"the notifier": {options: func(o *asyncq.WorkerOptions) {
			o.Notifier = asyncq.NotifierFunc(func(context.Context, asyncq.Notification) error { panic("in the notifier") })
		}, state: asyncq.Completed},
		"the observer": {options: func(o *asyncq.WorkerOptions) {
			o.Observe = func(asyncq.Event) { panic("in the observer") }
		}, state: asyncq.Completed},
		"of the trace": {options: func(o *asyncq.WorkerOptions) {
			o.WithTrace = func(context.Context, string) context.Context { panic("in WithTrace") }
		}, state: asyncq.Failed, class: "panic"},
		"Throttled": {handler: func() error { return errors.New("no") }, options: func(o *asyncq.WorkerOptions) {
			o.Throttled = func(error) bool { panic("in Throttled") }
		}, state: asyncq.Failed, class: "panic"},
		"OnError": {options: func(o *asyncq.WorkerOptions) {
			o.OnError = func(context.Context, error) { panic("in OnError") }
			o.Notifier = asyncq.NotifierFunc(func(context.Context, asyncq.Notification) error { return errDown })
		}, state: asyncq.Completed},
		"the status store": {options: func(o *asyncq.WorkerOptions) {
			o.Status = &panicStatus{o.Status, 3}
		}, state: asyncq.Completed},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				p := w.producer(func(o *asyncq.ProducerOptions) {
					o.TraceParent = func(context.Context) string { return "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01" }
				})
				id, err := p.Submit(t.Context(), asyncq.Request[string]{Payload: "x"})
				assert.NoError(t, err)
				worker := w.worker(func(_ context.Context, job *asyncq.Job[string]) error {
					if tt.handler == nil || job.Payload == "good" {
						return nil
					}
					return tt.handler()
				}, func(o *asyncq.WorkerOptions) {
					if tt.options != nil {
						tt.options(o)
					}
				})
				stop := w.start(worker)
				s := w.wait(id)
				assert.Equal(t, tt.state, s.State)
				assert.Equal(t, tt.class, s.ErrorClass)
				good := w.submit(asyncq.Request[string]{Payload: "good"})
				assert.Equal(t, asyncq.Completed, w.wait(good).State)
				time.Sleep(10 * time.Minute)
				assert.Zero(t, worker.Health().Running)
				stop()
			})
		})
	}
}
