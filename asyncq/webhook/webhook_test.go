package webhook

import (
	"context"
	"encoding/base64"
	"encoding/binary"
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
	"testing/synctest"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
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

// The vector is that of the reference library's own test and of the document.
func TestSignature(t *testing.T) {
	k, err := keys([]string{secret, oldSecret})
	require.NoError(t, err)
	h := http.Header{}
	require.NoError(t, sign(k, h, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`)))
	first, second, found := strings.Cut(h.Get("webhook-signature"), " ")
	assert.Equal(t, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", first)
	assert.True(t, found && strings.HasPrefix(second, "v1,"), second)
	assert.Equal(t, "1614265330", h.Get("webhook-timestamp"))
}

func TestSecrets(t *testing.T) {
	encode := func(n int) string { return "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, n)) }
	for name, secrets := range map[string][]string{
		"none":      {},
		"empty":     {""},
		"no key":    {"whsec_"},
		"short":     {encode(23)},
		"long":      {encode(65)},
		"no prefix": {strings.TrimPrefix(encode(32), "whsec_")},
		"no base64": {"whsec_!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!"},
		"five":      {encode(32), encode(32), encode(32), encode(32), encode(32)},
		"one short": {encode(32), encode(8)},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(NewMemoryStore(), secrets)
			require.ErrorIs(t, err, ErrSecret)
			_, err = NewReceiver(http.NotFoundHandler(), secrets)
			require.ErrorIs(t, err, ErrSecret)
			for _, s := range secrets {
				if len(s) > 6 {
					assert.NotContains(t, err.Error(), s)
				}
			}
		})
	}
	for _, s := range []string{NewSecret(), encode(24), encode(64)} {
		_, err := New(NewMemoryStore(), []string{s})
		require.NoError(t, err)
	}
	assert.NotEqual(t, NewSecret(), NewSecret())
}

// note is the end of a job that has a callback URL.
func note(url string) asyncq.Notification {
	return asyncq.Notification{ID: "job-1.completed", CallbackURL: url, Status: asyncq.Status{
		ID: "job-1", State: asyncq.Completed, ResultKey: "result/job-1", Metadata: map[string]string{"title": "漫画"},
		CreatedAt: time.Unix(1_700_000_000, 0).UTC(), FinishedAt: time.Unix(1_700_000_060, 0).UTC(), Lease: "canary", PayloadHash: "canary"}}
}

// resolver answers each question for an IPv4 address with the next of these; the
// last one stays. It speaks DNS over a pipe.
func resolver(addresses ...string) *net.Resolver {
	var asked atomic.Int64
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			defer server.Close()
			for {
				var size [2]byte
				if _, err := io.ReadFull(server, size[:]); err != nil {
					return
				}
				query := make([]byte, binary.BigEndian.Uint16(size[:]))
				if _, err := io.ReadFull(server, query); err != nil {
					return
				}
				end := 12
				for query[end] != 0 {
					end += int(query[end]) + 1
				}
				end += 5 // the root, type and class
				answer := append([]byte{}, query[:end]...)
				copy(answer[2:12], []byte{0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0})
				if query[end-3] == 1 { // type A
					n := int(asked.Add(1))
					ip := netip.MustParseAddr(addresses[min(n, len(addresses))-1]).As4()
					answer[7] = 1
					answer = append(answer, 0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
					answer = append(answer, ip[:]...)
				}
				if _, err := server.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
					return
				}
			}
		}()
		return client, nil
	}}
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

func status(code int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
}

// What is not public is refused when it is dialled, however it is named; nothing
// reaches the server, which listens there.
func TestRefused(t *testing.T) {
	s := newSite(t, status(200))
	none := func(o *Options) { o.AllowPrefixes = nil }
	for name, tt := range map[string]struct {
		url    string
		optFns []func(*Options)
	}{
		"loopback":            {s.url(t, "127.0.0.1"), nil},
		"loopback, IPv6":      {s.url(t, "::1"), nil},
		"loopback, mapped":    {s.url(t, "::ffff:127.0.0.1"), nil},
		"all addresses":       {s.url(t, "0.0.0.0"), nil},
		"all addresses, IPv6": {s.url(t, "::"), nil},
		"loopback, NAT64":     {s.url(t, "64:ff9b::127.0.0.1"), nil},
		"loopback, 6to4":      {s.url(t, "2002:7f00:1::"), nil},
		"loopback, a zone":    {s.url(t, "::1%25lo"), nil},
		"by name, mapped":     {s.url(t, "example.com"), []func(*Options){func(o *Options) { o.Resolver = resolver("::ffff:10.0.0.1") }}},
		"private":             {s.url(t, "10.0.0.1"), nil},
		"private, 172.16/12":  {s.url(t, "172.16.0.1"), nil},
		"private, 192.168/16": {s.url(t, "192.168.1.1"), nil},
		"shared":              {s.url(t, "100.64.0.1"), nil},
		"link-local metadata": {s.url(t, "169.254.169.254"), nil},
		"link-local, IPv6":    {s.url(t, "fe80::1"), nil},
		"unique local, IPv6":  {s.url(t, "fd00:ec2::254"), nil},
		"by name":             {s.url(t, "example.com"), []func(*Options){func(o *Options) { o.Resolver = resolver("127.0.0.1") }}},
		"by name, private":    {s.url(t, "example.com"), []func(*Options){func(o *Options) { o.Resolver = resolver("192.168.0.10") }}},
		"localhost":           {s.url(t, "localhost"), nil},
		"another port":        {"https://127.0.0.1:1/", nil},
		"not https":           {"http://127.0.0.1/", nil},
		"a user":              {"https://user:canary@127.0.0.1/", nil},
		"no host":             {"https:///path", nil},
		"no URL":              {"https://[::1", nil},
		"too long":            {"https://127.0.0.1/" + strings.Repeat("x", 2048), nil},
		"not allowed":         {s.url(t, "127.0.0.1"), []func(*Options){func(o *Options) { o.Allow = func(context.Context, string) error { return errors.New("unknown") } }}},
	} {
		t.Run(name, func(t *testing.T) {
			s.store = NewMemoryStore()
			d := s.deliverer(t, append([]func(*Options){none}, tt.optFns...)...)
			require.NoError(t, d.Notify(t.Context(), note(tt.url)))
			_, err := d.Deliver(t.Context())
			require.NoError(t, err)
			end := s.delivery(t)
			assert.Equal(t, Failed, end.State)
			assert.Equal(t, "refused", end.LastError)
		})
	}
	assert.Zero(t, s.hits.Load())
}

// A redirect is an answer like another that is not 2xx, and is not followed.
func TestRedirect(t *testing.T) {
	inner := newSite(t, status(200))
	s := newSite(t, http.RedirectHandler(inner.URL, http.StatusTemporaryRedirect))
	d := s.deliverer(t, func(o *Options) {
		o.Ports = append(o.Ports, inner.port(t)) // so that following would succeed
	})
	require.NoError(t, d.Notify(t.Context(), note(s.url(t, "127.0.0.1"))))
	for range 4 {
		_, err := d.Deliver(t.Context())
		require.NoError(t, err)
	}
	assert.EqualValues(t, 3, s.hits.Load())
	assert.Zero(t, inner.hits.Load())
	assert.Equal(t, Failed, s.delivery(t).State)
	assert.Equal(t, 307, s.delivery(t).LastStatus)
}

// The name of a receiver that answers well, and then leads elsewhere.
func TestRebinding(t *testing.T) {
	s := newSite(t, status(500))
	d := s.deliverer(t, func(o *Options) { o.Resolver = resolver("127.0.0.1", "127.0.0.2") })
	require.NoError(t, d.Notify(t.Context(), note(s.url(t, "example.com"))))
	_, err := d.Deliver(t.Context())
	require.NoError(t, err)
	assert.EqualValues(t, 1, s.hits.Load(), "127.0.0.1 is allowed here, as a public address is elsewhere")
	assert.Equal(t, Pending, s.delivery(t).State)
	_, err = d.Deliver(t.Context())
	require.NoError(t, err)
	assert.EqualValues(t, 1, s.hits.Load())
	assert.Equal(t, "refused", s.delivery(t).LastError)
	assert.Equal(t, Failed, s.delivery(t).State)
}

func TestGone(t *testing.T) {
	s := newSite(t, status(http.StatusGone))
	d := s.deliverer(t)
	require.NoError(t, d.Notify(t.Context(), note(s.url(t, "127.0.0.1"))))
	_, err := d.Deliver(t.Context())
	require.NoError(t, err)
	assert.Equal(t, Gone, s.delivery(t).State)
	require.Len(t, s.ended, 1)
	assert.Equal(t, s.url(t, "127.0.0.1"), s.ended[0].URL)
}

// A body without an end is not read to its end.
func TestEndlessResponse(t *testing.T) {
	s := newSite(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	}))
	d := s.deliverer(t)
	require.NoError(t, d.Notify(t.Context(), note(s.url(t, "127.0.0.1"))))
	_, err := d.Deliver(t.Context())
	require.NoError(t, err)
	assert.Equal(t, Delivered, s.delivery(t).State)
}

func TestWords(t *testing.T) {
	s := newSite(t, status(200))
	for want, tt := range map[string]func(*Options){
		"certificate": func(o *Options) { o.RootCAs = nil },
		"timeout":     func(o *Options) { o.Timeout = time.Nanosecond },
	} {
		s.store = NewMemoryStore()
		d := s.deliverer(t, tt)
		require.NoError(t, d.Notify(t.Context(), note(s.url(t, "127.0.0.1"))))
		_, err := d.Deliver(t.Context())
		require.NoError(t, err)
		assert.Equal(t, want, s.delivery(t).LastError)
		assert.Equal(t, Pending, s.delivery(t).State)
	}
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

// A time before now is now.
func TestNegativeSchedule(t *testing.T) {
	s := newSite(t, status(500))
	d := s.deliverer(t, func(o *Options) { o.Schedule = []time.Duration{-time.Hour, -time.Hour} })
	require.NoError(t, d.Notify(t.Context(), note(s.url(t, "127.0.0.1"))))
	for range 2 {
		_, err := d.Deliver(t.Context())
		require.NoError(t, err)
	}
	assert.EqualValues(t, 2, s.hits.Load())
	assert.Equal(t, Failed, s.delivery(t).State)
}

// The standard schedule, by Run and in the order of time.
func TestSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := NewMemoryStore()
		d, err := New(store, []string{secret})
		require.NoError(t, err)
		began := time.Now()
		var at []time.Duration
		stamps := map[string]bool{}
		d.client.Transport = transport(func(r *http.Request) *http.Response {
			at = append(at, time.Since(began))
			stamps[r.Header.Get("webhook-timestamp")] = true
			return nil
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- d.Run(ctx) }()
		require.NoError(t, d.Notify(ctx, note("https://manga.example/hook")))
		time.Sleep(100 * time.Hour)
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
		require.Len(t, at, len(standardSchedule))
		for i, want := range standardSchedule {
			var last time.Duration
			if i > 0 {
				last = at[i-1]
			}
			gap := at[i] - last
			assert.True(t, gap >= want && gap <= want+want/10+2*time.Second, "attempt %d came after %v, want %v", i, gap, want)
		}
		assert.Len(t, stamps, len(standardSchedule), "each attempt has a timestamp of its own")
		end, err := store.Get(t.Context(), DeliveryID("job-1.completed"))
		require.NoError(t, err)
		assert.Equal(t, Failed, end.State)
		assert.Equal(t, "connection", end.LastError)
	})
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 23, 4, 0, 0, 0, time.UTC)
	for v, want := range map[string]time.Duration{
		"120": 2 * time.Minute, "Mon, 23 Nov 2026 05:00:00 GMT": time.Hour, "Mon, 23 Nov 2026 03:00:00 GMT": 0,
		"": 0, "-1": 0, "soon": 0, "99999999999999999999": 0,
	} {
		assert.Equal(t, want, retryAfter(v, now), v)
	}
	synctest.Test(t, func(t *testing.T) {
		store := NewMemoryStore()
		d, err := New(store, []string{secret})
		require.NoError(t, err)
		header := "3600"
		d.client.Transport = transport(func(*http.Request) *http.Response { return answering(429, header) })
		require.NoError(t, d.Notify(t.Context(), note("https://manga.example/hook")))
		for _, want := range []time.Duration{time.Hour, 24 * time.Hour} {
			time.Sleep(time.Until(next(t, store)))
			_, err = d.Deliver(t.Context())
			require.NoError(t, err)
			assert.Equal(t, want, time.Until(next(t, store)))
			header = "2000000000" // decades are cut to a day
		}
	})
}

func next(t *testing.T, s Store) time.Time {
	d, err := s.Get(t.Context(), DeliveryID("job-1.completed"))
	require.NoError(t, err)
	return d.NextAttempt
}

// Of several that see a delivery due, one sends it; one that died leaves it to
// another.
func TestClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := NewMemoryStore()
		var sent atomic.Int64
		var all []*Deliverer
		for range 5 {
			d, err := New(store, []string{secret})
			require.NoError(t, err)
			d.client.Transport = transport(func(*http.Request) *http.Response {
				time.Sleep(time.Second)
				sent.Add(1)
				return answering(200, "")
			})
			all = append(all, d)
		}
		require.NoError(t, all[0].Notify(t.Context(), note("https://manga.example/hook")))
		d := Delivery{}
		due, err := store.Due(t.Context(), time.Now(), 1)
		require.NoError(t, err)
		d = due[0]
		var wg sync.WaitGroup
		for _, one := range all {
			wg.Go(func() {
				_, err := one.attempt(t.Context(), d)
				assert.NoError(t, err)
			})
		}
		wg.Wait()
		assert.EqualValues(t, 1, sent.Load())

		// One that died has claimed and stored nothing more.
		second := note("https://manga.example/hook")
		second.ID = "job-2.completed"
		require.NoError(t, all[0].Notify(t.Context(), second))
		due, err = store.Due(t.Context(), time.Now(), 1)
		require.NoError(t, err)
		dead := due[0]
		dead.Attempt, dead.NextAttempt = 1, time.Now().Add(40*time.Second)
		require.NoError(t, store.Update(t.Context(), dead))
		made, err := all[1].Deliver(t.Context())
		require.NoError(t, err)
		assert.Zero(t, made)
		time.Sleep(40 * time.Second)
		made, err = all[1].Deliver(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 1, made)
		assert.EqualValues(t, 2, sent.Load())
	})
}

// A shutdown while an attempt is under way is not an attempt.
func TestStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := NewMemoryStore()
		d, err := New(store, []string{secret})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		d.client.Transport = transport(func(r *http.Request) *http.Response {
			cancel()
			<-r.Context().Done()
			return nil
		})
		require.NoError(t, d.Notify(t.Context(), note("https://manga.example/hook")))
		require.ErrorIs(t, d.Run(ctx), context.Canceled)
		left, err := store.Get(t.Context(), DeliveryID("job-1.completed"))
		require.NoError(t, err)
		assert.Equal(t, Pending, left.State)
		assert.Zero(t, left.Attempt)
		due, err := store.Due(t.Context(), time.Now(), 1)
		require.NoError(t, err)
		assert.Len(t, due, 1, "another sends it at once")
	})
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

func TestReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := map[string]bool{"msg_seen": true}
		var bodies []string
		h, err := NewReceiver(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			bodies = append(bodies, ID(r.Context())+" "+string(body))
		}), []string{secret}, func(o *ReceiverOptions) {
			o.MaxBytes = 20
			o.Seen = func(_ context.Context, id string) (bool, error) {
				if id == "msg_broken" {
					return false, errBroken
				}
				return seen[id], nil
			}
		})
		require.NoError(t, err)
		request := func(id string, off time.Duration, signer, body string) *http.Request {
			k, err := keys([]string{signer})
			require.NoError(t, err)
			r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
			require.NoError(t, sign(k, r.Header, id, time.Now().Add(off), []byte(body)))
			return r
		}
		with := func(r *http.Request, name, value string) *http.Request {
			if value == "" {
				r.Header.Del(name)
			} else {
				r.Header.Set(name, value)
			}
			return r
		}
		changed := request("msg_1", 0, secret, `{"n":1}`)
		changed.Body = io.NopCloser(strings.NewReader(`{"n":2}`))
		get := request("msg_1", 0, secret, "{}")
		get.Method = http.MethodGet
		for name, tt := range map[string]struct {
			r    *http.Request
			want int
		}{
			"valid":              {request("msg_1", 0, secret, `{"n":1}`), 200},
			"at the tolerance":   {request("msg_2", -5*time.Minute, secret, `{}`), 200},
			"seen before":        {request("msg_seen", 0, secret, `{}`), 204},
			"Seen fails":         {request("msg_broken", 0, secret, `{}`), 503},
			"too old":            {request("msg_1", -5*time.Minute-time.Second, secret, `{}`), 401},
			"from the future":    {request("msg_1", 5*time.Minute+time.Second, secret, `{}`), 401},
			"another secret":     {request("msg_1", 0, oldSecret, `{}`), 401},
			"another body":       {changed, 401},
			"another id":         {with(request("msg_1", 0, secret, `{}`), "webhook-id", "msg_9"), 401},
			"another version":    {with(request("msg_1", 0, secret, `{}`), "webhook-signature", "v9,abc"), 401},
			"no signature":       {with(request("msg_1", 0, secret, `{}`), "webhook-signature", ""), 401},
			"no id":              {with(request("msg_1", 0, secret, `{}`), "webhook-id", ""), 400},
			"an id with a dot":   {request("a.1", 0, secret, `{}`), 400},
			"no timestamp":       {with(request("msg_1", 0, secret, `{}`), "webhook-timestamp", ""), 400},
			"a timestamp's text": {with(request("msg_1", 0, secret, `{}`), "webhook-timestamp", "now"), 400},
			"too large":          {request("msg_1", 0, secret, strings.Repeat("x", 21)), 413},
			"no POST":            {get, 405},
		} {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, tt.r)
			assert.Equal(t, tt.want, w.Code, name)
		}
		assert.ElementsMatch(t, []string{`msg_1 {"n":1}`, `msg_2 {}`}, bodies)
	})
}

// What is sent is what the reference library verifies.
func TestReferenceVerifies(t *testing.T) {
	k, err := keys([]string{oldSecret, secret})
	require.NoError(t, err)
	h := http.Header{}
	require.NoError(t, sign(k, h, "msg_1", time.Now(), []byte(`{}`)))
	reference, err := standardwebhooks.NewWebhook(secret)
	require.NoError(t, err)
	require.NoError(t, reference.Verify([]byte(`{}`), h))
}

// Whatever the headers are, nothing gets through and nothing panics.
func FuzzReceiver(f *testing.F) {
	f.Add("msg_1", "1614265330", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", []byte(`{}`))
	f.Add("", "", "v1 v1, v1,,", []byte(nil))
	h, err := NewReceiver(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("a signature was forged") }), []string{secret})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, id, at, signature string, body []byte) {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(string(body)))
		r.Header["Webhook-Id"], r.Header["Webhook-Timestamp"], r.Header["Webhook-Signature"] = []string{id}, []string{at}, []string{signature}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.GreaterOrEqual(t, w.Code, 400)
	})
}
