package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"code.dny.dev/ssrf"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/mangaassist/bedrockkit/asyncq"
)

// ErrRefused is the error of a URL, or of its address, that is not allowed. Nothing is
// sent to it.
var ErrRefused = errors.New("webhook: refused")

// check refuses what can be seen without a connection.
func (d *Deliverer) check(url string) error {
	if err := d.policy.Check(url); err != nil {
		return fmt.Errorf("%w: the URL %w", ErrRefused, err)
	}
	return nil
}

// newClient returns a client that connects to what the policy allows.
func newClient(o *Options, policy asyncq.CallbackPolicy) *http.Client {
	dialer := &net.Dialer{Timeout: 10 * time.Second, Resolver: o.Resolver, Control: policy.Control}
	return &http.Client{
		Timeout:       o.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:                  nil, // one would look names up by itself
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{RootCAs: o.RootCAs, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    10 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
			DisableCompression:     true,
			ForceAttemptHTTP2:      true,
			MaxIdleConnsPerHost:    2,
			MaxIdleConns:           100,
			IdleConnTimeout:        time.Minute,
		},
	}
}

// An answer is how an attempt ended.
type answer struct {
	status     int
	retryAfter time.Duration
	err        error // without a response
	hung       bool  // there was none in time
}

// send makes one attempt.
func (d *Deliverer) send(ctx context.Context, delivery *Delivery) answer {
	if err := d.check(delivery.URL); err != nil {
		return answer{err: err}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, delivery.URL, bytes.NewReader(delivery.Body))
	if err != nil {
		return answer{err: fmt.Errorf("%w: it is no URL", ErrRefused)}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", d.o.UserAgent)
	keys, err := d.keysOf(ctx, delivery)
	if err != nil {
		return answer{err: err}
	}
	if err := sign(keys, req.Header, delivery.ID, time.Now(), delivery.Body); err != nil {
		return answer{err: err}
	}
	resp, err := d.client.Do(req)
	if err != nil {
		if errors.Is(err, ssrf.ErrProhibitedIP) || errors.Is(err, ssrf.ErrProhibitedPort) || errors.Is(err, ssrf.ErrProhibitedNetwork) || errors.Is(err, ssrf.ErrInvalidHostPort) {
			err = fmt.Errorf("%w: the address is not a public one, or the port not an allowed one", ErrRefused)
		}
		return answer{err: err}
	}
	defer resp.Body.Close()
	// A little of the body is read, so that the connection can be used again.
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10)
	return answer{status: resp.StatusCode, retryAfter: retryAfter(resp.Header.Get("Retry-After"), time.Now())}
}

// keysOf returns what a delivery is signed with.
func (d *Deliverer) keysOf(ctx context.Context, delivery *Delivery) (signers []*standardwebhooks.Webhook, err error) {
	if d.o.Secrets == nil {
		return d.keys, nil
	}
	var secrets []string
	err = guarded("Options.Secrets", func() error {
		ctx, cancel := context.WithTimeout(ctx, d.o.Timeout)
		defer cancel()
		secrets, err = d.o.Secrets(ctx, *delivery)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errSecrets, err)
	}
	return keys(secrets)
}

// errSecrets is the error of a failure of Options.Secrets.
var errSecrets = errors.New("webhook: the secrets of the delivery")

// retryAfter reads the header: seconds or a date.
func retryAfter(v string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(v, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}

// errorWord is a word for an error; its text may have the URL in it.
func errorWord(err error) string {
	var (
		dns  *net.DNSError
		cert *tls.CertificateVerificationError
		auth x509.UnknownAuthorityError
	)
	switch {
	case errors.Is(err, ErrRefused):
		return "refused"
	case errors.Is(err, errPanic):
		return "panic"
	case errors.Is(err, errSecrets), errors.Is(err, ErrSecret):
		return "secret"
	case errors.As(err, &dns):
		return "name"
	case errors.As(err, &cert), errors.As(err, &auth):
		return "certificate"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	}
	if timeout, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err); ok && timeout.Timeout() {
		return "timeout"
	}
	return "connection"
}
