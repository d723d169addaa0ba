package retrieve_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var testCredentials = aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "secret-of-the-test", SessionToken: "session-of-the-test"}

func testConfig() aws.Config {
	return aws.Config{
		Region:      "us-east-1",
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return testCredentials, nil }),
	}
}

// checkSignature signs the request that came once more, as the service does.
func checkSignature(t *testing.T, r *http.Request, body []byte, service string) {
	t.Helper()
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	assert.Equal(t, hash, r.Header.Get("X-Amz-Content-Sha256"))
	assert.Equal(t, "session-of-the-test", r.Header.Get("X-Amz-Security-Token"))
	got := r.Header.Get("Authorization")
	assert.True(t, strings.HasPrefix(got, "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"), got)
	assert.Contains(t, got, "/us-east-1/"+service+"/aws4_request")
	assert.Contains(t, got, "host;x-amz-content-sha256;x-amz-date")
	assert.NotContains(t, got, "content-length", "OpenSearch Serverless refuses it")
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if !assert.NoError(t, err) {
		return
	}
	again, err := http.NewRequest(r.Method, "http://"+r.Host+r.URL.RequestURI(), nil)
	if !assert.NoError(t, err) {
		return
	}
	for _, name := range []string{"Content-Type", "Accept", "X-Amz-Content-Sha256"} {
		again.Header.Set(name, r.Header.Get(name))
	}
	assert.NoError(t, v4.NewSigner().SignHTTP(t.Context(), testCredentials, again, hash, service, "us-east-1", at))
	assert.Equal(t, again.Header.Get("Authorization"), got)
}

// A serviceStub is an HTTP server that checks each request's signature and
// limits before it answers.
type serviceStub struct {
	*httptest.Server
	requests []string // method, path and body, in order
	fail     []http.HandlerFunc
}

func newServiceStub(t *testing.T, service string, maxBody int, handle func(w http.ResponseWriter, r *http.Request, body []byte)) *serviceStub {
	s := &serviceStub{}
	turns := make(chan struct{}, 1) // one request at a time
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		turns <- struct{}{}
		defer func() { <-turns }()
		body, err := io.ReadAll(r.Body)
		if !assert.NoError(t, err) {
			return
		}
		assert.LessOrEqual(t, len(body), maxBody)
		assert.Equal(t, int64(len(body)), r.ContentLength)
		checkSignature(t, r, body, service)
		s.requests = append(s.requests, r.Method+" "+r.URL.RequestURI()+" "+string(body))
		w.Header().Set("Content-Type", "application/json")
		if len(s.fail) > 0 {
			fail := s.fail[0]
			s.fail = s.fail[1:]
			fail(w, r)
			return
		}
		handle(w, r, body)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *serviceStub) last() string { return s.requests[len(s.requests)-1] }

// answer is a handler of one answer.
func answer(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// strict decodes JSON and refuses what the service does not document.
func strict(t *testing.T, data []byte, v any) bool {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	return assert.NoError(t, dec.Decode(v), "%s", data)
}

func cosineOf(a, b []float64) float64 {
	var dot, aa, bb float64
	for i := range a {
		dot, aa, bb = dot+a[i]*b[i], aa+a[i]*a[i], bb+b[i]*b[i]
	}
	return dot / math.Sqrt(aa*bb)
}

func intersects(a, b []string) bool {
	return slices.ContainsFunc(a, func(x string) bool { return slices.Contains(b, x) })
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	require.NoError(t, err)
	return data
}

// impatient is a retryer that does not wait.
type impatient struct{ aws.Retryer }

func (impatient) RetryDelay(int, error) (time.Duration, error) { return 0, nil }
