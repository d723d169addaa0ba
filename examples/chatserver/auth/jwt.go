package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/time/rate"
)

// JWTOptions are the options of [OpenJWT]. All but Log must be set.
type JWTOptions struct {
	// JWKS is where the issuer publishes its keys: an https URL, or http on
	// loopback.
	JWKS string

	// Issuer and Audience are what the claims iss and aud of a token must be.
	Issuer, Audience string

	// Log gets the errors of reading the keys. The default is no log.
	Log *slog.Logger
}

// Check says what cannot be.
func (o JWTOptions) Check() error {
	u, err := url.Parse(o.JWKS)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && !(u.Scheme == "http" && isLoopback(u.Hostname())):
		return fmt.Errorf("the URL of the keys is %q; it must be an https URL", o.JWKS)
	case o.Issuer == "":
		return errors.New("the issuer of the tokens is missing")
	case o.Audience == "":
		return errors.New("the audience of the tokens is missing; without it a token for another service would be good here")
	}
	return nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// algorithms are those of public keys. A token cannot choose another: neither none
// nor one whose secret would be the public key.
var algorithms = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}

const (
	jwksBytes   = 256 << 10 // of the keys of an issuer; API Gateway takes 150 KB
	jwksTimeout = 5 * time.Second
	jwksRefresh = time.Hour
	jwksUnknown = time.Minute // between two looks for a key id that is not known
	clockSkew   = 30 * time.Second
)

// A JWT knows callers by the tokens of an issuer: a [Checker], safe for concurrent
// use.
type JWT struct {
	parser *jwt.Parser
	keys   keyfunc.Keyfunc
	issuer string
	stop   context.CancelFunc
	web    *http.Client
}

// OpenJWT reads the issuer's keys, and reads them again every hour until Close. If a
// token has a key id that is not known they are read anew, but once a minute at most:
// tokens with invented ids cause no flood of requests. Keys that cannot be read are
// no error; until they can be, [JWT.Check] fails with another error than [ErrDenied].
func OpenJWT(o JWTOptions) (*JWT, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	j := &JWT{issuer: o.Issuer, web: &http.Client{
		Transport:     bounded{transport},
		Timeout:       jwksTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	var ctx context.Context
	ctx, j.stop = context.WithCancel(context.Background())
	var err error
	j.keys, err = keyfunc.NewDefaultOverrideCtx(ctx, []string{o.JWKS}, keyfunc.Override{
		Client: j.web, HTTPTimeout: jwksTimeout, RefreshInterval: jwksRefresh,
		RefreshUnknownKID: rate.NewLimiter(rate.Every(jwksUnknown), 1), RateLimitWaitMax: jwksTimeout,
		RefreshErrorHandlerFunc: func(url string) func(context.Context, error) {
			return func(_ context.Context, err error) {
				o.Log.Warn("the keys of the issuer cannot be read; check -jwks", "url", url, "error", err)
			}
		},
	})
	if err != nil {
		j.Close()
		return nil, fmt.Errorf("the issuer's keys: %w", err)
	}
	j.parser = jwt.NewParser(jwt.WithValidMethods(algorithms), jwt.WithIssuer(o.Issuer), jwt.WithAudience(o.Audience),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(clockSkew), jwt.WithStrictDecoding())
	return j, nil
}

// Close ends the reading of the keys.
func (j *JWT) Close() {
	j.stop()
	j.web.CloseIdleConnections()
}

// subjectForm is what a subject may have: it is logged.
var subjectForm = regexp.MustCompile(`^[\x21-\x7e]{1,255}$`)

// Check implements [Checker].
func (j *JWT) Check(ctx context.Context, token string) (Caller, error) {
	if strings.Count(token, ".") != 2 {
		return Caller{}, ErrDenied // it is no JWT
	}
	var claims jwt.RegisteredClaims
	_, err := j.parser.ParseWithClaims(token, &claims, func(t *jwt.Token) (any, error) {
		if id, _ := t.Header["kid"].(string); id == "" {
			return nil, errors.New("the token does not name its key")
		}
		return j.keys.KeyfuncCtx(ctx)(t)
	})
	if err != nil {
		if all, failed := j.keys.Storage().KeyReadAll(ctx); failed != nil || len(all) == 0 {
			return Caller{}, errors.New("the issuer's keys are not known")
		}
		return Caller{}, ErrDenied
	}
	if !subjectForm.MatchString(claims.Subject) {
		return Caller{}, ErrDenied
	}
	// No key's id begins so, and no other issuer's.
	return Caller{ID: "jwt " + j.issuer + " " + claims.Subject, Name: claims.Subject, Expires: claims.ExpiresAt.Add(clockSkew)}, nil
}

// bounded cuts responses that are too long.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, jwksBytes), resp.Body}
	}
	return resp, err
}

func (b bounded) CloseIdleConnections() {
	if c, ok := b.RoundTripper.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
