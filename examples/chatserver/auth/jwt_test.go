package auth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/examples/chatserver/auth"
)

// issuer publishes its keys as an identity provider does.
type issuer struct {
	*httptest.Server
	rsa   *rsa.PrivateKey
	ec    *ecdsa.PrivateKey
	asked atomic.Int64
	mu    sync.Mutex
	keys  []map[string]string
	reply func(http.ResponseWriter) bool // instead of the keys
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{}
	var err error
	i.rsa, err = rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	i.ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	i.keys = []map[string]string{rsaKey("r1", &i.rsa.PublicKey), ecKey("e1", &i.ec.PublicKey)}
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.asked.Add(1)
		i.mu.Lock()
		defer i.mu.Unlock()
		if i.reply == nil || !i.reply(w) {
			json.NewEncoder(w).Encode(map[string]any{"keys": i.keys})
		}
	}))
	t.Cleanup(i.Close)
	return i
}

func number(n *big.Int) string { return base64.RawURLEncoding.EncodeToString(n.Bytes()) }

func rsaKey(id string, key *rsa.PublicKey) map[string]string {
	return map[string]string{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": id, "n": number(key.N), "e": number(big.NewInt(int64(key.E)))}
}

func ecKey(id string, key *ecdsa.PublicKey) map[string]string {
	point, _ := key.Bytes() // 4, x and y
	coordinate := func(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
	return map[string]string{"kty": "EC", "crv": "P-256", "use": "sig", "kid": id, "x": coordinate(point[1:33]), "y": coordinate(point[33:])}
}

func (i *issuer) open(t *testing.T) *auth.JWT {
	t.Helper()
	j, err := auth.OpenJWT(auth.JWTOptions{JWKS: i.URL, Issuer: "https://issuer.example", Audience: "manga"})
	require.NoError(t, err)
	t.Cleanup(j.Close)
	return j
}

func claims(change func(jwt.MapClaims)) jwt.MapClaims {
	c := jwt.MapClaims{"iss": "https://issuer.example", "aud": "manga", "sub": "user-1", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix()}
	if change != nil {
		change(c)
	}
	return c
}

func sign(t *testing.T, method jwt.SigningMethod, kid string, key any, c jwt.MapClaims) string {
	t.Helper()
	token := jwt.NewWithClaims(method, c)
	if kid != "" {
		token.Header["kid"] = kid
	}
	signed, err := token.SignedString(key)
	require.NoError(t, err)
	return signed
}

func TestJWT(t *testing.T) {
	i := newIssuer(t)
	j := i.open(t)
	for name, token := range map[string]string{
		"RS256":         sign(t, jwt.SigningMethodRS256, "r1", i.rsa, claims(nil)),
		"ES256":         sign(t, jwt.SigningMethodES256, "e1", i.ec, claims(nil)),
		"two audiences": sign(t, jwt.SigningMethodRS256, "r1", i.rsa, claims(func(c jwt.MapClaims) { c["aud"] = []string{"other", "manga"} })),
		"a slow clock":  sign(t, jwt.SigningMethodRS256, "r1", i.rsa, claims(func(c jwt.MapClaims) { c["exp"] = time.Now().Add(-5 * time.Second).Unix() })),
	} {
		caller, err := j.Check(t.Context(), token)
		require.NoError(t, err, name)
		assert.Equal(t, "jwt https://issuer.example user-1", caller.ID, name)
		assert.WithinDuration(t, time.Now(), caller.Expires, 2*time.Hour, name)
	}
	assert.EqualValues(t, 1, i.asked.Load())
}

// What an attacker may send. Each is a 401, and no reason is told.
func TestJWTRefused(t *testing.T) {
	i := newIssuer(t)
	j := i.open(t)
	public, err := x509.MarshalPKIXPublicKey(&i.rsa.PublicKey)
	require.NoError(t, err)
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	good := sign(t, jwt.SigningMethodRS256, "r1", i.rsa, claims(nil))
	parts := strings.Split(good, ".")
	other := strings.Split(sign(t, jwt.SigningMethodRS256, "r1", i.rsa, claims(func(c jwt.MapClaims) { c["sub"] = "admin" })), ".")
	bad := func(change func(jwt.MapClaims)) string {
		return sign(t, jwt.SigningMethodRS256, "r1", i.rsa, claims(change))
	}
	for name, token := range map[string]string{
		"empty":                              "",
		"no JWT":                             "a.b.c",
		"none":                               sign(t, jwt.SigningMethodNone, "r1", jwt.UnsafeAllowNoneSignatureType, claims(nil)),
		"HS256 with the public key, PEM":     sign(t, jwt.SigningMethodHS256, "r1", publicPEM, claims(nil)),
		"HS256 with the public key, DER":     sign(t, jwt.SigningMethodHS256, "r1", public, claims(nil)),
		"HS256 with the public key, modulus": sign(t, jwt.SigningMethodHS256, "r1", i.rsa.N.Bytes(), claims(nil)),
		"no signature":                       parts[0] + "." + parts[1] + ".",
		"the signature of another token":     parts[0] + "." + other[1] + "." + parts[2],
		"a stranger's key":                   sign(t, jwt.SigningMethodRS256, "r1", stranger, claims(nil)),
		"the key of another algorithm":       sign(t, jwt.SigningMethodES256, "r1", i.ec, claims(nil)),
		"another algorithm of the key":       sign(t, jwt.SigningMethodRS384, "r1", i.rsa, claims(nil)),
		"no key id":                          sign(t, jwt.SigningMethodRS256, "", i.rsa, claims(nil)),
		"an unknown key id":                  sign(t, jwt.SigningMethodRS256, "../../dev/null", i.rsa, claims(nil)),
		"another issuer":                     bad(func(c jwt.MapClaims) { c["iss"] = "https://evil.example" }),
		"no issuer":                          bad(func(c jwt.MapClaims) { delete(c, "iss") }),
		"another audience":                   bad(func(c jwt.MapClaims) { c["aud"] = "other" }),
		"no audience":                        bad(func(c jwt.MapClaims) { delete(c, "aud") }),
		"expired":                            bad(func(c jwt.MapClaims) { c["exp"] = time.Now().Add(-time.Minute).Unix() }),
		"no expiry":                          bad(func(c jwt.MapClaims) { delete(c, "exp") }),
		"not yet":                            bad(func(c jwt.MapClaims) { c["nbf"] = time.Now().Add(time.Hour).Unix() }),
		"issued tomorrow":                    bad(func(c jwt.MapClaims) { c["iat"] = time.Now().Add(24 * time.Hour).Unix() }),
		"no subject":                         bad(func(c jwt.MapClaims) { delete(c, "sub") }),
		"a subject that breaks lines":        bad(func(c jwt.MapClaims) { c["sub"] = "a\nkey B" }),
	} {
		_, err := j.Check(t.Context(), token)
		assert.ErrorIs(t, err, auth.ErrDenied, name)
	}
}

// Invented key ids do not become requests.
func TestJWTUnknownKeys(t *testing.T) {
	i := newIssuer(t)
	j := i.open(t)
	began := time.Now()
	var wg sync.WaitGroup
	for n := range 200 {
		token := sign(t, jwt.SigningMethodES256, fmt.Sprint("unknown", n), i.ec, claims(nil))
		wg.Go(func() {
			_, err := j.Check(t.Context(), token)
			assert.ErrorIs(t, err, auth.ErrDenied)
		})
	}
	wg.Wait()
	assert.LessOrEqual(t, i.asked.Load(), int64(2))
	assert.Less(t, time.Since(began), 4*time.Second, "nobody waits for a look that does not come")
	_, err := j.Check(t.Context(), sign(t, jwt.SigningMethodRS256, "r1", i.rsa, claims(nil)))
	require.NoError(t, err, "the others come in")
}

// A key that was added since is looked for; keys that cannot be read let nobody in,
// and take none away.
func TestJWTKeysChange(t *testing.T) {
	i := newIssuer(t)
	down := func(w http.ResponseWriter) bool { w.WriteHeader(http.StatusInternalServerError); return true }
	i.reply = down
	j := i.open(t)
	i.mu.Lock()
	i.reply = nil
	i.keys = append(i.keys, rsaKey("r2", &i.rsa.PublicKey))
	i.mu.Unlock()
	_, err := j.Check(t.Context(), sign(t, jwt.SigningMethodRS256, "r2", i.rsa, claims(nil)))
	require.NoError(t, err)

	for name, reply := range map[string]func(http.ResponseWriter) bool{
		"down": down,
		"redirect": func(w http.ResponseWriter) bool {
			w.Header().Set("Location", "/")
			w.WriteHeader(http.StatusFound)
			return true
		},
		"endless": func(w http.ResponseWriter) bool {
			w.Write([]byte(`{"keys":["` + strings.Repeat("x", 300<<10)))
			return true
		},
		"no JSON": func(w http.ResponseWriter) bool { w.Write([]byte(`<html>`)); return true },
		"no keys": func(w http.ResponseWriter) bool { w.Write([]byte(`{}`)); return true },
	} {
		i.mu.Lock()
		i.reply = reply
		i.mu.Unlock()
		j := i.open(t)
		_, err := j.Check(t.Context(), sign(t, jwt.SigningMethodRS256, "r1", i.rsa, claims(nil)))
		require.Error(t, err, name)
		assert.NotErrorIs(t, err, auth.ErrDenied, "the server cannot know, which is no 401: %s", name)
	}
}

func TestJWTOptions(t *testing.T) {
	good := auth.JWTOptions{JWKS: "https://issuer.example/.well-known/jwks.json", Issuer: "https://issuer.example", Audience: "manga"}
	require.NoError(t, good.Check())
	for _, change := range []func(*auth.JWTOptions){
		func(o *auth.JWTOptions) { o.JWKS = "http://issuer.example/jwks.json" },
		func(o *auth.JWTOptions) { o.JWKS = "issuer.example" },
		func(o *auth.JWTOptions) { o.JWKS = "file:///etc/passwd" },
		func(o *auth.JWTOptions) { o.Issuer = "" },
		func(o *auth.JWTOptions) { o.Audience = "" },
	} {
		o := good
		change(&o)
		_, err := auth.OpenJWT(o)
		require.Error(t, err, "%+v", o)
	}
}

// With tokens and keys, a gate takes either, and counts them apart.
func TestGateWithJWT(t *testing.T) {
	i := newIssuer(t)
	keys, err := auth.OpenKeys(t.TempDir() + "/keys.json")
	require.NoError(t, err)
	gate := auth.NewGate(auth.NewLimits(), keys, i.open(t))
	r := httptest.NewRequest("POST", "/", nil)
	r.Header.Set("Authorization", "Bearer "+sign(t, jwt.SigningMethodRS256, "r1", i.rsa, claims(nil)))
	in, refused := gate.Admit(r)
	require.Nil(t, refused)
	assert.Equal(t, "jwt https://issuer.example user-1", auth.CallerOf(in.Context()).ID)
	r.Header.Set("Authorization", "Bearer "+sign(t, jwt.SigningMethodHS256, "r1", []byte("x"), claims(nil)))
	_, refused = gate.Admit(r)
	require.NotNil(t, refused)
	assert.Equal(t, http.StatusUnauthorized, refused.Status)

	// A connection ends with the token that opened it.
	ctx := auth.WithCaller(t.Context(), auth.Caller{ID: "a", Expires: time.Now().Add(-time.Second)})
	refused = gate.Message(ctx, "192.0.2.1")
	require.NotNil(t, refused)
	assert.Equal(t, http.StatusUnauthorized, refused.Status)
}
