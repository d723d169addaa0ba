package bedrockx_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/aws/smithy-go/auth/bearer"
	"github.com/aws/smithy-go/logging"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
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
			assert.Equal(t, "/bedrock/model/global.anthropic.claude-haiku-4-5-20251001-v1%3A0/invoke", w.req.URL.EscapedPath())
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
			assert.Regexp(t, `bedrockkit/(devel|[0-9])`, w.req.Header.Get("User-Agent"))
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

// A client without credentials makes an error that says what to do. (By itself
// the SDK asks a token provider that is nil, and panics.)
func TestNoCredentials(t *testing.T) {
	for name, cfg := range map[string]aws.Config{
		"none":      {Region: "us-west-2"},
		"anonymous": {Region: "us-west-2", Credentials: aws.AnonymousCredentials{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("AWS_BEARER_TOKEN_BEDROCK", "")
			_, err := bedrockx.Invoke(t.Context(), bedrockx.NewFromConfig(cfg), model, request("Hi"))
			require.ErrorIs(t, err, bedrockx.ErrCredentials)
			assert.EqualError(t, err, "bedrock InvokeModel "+string(model)+": credentials: the SDK client has no credentials; config.LoadDefaultConfig finds those of the environment")
		})
	}
}

func TestNoRegion(t *testing.T) {
	credentials := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "example"}, nil
	})
	_, err := bedrockx.Invoke(t.Context(), bedrockx.NewFromConfig(aws.Config{Credentials: credentials}), model, request("Hi"))
	assert.ErrorContains(t, err, "; set AWS_REGION")
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
	assert.ErrorContains(t, err, "the vault is sealed; set AWS_PROFILE")
	assert.Equal(t, 1, asked)
}

// What is sent is what the SDK itself would send: the path of each operation for
// ids of every kind, below any endpoint, and the headers.
func TestRequestsAreTheSDKs(t *testing.T) {
	const question = `{"messages":[{"content":[{"text":"Hi"}],"role":"user"}]}`
	messages := []types.Message{{Role: "user", Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: "Hi"}}}}
	direct := map[bedrockkit.Operation]func(context.Context, *bedrockruntime.Client, *string) error{
		bedrockkit.OpConverse: func(ctx context.Context, c *bedrockruntime.Client, id *string) error {
			_, err := c.Converse(ctx, &bedrockruntime.ConverseInput{ModelId: id, Messages: messages})
			return err
		},
		bedrockkit.OpConverseStream: func(ctx context.Context, c *bedrockruntime.Client, id *string) error {
			out, err := c.ConverseStream(ctx, &bedrockruntime.ConverseStreamInput{ModelId: id, Messages: messages})
			if err != nil {
				return err
			}
			out.GetStream().Close() // its error is that of a body that is no stream, if it was read by then
			return nil
		},
		bedrockkit.OpInvokeModel: func(ctx context.Context, c *bedrockruntime.Client, id *string) error {
			_, err := c.InvokeModel(ctx, &bedrockruntime.InvokeModelInput{ModelId: id, Body: []byte(question), ContentType: aws.String("application/json")})
			return err
		},
		bedrockkit.OpInvokeModelWithResponseStream: func(ctx context.Context, c *bedrockruntime.Client, id *string) error {
			out, err := c.InvokeModelWithResponseStream(ctx, &bedrockruntime.InvokeModelWithResponseStreamInput{
				ModelId: id, Body: []byte(question), ContentType: aws.String("application/json")})
			if err != nil {
				return err
			}
			out.GetStream().Close()
			return nil
		},
	}
	ids := []bedrockkit.ModelID{
		"us.anthropic.claude-haiku-4-5-20251001-v1:0", "global.amazon.nova-2-lite-v1:0",
		"arn:aws:bedrock:us-west-2:123456789012:application-inference-profile/abc123",
		"arn:aws-us-gov:bedrock:us-gov-west-1::foundation-model/amazon.titan-text-express-v1",
		"arn:aws:bedrock:us-east-1:123456789012:provisioned-model/my-model_1",
	}
	for op, call := range direct {
		for _, id := range ids {
			for _, endpoint := range []string{"", "https://gateway.example/bedrock", "https://gateway.example/a%2Fb/"} {
				t.Run(fmt.Sprintf("%s,%s,%s", op, id, endpoint), func(t *testing.T) {
					var theirs, ours wire
					client := func(w *wire) *bedrockruntime.Client {
						o := bedrockruntime.Options{Region: "us-west-2", HTTPClient: w, Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
							return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "example"}, nil
						})}
						if endpoint != "" {
							o.BaseEndpoint = &endpoint
						}
						return bedrockruntime.New(o)
					}
					require.NoError(t, call(t.Context(), client(&theirs), aws.String(string(id))))
					one := &bedrockx.Call{Op: op, Outcome: bedrockx.Outcome{Model: id}, Body: []byte(question), Decode: func(context.Context, *bedrockx.Response) error { return nil }}
					require.NoError(t, bedrockx.New(client(&ours)).Do(t.Context(), one))
					one.End(nil)

					assert.Equal(t, theirs.req.Method, ours.req.Method)
					assert.Equal(t, theirs.req.URL, ours.req.URL)
					assert.Equal(t, theirs.req.ContentLength, ours.req.ContentLength)
					assert.JSONEq(t, string(theirs.body), string(ours.body))
					// They differ with the attempts that are allowed and with the time.
					for _, name := range []string{"Amz-Sdk-Invocation-Id", "Amz-Sdk-Request", "User-Agent", "X-Amz-Date", "Authorization"} {
						assert.Contains(t, ours.req.Header, name)
						theirs.req.Header.Del(name)
						ours.req.Header.Del(name)
					}
					assert.Equal(t, theirs.req.Header, ours.req.Header)
				})
			}
		}
	}
}
