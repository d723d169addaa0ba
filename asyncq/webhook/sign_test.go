package webhook

import (
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
