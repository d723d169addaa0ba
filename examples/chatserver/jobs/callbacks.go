package jobs

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"

	"github.com/mangaassist/bedrockkit/asyncq"
	"github.com/mangaassist/bedrockkit/asyncq/webhook"
	"github.com/mangaassist/bedrockkit/examples/chatserver/auth"
	"github.com/mangaassist/bedrockkit/examples/chatserver/rest"
)

// Secrets are those that the server signs callbacks with. Each caller has its own,
// which is derived from them: a caller that knows its secret cannot sign as the
// server for another one.
type Secrets struct{ keys [][]byte }

// NewSecrets reads secrets as [webhook.NewSecret] makes them, separated by spaces.
// The first one signs what GET /v1/manga/callback-secret shows; the others are those
// before it, until all receivers know the new one. The error does not quote them.
func NewSecrets(text string) (Secrets, error) {
	var s Secrets
	for _, secret := range strings.Fields(text) {
		encoded, ok := strings.CutPrefix(secret, "whsec_")
		key, err := base64.StdEncoding.DecodeString(encoded)
		if !ok || err != nil || len(key) < 24 || len(key) > 64 {
			return Secrets{}, webhook.ErrSecret
		}
		s.keys = append(s.keys, key)
	}
	if len(s.keys) == 0 || len(s.keys) > 4 {
		return Secrets{}, fmt.Errorf("%w; there are 1 to 4 of them", webhook.ErrSecret)
	}
	return s, nil
}

// Of returns the secrets of a caller, the one to use first.
func (s Secrets) Of(caller string) []string {
	var all []string
	for _, key := range s.keys {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte("callbacks of " + caller))
		all = append(all, "whsec_"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	return all
}

// String keeps secrets out of logs.
func (s Secrets) String() string { return fmt.Sprintf("%d secrets", len(s.keys)) }

// GoString keeps secrets out of logs.
func (s Secrets) GoString() string { return s.String() }

// NewWebhooks returns what calls callbacks back: each delivery is signed with the
// secrets of its caller.
func NewWebhooks(store webhook.Store, secrets Secrets, policy asyncq.CallbackPolicy, optFns ...func(*webhook.Options)) (*webhook.Deliverer, error) {
	return webhook.New(store, nil, append([]func(*webhook.Options){func(o *webhook.Options) {
		o.Ports, o.AllowPrefixes, o.AllowHTTP = policy.Ports, policy.AllowPrefixes, policy.AllowHTTP
		o.UserAgent = "MangaAssist"
		o.Secrets = func(_ context.Context, d webhook.Delivery) ([]string, error) {
			var event webhook.Event
			if err := json.Unmarshal(d.Body, &event); err != nil {
				return nil, err
			}
			return secrets.Of(event.Data.Metadata[callerKey]), nil
		}
	}}, optFns...)...)
}

// ToThisMachine allows http to a port of this machine as well, for a receiver that
// you try out beside the server.
func ToThisMachine(port uint16) asyncq.CallbackPolicy {
	return asyncq.CallbackPolicy{
		Ports: []uint16{443, port}, AllowHTTP: true,
		AllowPrefixes: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
	}
}

// CallbackSecret implements [rest.Jobs].
func (s *Service) CallbackSecret(ctx context.Context) (string, error) {
	if s.backend.Callbacks == nil || len(s.backend.Secrets.keys) == 0 {
		return "", rest.ErrNotFound
	}
	return s.backend.Secrets.Of(auth.CallerOf(ctx).ID)[0], nil
}
