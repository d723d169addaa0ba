package bedrockx_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/smithy-go/auth/bearer"
	"github.com/aws/smithy-go/logging"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/bedrockx"
)

// wire is an HTTP client that keeps the last request and answers by itself, so
// that no address has to be there.
type wire struct {
	req  *http.Request
	body []byte
}

func (w *wire) Do(req *http.Request) (*http.Response, error) {
	w.req = req
	var err error
	if w.body, err = io.ReadAll(req.Body); err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: 200, Header: http.Header{}, Request: req, Body: io.NopCloser(bytes.NewReader([]byte(
		`{"type":"message","role":"assistant","content":[{"type":"text","text":"Hello!"}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":2}}`)))}, nil
}

// What a caller sets on the SDK's client holds for calls through the pipeline.
func TestTheSDKsOwnOptions(t *testing.T) {
	static := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "example", SessionToken: "session"}, nil
	})
	var logs bytes.Buffer
	tests := map[string]struct {
		set   func(*bedrockruntime.Options)
		check func(*testing.T, *wire)
	}{
		"APIOptions": {func(o *bedrockruntime.Options) {
			o.APIOptions = append(o.APIOptions, func(s *middleware.Stack) error {
				return s.Build.Add(middleware.BuildMiddlewareFunc("test.Header", func(ctx context.Context, in middleware.BuildInput, next middleware.BuildHandler) (middleware.BuildOutput, middleware.Metadata, error) {
					in.Request.(*smithyhttp.Request).Header.Set("X-Team", "manga")
					return next.HandleBuild(ctx, in)
				}), middleware.After)
			})
		}, func(t *testing.T, w *wire) {
			assert.Equal(t, "manga", w.req.Header.Get("X-Team"))
			assert.Contains(t, w.req.Header.Get("Authorization"), "x-team", "it is signed as well")
		}},
		"BaseEndpoint": {func(o *bedrockruntime.Options) { o.BaseEndpoint = aws.String("https://gateway.example/bedrock") }, func(t *testing.T, w *wire) {
			assert.Equal(t, "gateway.example", w.req.URL.Host)
			assert.Equal(t, "/bedrock/model/anthropic.claude-3-haiku-20240307-v1%3A0/invoke", w.req.URL.EscapedPath())
		}},
		"FIPS": {func(o *bedrockruntime.Options) { o.EndpointOptions.UseFIPSEndpoint = aws.FIPSEndpointStateEnabled }, func(t *testing.T, w *wire) {
			assert.Equal(t, "bedrock-runtime-fips.us-west-2.amazonaws.com", w.req.URL.Host)
		}},
		"dual stack": {func(o *bedrockruntime.Options) {
			o.EndpointOptions.UseDualStackEndpoint = aws.DualStackEndpointStateEnabled
		}, func(t *testing.T, w *wire) {
			assert.Equal(t, "bedrock-runtime.us-west-2.api.aws", w.req.URL.Host)
		}},
		"credentials": {func(*bedrockruntime.Options) {}, func(t *testing.T, w *wire) {
			assert.Equal(t, "session", w.req.Header.Get("X-Amz-Security-Token"))
			assert.Contains(t, w.req.Header.Get("Authorization"), "/us-west-2/bedrock/aws4_request")
		}},
		"an API key": {func(o *bedrockruntime.Options) {
			o.BearerAuthTokenProvider = bearer.StaticTokenProvider{Token: bearer.Token{Value: "a-bedrock-key"}}
			o.AuthSchemePreference = []string{"httpBearerAuth"}
		}, func(t *testing.T, w *wire) {
			assert.Equal(t, "Bearer a-bedrock-key", w.req.Header.Get("Authorization"))
		}},
		"ClientLogMode": {func(o *bedrockruntime.Options) {
			o.ClientLogMode = aws.LogRequestWithBody | aws.LogResponseWithBody
			o.Logger = logging.NewStandardLogger(&logs)
		}, func(t *testing.T, w *wire) {
			assert.Contains(t, logs.String(), "hello", "the caller asked for the body")
			assert.Contains(t, logs.String(), "Hello!")
		}},
		"AppID": {func(o *bedrockruntime.Options) { o.AppID = "MangaAssist" }, func(t *testing.T, w *wire) {
			assert.Contains(t, w.req.Header.Get("User-Agent"), "app/MangaAssist")
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := &wire{}
			sdk := bedrockruntime.New(bedrockruntime.Options{Region: "us-west-2", Credentials: static, HTTPClient: w}, tt.set)
			result, err := bedrockx.Invoke(t.Context(), bedrockx.New(sdk), model, request("hello"))
			require.NoError(t, err)
			assert.Equal(t, "Hello!", result.Output.Text())
			assert.Contains(t, string(w.body), "hello")
			tt.check(t, w)
		})
	}
}

// An error of a credential provider is the caller's, as it is: nothing was
// sent, and nothing is tried again.
func TestCredentialsFail(t *testing.T) {
	broken := errors.New("the vault is sealed")
	asked := 0
	sdk := bedrockruntime.New(bedrockruntime.Options{Region: "us-west-2", HTTPClient: &wire{},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			asked++
			return aws.Credentials{}, broken
		})})
	_, err := bedrockx.Invoke(t.Context(), bedrockx.New(sdk, quick), model, request("hello"))
	assert.ErrorIs(t, err, broken)
	assert.Equal(t, 1, asked)
}
