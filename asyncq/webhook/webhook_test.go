package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mangaassist/bedrockkit/asyncq"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	secret    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" // that of the Standard Webhooks documents
	oldSecret = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)

// note is the end of a job that has a callback URL.
func note(url string) asyncq.Notification {
	return asyncq.Notification{ID: "job-1.completed", CallbackURL: url, Status: asyncq.Status{
		ID: "job-1", State: asyncq.Completed, ResultKey: "result/job-1", Metadata: map[string]string{"title": "漫画"},
		CreatedAt: time.Unix(1_700_000_000, 0).UTC(), FinishedAt: time.Unix(1_700_000_060, 0).UTC(), Lease: "canary", PayloadHash: "canary"}}
}

// A site is a receiver on the loopback interface, with its certificate, and a
// deliverer that may connect to it.
type site struct {
	*httptest.Server
	store *MemoryStore
	ended []Delivery
	mu    sync.Mutex
	hits  atomic.Int64
}

func newSite(t *testing.T, h http.Handler) *site {
	s := &site{store: NewMemoryStore()}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.hits.Add(1)
		w.Header().Set("Connection", "close") // each attempt is dialled
		h.ServeHTTP(w, r)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes are meant to fail
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func (s *site) port(t *testing.T) uint16 {
	return netip.MustParseAddrPort(strings.TrimPrefix(s.URL, "https://")).Port()
}

// url is the site under another name.
func (s *site) url(t *testing.T, host string) string {
	return "https://" + net.JoinHostPort(host, strconv.Itoa(int(s.port(t)))) + "/hook"
}

func (s *site) deliverer(t *testing.T, optFns ...func(*Options)) *Deliverer {
	d, err := New(s.store, []string{secret}, append([]func(*Options){func(o *Options) {
		o.RootCAs = s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
		o.Ports = []uint16{s.port(t)}
		o.AllowPrefixes = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
		o.Schedule = []time.Duration{0, 0, 0}
		o.OnEnd = func(d Delivery) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.ended = append(s.ended, d)
		}
	}}, optFns...)...)
	require.NoError(t, err)
	t.Cleanup(d.Close)
	return d
}

func (s *site) delivery(t *testing.T) Delivery {
	d, err := s.store.Get(t.Context(), DeliveryID("job-1.completed"))
	require.NoError(t, err)
	return d
}

// From the end of a job to the receiver, over TLS.
func TestDelivery(t *testing.T) {
	var got Event
	var ids []string
	fail := 1
	next := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ids = append(ids, ID(r.Context()))
		if fail > 0 {
			fail--
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		assert.NotContains(t, string(body), "canary")
		assert.NoError(t, json.Unmarshal(body, &got))
		w.WriteHeader(http.StatusNoContent)
	})
	receiver, err := NewReceiver(next, []string{oldSecret, secret})
	require.NoError(t, err)
	s := newSite(t, receiver)
	d := s.deliverer(t)
	n := note(s.url(t, "127.0.0.1"))
	require.NoError(t, d.Notify(t.Context(), n))
	require.NoError(t, d.Notify(t.Context(), n), "told twice")
	for range 2 {
		made, err := d.Deliver(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 1, made)
	}
	made, err := d.Deliver(t.Context())
	require.NoError(t, err)
	assert.Zero(t, made)

	assert.Equal(t, []string{DeliveryID(n.ID), DeliveryID(n.ID)}, ids, "the id is that of all attempts")
	assert.Equal(t, "job.completed", got.Type)
	assert.Equal(t, EventData{RequestID: "job-1", Status: asyncq.Completed, ResultKey: "result/job-1", Metadata: n.Status.Metadata,
		CreatedAt: n.Status.CreatedAt, FinishedAt: n.Status.FinishedAt}, got.Data)
	end := s.delivery(t)
	assert.Equal(t, Delivered, end.State)
	assert.Equal(t, 2, end.Attempt)
	assert.Equal(t, 204, end.LastStatus)
	require.Len(t, s.ended, 1)
	assert.Equal(t, end, s.ended[0])

	require.NoError(t, d.Notify(t.Context(), asyncq.Notification{ID: "job-2.completed"}), "without a callback URL")
	_, err = s.store.Get(t.Context(), DeliveryID("job-2.completed"))
	require.ErrorIs(t, err, asyncq.ErrNotFound)
}

// Each delivery is signed with the secrets of whom its metadata names, also over
// http to an allowed address.
func TestSecretsOfDelivery(t *testing.T) {
	receiver, err := NewReceiver(status(204), []string{oldSecret})
	require.NoError(t, err)
	site := httptest.NewServer(receiver)
	defer site.Close()
	store := NewMemoryStore()
	var answer []string
	var failure error
	d, err := New(store, nil, func(o *Options) {
		o.Ports = []uint16{netip.MustParseAddrPort(strings.TrimPrefix(site.URL, "http://")).Port()}
		o.AllowPrefixes, o.AllowHTTP = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, true
		o.Schedule = []time.Duration{0, 0, 0, 0, 0}
		o.Secrets = func(_ context.Context, d Delivery) ([]string, error) {
			var event Event
			assert.NoError(t, json.Unmarshal(d.Body, &event))
			assert.Equal(t, "漫画", event.Data.Metadata["title"])
			if answer == nil && failure == nil {
				panic("canary")
			}
			return answer, failure
		}
	})
	require.NoError(t, err)
	defer d.Close()
	require.NoError(t, d.Notify(t.Context(), note(site.URL)))
	for _, step := range []struct {
		secrets []string
		err     error
		word    string
		status  int
	}{
		{[]string{secret}, nil, "", 401},
		{[]string{"whsec_short"}, nil, "secret", 0},
		{nil, errors.New("canary"), "secret", 0},
		{nil, nil, "panic", 0},
		{[]string{oldSecret}, nil, "", 204},
	} {
		answer, failure = step.secrets, step.err
		made, err := d.Deliver(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, made)
		got, err := store.Get(t.Context(), DeliveryID("job-1.completed"))
		require.NoError(t, err)
		assert.Equal(t, step.word, got.LastError)
		assert.Equal(t, step.status, got.LastStatus)
	}
	_, err = New(store, nil)
	require.ErrorIs(t, err, ErrSecret)
}

func status(code int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
}

// transport answers in place of the network.
type transport func(*http.Request) *http.Response

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if resp := f(r); resp != nil {
		return resp, nil
	}
	return nil, io.ErrUnexpectedEOF
}

func answering(code int, retryAfter string) *http.Response {
	return &http.Response{StatusCode: code, Header: http.Header{"Retry-After": {retryAfter}}, Body: http.NoBody}
}

// broken is a store that fails.
type broken struct{ Store }

var errBroken = errors.New("the store is down")

func (broken) Create(context.Context, Delivery) error { return errBroken }
func (broken) Due(context.Context, time.Time, int) ([]Delivery, error) {
	return nil, errBroken
}

func TestStoreDown(t *testing.T) {
	d, err := New(broken{}, []string{secret})
	require.NoError(t, err)
	require.ErrorIs(t, d.Notify(t.Context(), note("https://manga.example/hook")), errBroken, "the worker asks again")
	_, err = d.Deliver(t.Context())
	require.ErrorIs(t, err, errBroken)
}
