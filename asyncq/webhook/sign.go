package webhook

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// ErrSecret is the error of a secret that is not valid. A secret is "whsec_" and the
// base64 of 24 to 64 bytes (Standard Webhooks, "Symmetric signatures").
var ErrSecret = errors.New(`webhook: a secret is "whsec_" and the base64 of 24 to 64 random bytes`)

// maxSecrets bounds how many secrets are in use at a time.
const maxSecrets = 4

// NewSecret returns a random secret of 32 bytes.
func NewSecret() string {
	var b [32]byte
	rand.Read(b[:]) // never fails
	return "whsec_" + base64.StdEncoding.EncodeToString(b[:])
}

// keys checks secrets, as the library takes any.
func keys(secrets []string) ([]*standardwebhooks.Webhook, error) {
	if len(secrets) == 0 || len(secrets) > maxSecrets {
		return nil, fmt.Errorf("%w; there are 1 to %d of them", ErrSecret, maxSecrets)
	}
	var all []*standardwebhooks.Webhook
	for _, secret := range secrets {
		encoded, ok := strings.CutPrefix(secret, "whsec_")
		key, err := base64.StdEncoding.DecodeString(encoded)
		if !ok || err != nil || len(key) < 24 || len(key) > 64 {
			return nil, ErrSecret // without the secret
		}
		one, err := standardwebhooks.NewWebhookRaw(key)
		if err != nil {
			return nil, ErrSecret
		}
		all = append(all, one)
	}
	return all, nil
}

// sign sets the three headers of an attempt.
func sign(keys []*standardwebhooks.Webhook, h http.Header, id string, at time.Time, body []byte) error {
	var signatures []string
	for _, key := range keys {
		s, err := key.Sign(id, at, body)
		if err != nil {
			return err
		}
		signatures = append(signatures, s)
	}
	h.Set(standardwebhooks.HeaderWebhookID, id)
	h.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	h.Set(standardwebhooks.HeaderWebhookSignature, strings.Join(signatures, " "))
	return nil
}

// ReceiverOptions are the options of [NewReceiver]. The zero value of a field means its
// default.
type ReceiverOptions struct {
	// Tolerance is how far the timestamp of an attempt may be from now, before
	// or after. The default is five minutes.
	Tolerance time.Duration

	// MaxBytes bounds the body. The default is 1 MiB.
	MaxBytes int64

	// Seen reports whether an id has been taken before. The request is then
	// answered with 204 and does not reach the handler, which is to remember
	// the id with what it does. An error is answered with 503, so that the
	// delivery comes again. By default all are handed on.
	Seen func(ctx context.Context, id string) (bool, error)
}

// NewReceiver returns a handler that passes on requests with a valid signature of
// one of the secrets. It answers others with 400 (no webhook), 401 (wrong
// signature, or too old), 405 (no POST) or 413. The next handler reads the body
// from the request as usual; its answer is the delivery's, so anything but 2xx
// makes it come again.
func NewReceiver(next http.Handler, secrets []string, optFns ...func(*ReceiverOptions)) (http.Handler, error) {
	var o ReceiverOptions
	for _, fn := range optFns {
		fn(&o)
	}
	if o.Tolerance <= 0 {
		o.Tolerance = 5 * time.Minute
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 1 << 20
	}
	keys, err := keys(secrets)
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, "a webhook is a POST", http.StatusMethodNotAllowed)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, o.MaxBytes))
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			http.Error(w, "the body is too large", http.StatusRequestEntityTooLarge)
			return
		}
		if err != nil {
			http.Error(w, "the body cannot be read", http.StatusBadRequest)
			return
		}
		id := r.Header.Get(standardwebhooks.HeaderWebhookID)
		seconds, err := strconv.ParseInt(r.Header.Get(standardwebhooks.HeaderWebhookTimestamp), 10, 64)
		// An id with a dot could be read as an id and the start of a timestamp.
		if err != nil || id == "" || len(id) > 256 || strings.Contains(id, ".") || len(r.Header.Get(standardwebhooks.HeaderWebhookSignature)) > 4096 {
			http.Error(w, "the headers are not those of a webhook", http.StatusBadRequest)
			return
		}
		if off := time.Since(time.Unix(seconds, 0)); off > o.Tolerance || off < -o.Tolerance || !signed(keys, r.Header, body) {
			http.Error(w, "the signature is not valid now", http.StatusUnauthorized)
			return
		}
		if o.Seen != nil {
			seen, err := o.Seen(r.Context(), id)
			switch {
			case err != nil:
				http.Error(w, "try again later", http.StatusServiceUnavailable)
				return
			case seen:
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		r = r.WithContext(context.WithValue(r.Context(), idKey{}, id))
		r.Body = io.NopCloser(bytes.NewReader(body))
		r.ContentLength = int64(len(body))
		next.ServeHTTP(w, r)
	}), nil
}

func signed(keys []*standardwebhooks.Webhook, h http.Header, body []byte) bool {
	for _, key := range keys {
		// Its own tolerance cannot be set.
		if key.VerifyIgnoringTimestamp(body, h) == nil {
			return true
		}
	}
	return false
}

type idKey struct{}

// ID returns the id of the delivery, in the handler of a receiver. It is the same for
// all attempts, and empty for other requests.
func ID(ctx context.Context) string {
	id, _ := ctx.Value(idKey{}).(string)
	return id
}
