package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strings"

	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/examples/chatserver/auth"
	"github.com/mangaassist/bedrockkit/examples/chatserver/socket"
	"github.com/mangaassist/bedrockkit/pricing"
)

// open reports whether everybody who reaches the server may call it.
func (s Settings) open() bool { return s.Keys == "" && s.APIKeys == "" && s.JWTIssuer == "" }

// jwt are the options of the tokens that callers may have.
func (s Settings) jwt() auth.JWTOptions {
	byDefault := strings.TrimSuffix(s.JWTIssuer, "/") + "/.well-known/jwks.json"
	return auth.JWTOptions{JWKS: cmp.Or(s.JWKS, byDefault), Issuer: s.JWTIssuer, Audience: s.JWTAudience}
}

// originForm is an https origin as browsers send it, or one of this machine.
var originForm = regexp.MustCompile(`^(https://[a-z0-9.-]+|http://(localhost|127\.0\.0\.1))(:[0-9]{1,5})?$`)

// origins are those whose pages may call.
func (s Settings) origins() []string {
	if s.Origins == "" {
		return nil
	}
	return strings.Split(s.Origins, ",")
}

// checkAccess says what cannot be of who may call, and from where.
func (s Settings) checkAccess() error {
	for _, origin := range s.origins() {
		if !originForm.MatchString(origin) {
			return fmt.Errorf("-origins has %q; it takes https origins with commas between them, such as https://manga.example,https://www.manga.example", origin)
		}
	}
	if s.JWTIssuer == "" && (s.JWKS != "" || s.JWTAudience != "") {
		return errors.New("-jwks and -jwt-audience need -jwt-issuer")
	}
	if s.JWTIssuer != "" {
		if err := s.jwt().Check(); err != nil {
			return fmt.Errorf("-jwks, -jwt-issuer, -jwt-audience: %w", err)
		}
	}
	switch u, err := url.Parse(s.Gateway); {
	case s.Gateway == "" && s.GatewaySecret != "":
		return errors.New("-gateway-secret needs -gateway")
	case s.Gateway == "":
		return nil
	case err != nil || u.Host == "" || u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Host)):
		return fmt.Errorf("-gateway is %q; it must be the connections URL of a stage, such as https://abc123.execute-api.us-east-1.amazonaws.com/prod", s.Gateway)
	case s.GatewaySecret == "":
		return errors.New("-gateway needs -gateway-secret; without it everybody could speak for the API Gateway")
	}
	_, err := s.gatewaySecret()
	return err
}

// gatewaySecret reads the secret of the API Gateway.
func (s Settings) gatewaySecret() (string, error) {
	var secret string
	if name, ok := strings.CutPrefix(s.GatewaySecret, "env:"); ok {
		secret = os.Getenv(name)
	} else {
		data, err := os.ReadFile(s.GatewaySecret)
		if err != nil {
			return "", fmt.Errorf("-gateway-secret: %w", err)
		}
		secret = strings.TrimSpace(string(data))
	}
	if len(secret) < socket.MinSecret {
		return "", fmt.Errorf("-gateway-secret %s has a secret of %d characters; it must have %d at least", s.GatewaySecret, len(secret), socket.MinSecret)
	}
	return secret, nil
}

// spending bounds what the models cost for each caller in a day.
func (b *builder) spending(context.Context) (func(*bedrockx.Options), error) {
	var daily pricing.Amount
	if b.DailyUSD != "" {
		var err error
		if daily, err = b.dollars("-daily-usd", b.DailyUSD); err != nil {
			return nil, err
		}
		b.say("per caller", "%s a day", daily.Display(9))
	}
	b.limits = auth.NewLimits(func(o *auth.LimitOptions) {
		if o.Daily = daily; b.Limits != nil {
			b.Limits(o)
		}
	})
	return b.limits.Spend, nil
}

// gate returns who may call: those who have a key or a token, or anybody on this
// machine if there are none.
func (b *builder) gate() (*auth.Gate, error) {
	var checkers []auth.Checker
	if b.Keys != "" {
		keys, err := auth.OpenKeys(b.Keys)
		if err != nil {
			return nil, err
		}
		list, err := keys.List()
		if err != nil {
			return nil, err
		}
		checkers = append(checkers, keys)
		if len(list) == 0 {
			b.say("callers", "nobody yet: %s has no keys; chatserver keys add makes one", b.Keys)
		} else {
			b.say("callers", "those with a key of %s", b.Keys)
		}
	}
	if b.APIKeys != "" {
		keys, err := auth.ParseKeys([]byte(b.APIKeys))
		if err != nil {
			return nil, fmt.Errorf("MANGA_API_KEYS: %w", err)
		}
		checkers = append(checkers, keys)
		b.say("callers", "those with a key of MANGA_API_KEYS")
	}
	if b.JWTIssuer != "" {
		o := b.jwt()
		o.Log = b.log
		tokens, err := auth.OpenJWT(o)
		if err != nil {
			return nil, err
		}
		b.closers = append(b.closers, tokens.Close)
		checkers = append(checkers, tokens)
		b.say("callers", "those with a token of %s for %s", b.JWTIssuer, b.JWTAudience)
	}
	if len(checkers) == 0 {
		b.say("callers", "all of this machine")
	}
	return auth.NewGate(b.limits, checkers...), nil
}
