package bedrocktest_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/internal/eventstream"
)

// request is one with an API key, made by hand.
func request(t testing.TB, srv *bedrocktest.Server, path, body string) *http.Request {
	t.Helper()
	method := http.MethodPost
	if body == "" {
		method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(t.Context(), method, srv.URL()+path, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer test-key")
	req.Header.Set("Content-Type", "application/json")
	return req
}

// do sends a request and returns the response with its body read.
func do(t testing.TB, srv *bedrocktest.Server, req *http.Request) (*http.Response, string) {
	t.Helper()
	resp, err := srv.HTTPClient().Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(b)
}

func TestAuthorization(t *testing.T) {
	const good = "AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/bedrock/aws4_request, SignedHeaders=host;x-amz-date, Signature="
	sig := strings.Repeat("ab", 32)
	srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess, o.Responder = true, bedrocktest.Echo })
	for _, tt := range []struct {
		name, header string
		status       int
		code         string
	}{
		{"none", "", 403, "MissingAuthenticationTokenException"},
		{"bearer", "Bearer abc", 200, ""},
		{"empty bearer", "Bearer ", 403, "AccessDeniedException"},
		{"sigv4", good + sig, 200, ""},
		{"short signature", good + "abcd", 403, "IncompleteSignatureException"},
		{"basic", "Basic dTpw", 403, "IncompleteSignatureException"},
		{"other service", strings.Replace(good, "/bedrock/", "/s3/", 1) + sig, 403, "InvalidSignatureException"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req := request(t, srv, "/model/"+haiku+"/converse", `{"messages":[{"role":"user","content":[{"text":"Hi"}]}]}`)
			req.Header.Set("Authorization", tt.header)
			if tt.header == "" {
				req.Header.Del("Authorization")
			}
			resp, body := do(t, srv, req)
			assert.Equal(t, tt.status, resp.StatusCode)
			code, _, _ := strings.Cut(resp.Header.Get("X-Amzn-Errortype"), ":")
			assert.Equal(t, tt.code, code)
			assert.NotEmpty(t, resp.Header.Get("X-Amzn-Requestid"))
			if tt.status != 200 {
				assert.Contains(t, body, `"message":`)
			}
		})
	}
}

// The SDK's own signature is the reference.
func TestSignatureIsChecked(t *testing.T) {
	transports(t, func(t *testing.T, opt func(*bedrocktest.Options)) {
		srv := bedrocktest.NewServer(t, opt, func(o *bedrocktest.Options) {
			o.Secret, o.Responder, o.BearerToken = "s3cret", bedrocktest.Echo, "key"
		})
		in := &bedrockruntime.ConverseInput{
			ModelId:  aws.String("arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123"),
			Messages: userText("Hi"),
		}
		_, err := srv.Client().Converse(t.Context(), in)
		require.NoError(t, err)

		cfg := srv.Config()
		for _, tt := range []struct{ key, secret, code string }{
			{"AKIDEXAMPLE", "wrong", "InvalidSignatureException"},
			{"AKIDOTHER", "s3cret", "UnrecognizedClientException"},
		} {
			client := bedrockruntime.NewFromConfig(cfg, noRetry, func(o *bedrockruntime.Options) {
				o.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
					return aws.Credentials{AccessKeyID: tt.key, SecretAccessKey: tt.secret}, nil
				})
			})
			_, err := client.Converse(t.Context(), in)
			var api smithy.APIError
			require.ErrorAs(t, err, &api)
			assert.Equal(t, tt.code, api.ErrorCode())
		}

		req := request(t, srv, "/model/"+haiku+"/converse", `{"messages":[{"role":"user","content":[{"text":"Hi"}]}]}`)
		resp, _ := do(t, srv, req)
		assert.Equal(t, 403, resp.StatusCode, "another API key")
		req = request(t, srv, "/model/"+haiku+"/converse", `{"messages":[{"role":"user","content":[{"text":"Hi"}]}]}`)
		req.Header.Set("Authorization", "Bearer key")
		resp, _ = do(t, srv, req)
		assert.Equal(t, 200, resp.StatusCode)
	})
}

// A signature covers the body, also where the client says its hash in a header.
func TestSignatureCoversTheBody(t *testing.T) {
	srv := echoServer(t, func(o *bedrocktest.Options) { o.Secret = "s3cret" })
	const signed, other = `{"messages":[` + user + `]}`, `{"messages":[{"role":"user","content":[{"text":"Ho"}]}]}`
	for body, want := range map[string]int{signed: 200, other: 403} {
		req := request(t, srv, "/model/amazon.nova-lite-v1%3A0/converse", body)
		sum := sha256.Sum256([]byte(signed))
		hash := hex.EncodeToString(sum[:])
		req.Header.Set("X-Amz-Content-Sha256", hash)
		creds := aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "s3cret"}
		require.NoError(t, v4.NewSigner().SignHTTP(t.Context(), creds, req, hash, "bedrock", "us-east-1", time.Now()))
		resp, _ := do(t, srv, req)
		assert.Equal(t, want, resp.StatusCode, body)
	}
}

// signed is a request that the SDK's signer has signed, after edit has changed
// it and before tamper does.
func signed(t testing.TB, srv *bedrocktest.Server, at time.Time, edit, tamper func(*http.Request)) *http.Request {
	const body = `{"messages":[` + user + `]}`
	req := request(t, srv, "/model/amazon.nova-lite-v1%3A0/converse", body)
	if edit != nil {
		edit(req)
	}
	sum := sha256.Sum256([]byte(body))
	creds := aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "s3cret"}
	require.NoError(t, v4.NewSigner().SignHTTP(t.Context(), creds, req, hex.EncodeToString(sum[:]), "bedrock", "us-east-1", at))
	if tamper != nil {
		tamper(req)
	}
	return req
}

// With a secret a signature is checked in full.
func TestSignatureInFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := echoServer(t, func(o *bedrocktest.Options) { o.Secret = "s3cret" })
		now := time.Now()
		header := func(name, value string) func(*http.Request) {
			return func(r *http.Request) { r.Header.Set(name, value) }
		}
		auth := func(old, with string) func(*http.Request) {
			return func(r *http.Request) {
				r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, with, 1))
			}
		}
		for _, tt := range []struct {
			name         string
			at           time.Time
			edit, tamper func(*http.Request)
			code, want   string
		}{
			{"right", now, header("X-Amz-Test", "a"), nil, "", ""},
			{"a little late", now.Add(-4 * time.Minute), nil, nil, "", ""},
			{"expired", now.Add(-6 * time.Minute), nil, nil, "InvalidSignatureException", "Signature expired: "},
			{"too early", now.Add(6 * time.Minute), nil, nil, "InvalidSignatureException", "Signature not yet current: "},
			{"another time", now, nil, header("X-Amz-Date", now.Add(time.Second).UTC().Format("20060102T150405Z")), "InvalidSignatureException", "does not match"},
			{"no time", now, nil, header("X-Amz-Date", "now"), "IncompleteSignatureException", "basic format"},
			{"another day", now, nil, auth("/20", "/19"), "InvalidSignatureException", "Date in Credential scope"},
			{"another region", now, nil, auth("us-east-1", "us-west-2"), "InvalidSignatureException", "does not match"},
			{"a header that was changed", now, header("X-Amz-Test", "a"), header("X-Amz-Test", "b"), "InvalidSignatureException", "does not match"},
			{"a header that is not signed", now, nil, header("X-Amz-Test", "b"), "InvalidSignatureException", "'x-amz-test' must be a 'SignedHeader'"},
			{"the host is not signed", now, nil, auth("host;", ""), "InvalidSignatureException", "'host' must be a 'SignedHeader'"},
			{"a body that is not hashed", now, header("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD"), nil, "", ""},
			{"another path", now, nil, func(r *http.Request) { r.URL.Path = "/model/amazon.nova-pro-v1:0/converse"; r.URL.RawPath = "" }, "InvalidSignatureException", "does not match"},
		} {
			resp, body := do(t, srv, signed(t, srv, tt.at, tt.edit, tt.tamper))
			code, _, _ := strings.Cut(resp.Header.Get("X-Amzn-Errortype"), ":")
			assert.Equal(t, tt.code, code, tt.name)
			if tt.code != "" {
				assert.Equal(t, 403, resp.StatusCode)
				assert.Contains(t, message(body), tt.want, tt.name)
			}
		}
	})
}

// The events of a session have signatures of their own.
func TestSignaturesOfASession(t *testing.T) {
	for name, tamper := range map[string]func([]byte){
		"right": nil,
		"wrong": func(b []byte) { b[len(b)/2] ^= 1 },
	} {
		t.Run(name, func(t *testing.T) {
			srv := echoServer(t, func(o *bedrocktest.Options) { o.HTTP2, o.Secret = true, "s3cret" })
			creds := aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "s3cret"}
			in, body := io.Pipe()
			req, err := http.NewRequestWithContext(t.Context(), "POST", srv.URL()+"/model/amazon.nova-2-sonic-v1%3A0/invoke-with-bidirectional-stream", in)
			require.NoError(t, err)
			now := time.Now()
			req.Header.Set("X-Amz-Content-Sha256", "STREAMING-AWS4-HMAC-SHA256-EVENTS")
			require.NoError(t, v4.NewSigner().SignHTTP(t.Context(), creds, req, "STREAMING-AWS4-HMAC-SHA256-EVENTS", "bedrock", "us-east-1", now))
			_, sig, _ := strings.Cut(req.Header.Get("Authorization"), "Signature=")
			seed, err := hex.DecodeString(sig)
			require.NoError(t, err)
			signer := v4.NewStreamSigner(creds, "bedrock", "us-east-1", seed)
			go func() {
				defer body.Close()
				for _, e := range []string{`{"contentStart":{"type":"TEXT","role":"USER"}}`, `{"textInput":{"content":"Hi"}}`, `{"contentEnd":{}}`, `{"sessionEnd":{}}`} {
					chunk := eventstream.AppendEvent(nil, "chunk", []byte(`{"bytes":"`+base64.StdEncoding.EncodeToString([]byte(`{"event":`+e+`}`))+`"}`))
					date := eventstream.AppendMessage(nil, []eventstream.Header{{Name: ":date", Value: now}}, nil)
					chunkSig, err := signer.GetSignature(t.Context(), date[12:len(date)-4], chunk, now)
					if !assert.NoError(t, err) {
						return
					}
					if tamper != nil {
						tamper(chunkSig)
					}
					body.Write(eventstream.AppendMessage(nil, []eventstream.Header{{Name: ":date", Value: now}, {Name: ":chunk-signature", Value: chunkSig}}, chunk))
				}
			}()
			resp, got := do(t, srv, req)
			require.Equal(t, 200, resp.StatusCode)
			if tamper == nil {
				assert.Equal(t, "", srv.Requests()[0].Outcome.Code)
				assert.Contains(t, got, "chunk")
				return
			}
			assert.Equal(t, "InvalidSignatureException", srv.Requests()[0].Outcome.Code)
			assert.Contains(t, got, "InvalidSignatureException")
		})
	}
}
