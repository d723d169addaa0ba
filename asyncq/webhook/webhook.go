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
	"net"
	"net/http"
	"net/netip"
	"slices"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/mangaassist/bedrockkit/asyncq"
)

// Options are the options of [New]. The zero value of a field means its default.
type Options struct {
	// Schedule is how long after the attempt before it each attempt is made.
	// The default is that of Standard Webhooks, ten attempts in three days:
	// 0, 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h. Up to a tenth is
	// added at random.
	Schedule []time.Duration

	// Timeout bounds an attempt, from the lookup of the name to the end of the
	// response. The default is 20 s.
	Timeout time.Duration

	// Concurrency bounds the attempts at a time. The default is 8. An attempt that
	// has taken a quarter of a second does not count any more, so that a receiver
	// that hangs delays no other. At one URL there are at most four attempts at a
	// time, and one while it does not answer.
	Concurrency int

	// PollInterval is how often Run asks the store what is due. The default is
	// one second.
	PollInterval time.Duration

	// Ports are those that may be connected to. The default is 443.
	Ports []uint16

	// AllowPrefixes are networks that may be connected to although they are not
	// public, such as that of one's own receivers. There are none by default.
	AllowPrefixes []netip.Prefix

	// AllowHTTP takes http as well, to an address within AllowPrefixes or to
	// "localhost". By default only https is taken.
	AllowHTTP bool

	// Secrets returns the secrets that a delivery is signed with, such as those of
	// the customer whom its Metadata names. There are 1 to 4. If it fails, so does
	// the attempt. By default they are the ones that New was given.
	Secrets func(ctx context.Context, d Delivery) ([]string, error)

	// Allow is asked before each attempt, for a list of known receivers, or of
	// those that have answered with 410. An error ends the delivery as failed.
	// Its context ends after Timeout; if it fails for that, or panics, the
	// attempt has failed.
	Allow func(ctx context.Context, url string) error

	// OnEnd is called for each delivery that has ended, well or not. It is where
	// a receiver is disabled that has answered with 410 ([Gone]). It must be safe
	// for concurrent use.
	OnEnd func(Delivery)

	// RootCAs are the authorities that certificates are checked with. The
	// default is the system's.
	RootCAs *x509.CertPool

	// Resolver looks names up. The default is the system's.
	Resolver *net.Resolver

	// UserAgent is the header of this name. The default is "bedrockkit-webhook".
	UserAgent string

	// Logger gets failures of the store and of panics in Allow and OnEnd,
	// in at most one line a minute; by default nobody is. URLs, bodies and
	// secrets are not logged.
	Logger *slog.Logger
}

var standardSchedule = []time.Duration{0, 5 * time.Second, 5 * time.Minute, 30 * time.Minute,
	2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour}

// maxRetryAfter bounds what a receiver's Retry-After can ask for.
const maxRetryAfter = 24 * time.Hour

// Deliverer stores and sends deliveries. It is safe for concurrent use. Several
// processes may share a store: only one of them sends a delivery that is due.
type Deliverer struct {
	store  Store
	keys   []*standardwebhooks.Webhook
	client *http.Client
	policy asyncq.CallbackPolicy
	o      Options
	more   chan struct{} // something was stored
	hangs  hangs
}

var _ asyncq.Notifier = (*Deliverer)(nil)

// New returns a deliverer that signs with all of the secrets. There are
// 1 to 4, or with those of Options.Secrets. A short one is [ErrSecret].
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
	d := &Deliverer{store: store, policy: asyncq.CallbackPolicy{Ports: o.Ports, AllowPrefixes: o.AllowPrefixes, AllowHTTP: o.AllowHTTP}, o: o, more: make(chan struct{}, 1)}
	if o.Secrets == nil || len(secrets) > 0 {
		var err error
		if d.keys, err = keys(secrets); err != nil {
			return nil, err
		}
	}
	d.client = newClient(&d.o, d.policy)
	return d, nil
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

// DeliveryID returns the webhook-id of a notification. It has no dots, because dots
// separate the signed parts.
func DeliveryID(notificationID string) string {
	sum := sha256.Sum256([]byte(notificationID))
	return "msg_" + base64.RawURLEncoding.EncodeToString(sum[:])
}

// Notify stores the delivery of a notification that has a callback URL. It is not an
// error if the delivery is stored already, or if the URL is refused: it is then stored
// as failed, because another attempt would not help.
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
	if err := d.check(n.CallbackURL); err != nil {
		delivery.State, delivery.LastError, delivery.EndedAt = Failed, errorWord(err), now
	}
	err = guarded("the store", func() error { return d.store.Create(ctx, delivery) })
	switch {
	case errors.Is(err, asyncq.ErrExists):
		return nil
	case err != nil:
		return fmt.Errorf("webhook: storing the delivery for job %s: %w", n.Status.ID, err)
	}
	if delivery.State != Pending {
		delivery.Version = 1
		if err := d.end(delivery); err != nil {
			return err
		}
	}
	select {
	case d.more <- struct{}{}:
	default:
	}
	return nil
}
