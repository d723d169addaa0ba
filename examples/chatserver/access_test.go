package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/examples/chatserver/app"
	"github.com/mangaassist/bedrockkit/examples/chatserver/auth"
	"github.com/mangaassist/bedrockkit/examples/chatserver/socket/gatewaytest"
)

// call sends a request with headers, given as names and values.
func call(t *testing.T, method, url, body string, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer http.DefaultClient.CloseIdleConnections()
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(data)
}

// newKeys writes a file with a key for each name.
func newKeys(t *testing.T, names ...string) (file string, keys []string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "keys.json")
	for _, name := range names {
		var out strings.Builder
		require.NoError(t, manageKeys(t.Context(), []string{"add", "-file", file, name}, &out, io.Discard))
		keys = append(keys, strings.TrimSpace(out.String()))
	}
	return file, keys
}

// Pages of the origins that are listed may call, and no others.
func TestOrigins(t *testing.T) {
	file, keys := newKeys(t, "page")
	url, _ := start(t, fast, "-keys", file, "-origins", "https://manga.example,http://localhost:5173")
	const query = "/v1/manga/query"
	resp, _ := call(t, "OPTIONS", url+query, "", "Origin", "https://manga.example", "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "x-api-key")
	assert.Equal(t, 204, resp.StatusCode, "a preflight has no key")
	assert.Equal(t, "https://manga.example", resp.Header.Get("Access-Control-Allow-Origin"))
	assert.Contains(t, resp.Header.Get("Access-Control-Allow-Headers"), "X-Api-Key")
	for _, origin := range []string{"https://manga.example", "http://localhost:5173"} {
		resp, body := call(t, "POST", url+query, `{"query":"hello"}`, "Origin", origin, "Sec-Fetch-Site", "cross-site", "X-Api-Key", keys[0])
		assert.Equal(t, 200, resp.StatusCode, body)
		assert.Equal(t, origin, resp.Header.Get("Access-Control-Allow-Origin"))
		assert.Empty(t, resp.Header.Get("Access-Control-Allow-Credentials"))
	}
	resp, _ = call(t, "POST", url+query, `{"query":"hello"}`, "Origin", "https://manga.example", "Sec-Fetch-Site", "cross-site")
	assert.Equal(t, 401, resp.StatusCode)
	assert.NotEmpty(t, resp.Header.Get("Access-Control-Allow-Origin"), "the page can read why")
	for _, origin := range []string{"https://evil.example", "https://manga.example.evil.example", "http://manga.example", "https://manga.example:444", "null"} {
		resp, _ := call(t, "POST", url+query, `{"query":"hello"}`, "Origin", origin, "Sec-Fetch-Site", "cross-site", "X-Api-Key", keys[0])
		assert.Equal(t, 403, resp.StatusCode, origin)
		assert.Empty(t, resp.Header.Get("Access-Control-Allow-Origin"), origin)
	}
	for origin, status := range map[string]int{"https://manga.example": 101, "https://evil.example": 403, "http://manga.example": 403, "null": 403} {
		conn, resp, err := websocket.Dial(t.Context(), strings.Replace(url, "http", "ws", 1)+"/ws",
			&websocket.DialOptions{HTTPHeader: http.Header{"Origin": {origin}, "X-Api-Key": keys}})
		require.NotNil(t, resp, "%v", err)
		assert.Equal(t, status, resp.StatusCode, origin)
		if conn != nil {
			conn.CloseNow()
		}
	}
}

// Tokens of an identity provider, from the flags to the answer.
func TestTokens(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	point, err := key.PublicKey.Bytes()
	require.NoError(t, err)
	coordinate := base64.RawURLEncoding.EncodeToString
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "/pool/.well-known/jwks.json", r.URL.Path)
		json.NewEncoder(w).Encode(map[string]any{"keys": []any{map[string]string{
			"kty": "EC", "crv": "P-256", "kid": "k1", "x": coordinate(point[1:33]), "y": coordinate(point[33:]),
		}}})
	}))
	defer provider.Close()
	token := func(change func(jwt.MapClaims), kid string) string {
		claims := jwt.MapClaims{"iss": provider.URL + "/pool", "aud": "manga", "sub": "user-1", "exp": time.Now().Add(time.Hour).Unix()}
		if change != nil {
			change(claims)
		}
		t := jwt.NewWithClaims(jwt.SigningMethodES256, claims)
		t.Header["kid"] = kid
		signed, _ := t.SignedString(key)
		return signed
	}
	url, log := start(t, fast, "-addr", "0.0.0.0:0", "-jwt-issuer", provider.URL+"/pool", "-jwt-audience", "manga")
	const query = `{"query":"hello"}`
	resp, body := call(t, "POST", url+"/v1/manga/query", query, "Authorization", "Bearer "+token(nil, "k1"))
	require.Equal(t, 200, resp.StatusCode, body)
	resp, body = call(t, "POST", url+"/v1/ticket", "", "Authorization", "Bearer "+token(nil, "k1"))
	require.Equal(t, 200, resp.StatusCode, body)
	var ticket struct{ Ticket string }
	require.NoError(t, json.Unmarshal([]byte(body), &ticket))
	conn, _, err := websocket.Dial(t.Context(), strings.Replace(url, "http", "ws", 1)+"/ws?ticket="+ticket.Ticket, nil)
	require.NoError(t, err)
	defer conn.CloseNow()
	for name, bad := range map[string]string{
		"none":     "",
		"expired":  token(func(c jwt.MapClaims) { c["exp"] = time.Now().Add(-time.Hour).Unix() }, "k1"),
		"audience": token(func(c jwt.MapClaims) { c["aud"] = "other" }, "k1"),
		"key":      token(nil, "k2"),
	} {
		resp, body := call(t, "POST", url+"/v1/manga/query", query, "Authorization", "Bearer "+bad)
		assert.Equal(t, 401, resp.StatusCode, name)
		assert.Contains(t, resp.Header.Get("WWW-Authenticate"), "Bearer", name)
		assert.NotContains(t, body, "exp", name)
	}
	assert.NotContains(t, log.String(), token(nil, "k1")[:30])
}

// The program behind an API Gateway, from the flags to the answer.
func TestGateway(t *testing.T) {
	inAWS(t, "http://127.0.0.1:1", true)
	file, keys := newKeys(t, "phone")
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte(strings.Repeat("s", 40)+"\n"), 0o600))
	gateway := gatewaytest.New(t, nil) // whose URL the server must know first
	url, log := start(t, fast, "-keys", file, "-gateway", gateway.ConnectionsURL, "-gateway-secret", secret)
	gateway.Integrate(gatewaytest.HTTP(url, strings.Repeat("s", 40)))
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	_, resp, err := websocket.Dial(t.Context(), gateway.URL, nil)
	require.Error(t, err)
	assert.Equal(t, 401, resp.StatusCode)
	_, body := call(t, "POST", url+"/v1/ticket", "", "X-Api-Key", keys[0])
	var ticket struct{ Ticket string }
	require.NoError(t, json.Unmarshal([]byte(body), &ticket))
	conn, _, err := websocket.Dial(t.Context(), gateway.URL+"?ticket="+ticket.Ticket, nil)
	require.NoError(t, err)
	defer conn.CloseNow()
	c := &client{t, conn}
	c.send(chat("haiku", "Who wrote Monster?"))
	text, frames := c.answer()
	assert.Contains(t, text, "Naoki Urasawa")
	last := frames[len(frames)-1]
	assert.Equal(t, "complete", last.Type)
	assert.NotEmpty(t, last.CostUSD)
	assert.NotContains(t, log.String(), "WARN")

	t.Setenv("A_SECRET", strings.Repeat("s", 40))
	_, err = parse([]string{"-gateway", "https://abc123.execute-api.us-east-1.amazonaws.com/prod", "-gateway-secret", "env:A_SECRET"}, io.Discard)
	require.NoError(t, err)
}

// A caller who has spent the dollars of the day is refused before the model is asked,
// and the others are not.
func TestDailyDollars(t *testing.T) {
	file, keys := newKeys(t, "one", "other")
	url, log := start(t, fast, "-keys", file, "-daily-usd", "0.02", "-cache", "off")
	const query = `{"query":"Who wrote Monster?","max_tokens":100}`
	var resp *http.Response
	var body string
	for n := 0; ; n++ {
		require.Less(t, n, 20, "each answer costs a tenth of a cent at least")
		if resp, body = call(t, "POST", url+"/v1/manga/query", query, "X-Api-Key", keys[0]); resp.StatusCode != 200 {
			break
		}
	}
	assert.Equal(t, 429, resp.StatusCode, body)
	seconds, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	require.NoError(t, err)
	assert.InDelta(t, time.Until(time.Now().UTC().Truncate(24*time.Hour).Add(24*time.Hour)).Seconds(), seconds, 60)
	assert.Contains(t, body, "00:00 UTC")

	// The WebSocket and the batch know of it.
	conn, _, err := websocket.Dial(t.Context(), strings.Replace(url, "http", "ws", 1)+"/ws", &websocket.DialOptions{HTTPHeader: http.Header{"X-Api-Key": keys[:1]}})
	require.NoError(t, err)
	defer conn.CloseNow()
	c := &client{t, conn}
	c.send(chat("sonnet", "Who wrote Monster?"))
	_, frames := c.answer()
	last := frames[len(frames)-1]
	assert.Equal(t, "quota", last.Code, "%+v", last)
	assert.Contains(t, last.Message, "00:00 UTC")

	resp, body = call(t, "POST", url+"/v1/manga/query", query, "X-Api-Key", keys[1])
	assert.Equal(t, 200, resp.StatusCode, body)
	assert.NotContains(t, log.String(), "Monster")
}

func TestAccessFlagsThatCanNotBe(t *testing.T) {
	t.Setenv("SHORT", "secret")
	const stage = "https://abc123.execute-api.us-east-1.amazonaws.com/prod"
	for want, args := range map[string][]string{
		"-origins has":                          {"-origins", "*"},
		`-origins has "http://`:                 {"-origins", "http://manga.example"},
		`-origins has "https://manga.example/"`: {"-origins", "https://manga.example/"},
		"need -jwt-issuer":                      {"-jwks", "https://issuer.example/jwks.json"},
		"audience":                              {"-jwt-issuer", "https://issuer.example"},
		"must be an https URL":                  {"-jwt-issuer", "http://issuer.example", "-jwt-audience", "manga"},
		"-gateway-secret needs":                 {"-gateway-secret", "x"},
		"-gateway needs":                        {"-gateway", stage},
		"must be the connections URL":           {"-gateway", "wss://abc123", "-gateway-secret", "x"},
		"no such file":                          {"-gateway", stage, "-gateway-secret", "nowhere"},
		"32 at least":                           {"-gateway", stage, "-gateway-secret", "env:SHORT"},
		"has a secret of 0 characters":          {"-gateway", stage, "-gateway-secret", "env:NOT_SET"},
	} {
		_, err := parse(args, io.Discard)
		assert.ErrorContains(t, err, want, "%v", args)
	}
	for _, amount := range []string{"0", "-1", "one", "$1"} {
		err := run(t.Context(), []string{"-addr", "127.0.0.1:0", "-daily-usd", amount}, io.Discard, io.Discard)
		assert.ErrorContains(t, err, "-daily-usd is", amount)
	}
}

// A caller has eight answers at once, over whatever they come.
func TestAnswersAtOnce(t *testing.T) {
	file, keys := newKeys(t, "one", "other")
	url, _ := start(t, 5, "-keys", file)
	header := http.Header{"X-Api-Key": keys[:1]}
	open := func(header http.Header) *client {
		conn, _, err := websocket.Dial(t.Context(), strings.Replace(url, "http", "ws", 1)+"/ws", &websocket.DialOptions{HTTPHeader: header})
		require.NoError(t, err)
		t.Cleanup(func() { conn.CloseNow() })
		return &client{t, conn}
	}
	question := chat("haiku", "Recommend five seinen manga")
	for range 2 { // connections, of four answers each
		c := open(header)
		for range 4 {
			c.send(question)
		}
		for starts := 0; starts < 4; {
			if c.next().Type == "start" {
				starts++
			}
		}
	}
	c := open(header)
	c.send(question)
	f := c.next()
	assert.Equal(t, "busy", f.Code, "%+v", f)
	resp, body := call(t, "POST", url+"/v1/manga/query", `{"query":"hello"}`, "X-Api-Key", keys[0])
	assert.Equal(t, 429, resp.StatusCode, body)
	assert.NotEmpty(t, resp.Header.Get("Retry-After"))
	c = open(http.Header{"X-Api-Key": keys[1:]})
	c.send(question)
	assert.Equal(t, "start", c.next().Type, "another caller has answers of their own")
}

func TestSocketsAtOnce(t *testing.T) {
	file, keys := newKeys(t, "one", "other")
	s := app.FromEnv(func(string) string { return "" })
	s.Keys = file
	s.Limits = func(o *auth.LimitOptions) { o.Sockets = 1 }
	srv, err := app.Build(t.Context(), s, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	web := httptest.NewServer(srv.Handler())
	t.Cleanup(func() { srv.Close(); web.Close() })
	dial := func(key string) (*websocket.Conn, *http.Response, error) {
		return websocket.Dial(t.Context(), strings.Replace(web.URL, "http", "ws", 1)+"/ws", &websocket.DialOptions{HTTPHeader: http.Header{"X-Api-Key": {key}}})
	}
	first, _, err := dial(keys[0])
	require.NoError(t, err)
	_, resp, err := dial(keys[0])
	require.Error(t, err)
	assert.Equal(t, 429, resp.StatusCode)
	assert.NotEmpty(t, resp.Header.Get("Retry-After"))
	other, _, err := dial(keys[1])
	require.NoError(t, err, "another caller has connections of their own")
	defer other.CloseNow()
	require.NoError(t, first.Close(websocket.StatusNormalClosure, ""))
	require.Eventually(t, func() bool {
		again, _, err := dial(keys[0])
		if err == nil {
			again.CloseNow()
		}
		return err == nil
	}, 5*time.Second, 10*time.Millisecond, "there is room again")
}

// Without a flag nothing listens beyond this machine, and nothing costs money; the page
// says which model answers.
func TestNothingIsSharedByDefault(t *testing.T) {
	s, err := parse(nil, io.Discard)
	require.NoError(t, err)
	assert.Equal(t, "127.0.0.1:8080", s.Addr)
	assert.Equal(t, "fake", s.Bedrock)
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "SECRETEXAMPLE")
	t.Setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "http://127.0.0.1:1") // is not asked
	url, _ := start(t, fast)
	_, body := call(t, "GET", url+"/v1/info", "")
	var info struct{ Backend, Notice string }
	require.NoError(t, json.Unmarshal([]byte(body), &info))
	assert.Equal(t, "offline", info.Backend)
	assert.Contains(t, info.Notice, "offline assistant")
	resp, body := call(t, "POST", url+"/v1/manga/query", `{"query":"Who wrote Monster?"}`)
	assert.Equal(t, 200, resp.StatusCode, body)
}
