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
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"code.dny.dev/ssrf"
)

// ErrRefused is the error of a URL, or of an address behind it, that nothing is
// sent to.
var ErrRefused = errors.New("webhook: refused")

// checkURL refuses what can be seen without a connection.
func checkURL(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil, len(raw) > 2048:
		return fmt.Errorf("%w: it is no URL of at most 2048 bytes", ErrRefused) // without the URL
	case u.Scheme != "https" || u.Hostname() == "" || u.Opaque != "":
		return fmt.Errorf("%w: the URL is not https://host/path", ErrRefused)
	case u.User != nil:
		return fmt.Errorf("%w: the URL has a user", ErrRefused)
	}
	return nil
}

// newClient returns a client that connects to public addresses only.
func newClient(o *Options) *http.Client {
	guard := func(options ...ssrf.Option) *ssrf.Guardian {
		return ssrf.New(append(options, ssrf.WithPorts(o.Ports...))...)
	}
	var v4, v6 []netip.Prefix
	for _, p := range o.AllowPrefixes {
		if p.Addr().Is4() {
			v4 = append(v4, p)
		} else {
			v6 = append(v6, p)
		}
	}
	dialer := &net.Dialer{
		Timeout:  10 * time.Second,
		Resolver: o.Resolver,
		Control:  guard(ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...)).Safe,
	}
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
}

// send makes one attempt.
func (d *Deliverer) send(ctx context.Context, delivery *Delivery) answer {
	if err := checkURL(delivery.URL); err != nil {
		return answer{err: err}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, delivery.URL, bytes.NewReader(delivery.Body))
	if err != nil {
		return answer{err: fmt.Errorf("%w: it is no URL", ErrRefused)}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", d.o.UserAgent)
	if err := sign(d.keys, req.Header, delivery.ID, time.Now(), delivery.Body); err != nil {
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
