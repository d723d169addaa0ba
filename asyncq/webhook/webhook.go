package webhook

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/mangaassist/bedrockkit/asyncq"
)

// Options are those of [New]. The zero value of a field means its default.
type Options struct {
	// Schedule is how long after the attempt before it each attempt is made.
	// The default is that of Standard Webhooks, ten attempts in three days:
	// 0, 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h. Up to a tenth is
	// added at random.
	Schedule []time.Duration

	// Timeout bounds an attempt, from the lookup of the name to the end of the
	// response. The default is 20 s.
	Timeout time.Duration

	// Concurrency bounds the attempts at a time. The default is 8.
	Concurrency int

	// PollInterval is how often Run asks the store what is due. The default is
	// one second.
	PollInterval time.Duration

	// Ports are those that may be connected to. The default is 443.
	Ports []uint16

	// AllowPrefixes are networks that may be connected to although they are not
	// public, such as that of one's own receivers. There are none by default.
	AllowPrefixes []netip.Prefix

	// Allow is asked before each attempt, for a list of known receivers, or of
	// those that have answered with 410. An error ends the delivery as failed.
	Allow func(ctx context.Context, url string) error

	// OnEnd is told of each delivery that has ended, whichever way. It is where
	// a receiver is disabled that has answered with 410 ([Gone]).
	OnEnd func(Delivery)

	// RootCAs are the authorities that certificates are checked with. The
	// default is the system's.
	RootCAs *x509.CertPool

	// Resolver looks names up. The default is the system's.
	Resolver *net.Resolver

	// UserAgent is the header of this name. The default is "bedrockkit-webhook".
	UserAgent string

	// Logger is told of failures of the store; by default nobody is. URLs,
	// bodies and secrets are not logged.
	Logger *slog.Logger
}

var standardSchedule = []time.Duration{0, 5 * time.Second, 5 * time.Minute, 30 * time.Minute,
	2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour}

// maxRetryAfter bounds what a receiver's Retry-After can ask for.
const maxRetryAfter = 24 * time.Hour

// Deliverer stores and sends deliveries. It is safe for concurrent use, also by
// several processes with one store: of those that see a delivery due, one sends
// it.
type Deliverer struct {
	store  Store
	keys   []*standardwebhooks.Webhook
	client *http.Client
	o      Options
	more   chan struct{} // something was stored
}

var _ asyncq.Notifier = (*Deliverer)(nil)

// New returns a deliverer that signs with all of the secrets, of which there are
// 1 to 4. A short one is [ErrSecret].
func New(store Store, secrets []string, optFns ...func(*Options)) (*Deliverer, error) {
	var o Options
	for _, fn := range optFns {
		fn(&o)
	}
	if len(o.Schedule) == 0 {
		o.Schedule = standardSchedule
	}
	if o.Timeout <= 0 {
		o.Timeout = 20 * time.Second
	}
	if o.Concurrency <= 0 {
		o.Concurrency = 8
	}
	if o.PollInterval <= 0 {
		o.PollInterval = time.Second
	}
	if len(o.Ports) == 0 {
		o.Ports = []uint16{443}
	}
	if o.UserAgent == "" {
		o.UserAgent = "bedrockkit-webhook"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Schedule, o.Ports, o.AllowPrefixes = slices.Clone(o.Schedule), slices.Clone(o.Ports), slices.Clone(o.AllowPrefixes)
	keys, err := keys(secrets)
	if err != nil {
		return nil, err
	}
	return &Deliverer{store: store, keys: keys, client: newClient(&o), o: o, more: make(chan struct{}, 1)}, nil
}

// Close closes idle connections. Use it when Run and Deliver have returned.
func (d *Deliverer) Close() { d.client.CloseIdleConnections() }

// An Event is the body of a delivery.
type Event struct {
	Type      string    `json:"type"` // "job.completed", "job.failed" or "job.cancelled"
	Timestamp time.Time `json:"timestamp"`
	Data      EventData `json:"data"`
}

// EventData says how a job ended and where its result is, for those who may read
// it there.
type EventData struct {
	RequestID  string            `json:"request_id"`
	Status     asyncq.State      `json:"status"`
	ResultKey  string            `json:"result_key,omitempty"`
	ErrorClass string            `json:"error_class,omitempty"`
	Metadata   map[string]string `json:"metadata,omitempty"`
	CreatedAt  time.Time         `json:"created_at"`
	FinishedAt time.Time         `json:"finished_at,omitzero"`
}

// DeliveryID is the webhook-id of a notification. It has no dots, which separate
// what is signed.
func DeliveryID(notificationID string) string {
	sum := sha256.Sum256([]byte(notificationID))
	return "msg_" + base64.RawURLEncoding.EncodeToString(sum[:])
}

// Notify stores the delivery of a notification that has a callback URL. One that
// is stored already is no error, and a URL that is refused neither: it is stored as
// failed, since asking again would not mend it.
func (d *Deliverer) Notify(ctx context.Context, n asyncq.Notification) error {
	if n.CallbackURL == "" {
		return nil
	}
	now := time.Now().UTC()
	body, err := json.Marshal(Event{Type: "job." + string(n.Status.State), Timestamp: now, Data: EventData{
		RequestID: n.Status.ID, Status: n.Status.State, ResultKey: n.Status.ResultKey, ErrorClass: n.Status.ErrorClass,
		Metadata: n.Status.Metadata, CreatedAt: n.Status.CreatedAt, FinishedAt: n.Status.FinishedAt,
	}})
	if err != nil {
		return fmt.Errorf("webhook: the event of job %s: %w", n.Status.ID, err)
	}
	delivery := Delivery{ID: DeliveryID(n.ID), URL: n.CallbackURL, Body: body, State: Pending,
		NextAttempt: now.Add(d.delay(0)), CreatedAt: now}
	if err := checkURL(n.CallbackURL); err != nil {
		delivery.State, delivery.LastError, delivery.EndedAt = Failed, errorWord(err), now
	}
	switch err := d.store.Create(ctx, delivery); {
	case errors.Is(err, asyncq.ErrExists):
		return nil
	case err != nil:
		return fmt.Errorf("webhook: storing the delivery for job %s: %w", n.Status.ID, err)
	}
	if delivery.State != Pending && d.o.OnEnd != nil {
		delivery.Version = 1
		d.o.OnEnd(delivery)
	}
	select {
	case d.more <- struct{}{}:
	default:
	}
	return nil
}

// delay is the time before an attempt, counted from 0.
func (d *Deliverer) delay(attempt int) time.Duration {
	wait := max(d.o.Schedule[attempt], 0)
	return wait + rand.N(wait/10+1)
}

// Run delivers what is due until ctx ends, whose cause it returns, and waits for
// the attempts that it has begun; they end with ctx too, and those do not count.
// Where the store fails, it goes on.
func (d *Deliverer) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-timer.C:
		case <-d.more:
		}
		for {
			n, err := d.Deliver(ctx)
			if err != nil && ctx.Err() == nil {
				d.o.Logger.Error("webhook: delivering", "error", err)
			}
			if n == 0 || err != nil || ctx.Err() != nil {
				break
			}
		}
		timer.Reset(d.o.PollInterval)
	}
}

// Deliver makes the attempts that are due now, at most a hundred, and returns how
// many it has made. It is what a timer or a Lambda calls in place of Run. The error
// is the store's; that an attempt has failed is in its delivery.
func (d *Deliverer) Deliver(ctx context.Context) (int, error) {
	due, err := d.store.Due(ctx, time.Now(), 100)
	if err != nil {
		return 0, fmt.Errorf("webhook: asking what is due: %w", err)
	}
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		made  int
		errs  []error
		slots = make(chan struct{}, d.o.Concurrency)
	)
	for _, delivery := range due {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			ok, err := d.attempt(ctx, delivery)
			mu.Lock()
			defer mu.Unlock()
			if ok {
				made++
			}
			if err != nil {
				errs = append(errs, err)
			}
		})
	}
	wg.Wait()
	return made, errors.Join(errs...)
}

// attempt claims a delivery, sends it and stores how that went.
func (d *Deliverer) attempt(ctx context.Context, delivery Delivery) (made bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	delivery.Attempt++
	// Whoever dies now leaves it to be sent again after this time.
	delivery.NextAttempt = time.Now().Add(2 * d.o.Timeout).UTC()
	switch err := d.store.Update(ctx, delivery); {
	case errors.Is(err, asyncq.ErrConflict), errors.Is(err, asyncq.ErrNotFound):
		return false, nil // another has it
	case err != nil:
		return false, fmt.Errorf("webhook: claiming a delivery: %w", err)
	}
	delivery.Version++

	var got answer
	if d.o.Allow != nil {
		if err := d.o.Allow(ctx, delivery.URL); err != nil {
			got.err = fmt.Errorf("%w: %w", ErrRefused, err)
		}
	}
	if got.err == nil {
		got = d.send(ctx, &delivery)
	}
	stopped := got.err != nil && ctx.Err() != nil
	// What was sent is to be stored also where the time to send is over.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	now := time.Now().UTC()
	delivery.LastStatus, delivery.LastError = got.status, ""
	if got.err != nil {
		delivery.LastError = errorWord(got.err)
	}
	switch {
	case stopped: // not the receiver's fault, so it does not count
		delivery.Attempt--
		delivery.NextAttempt = now
	case got.status >= 200 && got.status < 300:
		delivery.State = Delivered
	case got.status == http.StatusGone:
		delivery.State = Gone
	case errors.Is(got.err, ErrRefused), delivery.Attempt >= len(d.o.Schedule):
		delivery.State = Failed
	default:
		delivery.NextAttempt = now.Add(max(d.delay(delivery.Attempt), min(got.retryAfter, maxRetryAfter)))
	}
	if delivery.State != Pending {
		delivery.EndedAt = now
	}
	if err := d.store.Update(ctx, delivery); err != nil {
		if errors.Is(err, asyncq.ErrConflict) {
			return true, nil // it took so long that another has sent it as well
		}
		return true, fmt.Errorf("webhook: storing an attempt: %w", err)
	}
	delivery.Version++
	if delivery.State != Pending && d.o.OnEnd != nil {
		d.o.OnEnd(delivery)
	}
	return true, nil
}
