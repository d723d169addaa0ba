package bedrockx_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
)

// standIn answers for the services that give credentials, and counts what comes
// to Bedrock.
type standIn struct {
	imds, sts func(http.ResponseWriter)
	bedrock   int
}

func (s *standIn) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		defer req.Body.Close()
	}
	answer := func(w http.ResponseWriter) { s.bedrock++; fmt.Fprint(w, `{}`) }
	switch host := req.URL.Hostname(); {
	case host == "169.254.169.254":
		answer = s.imds
	case strings.HasPrefix(host, "sts."):
		answer = s.sts
	}
	if answer == nil {
		return nil, errors.New("connection refused")
	}
	w := httptest.NewRecorder()
	answer(w)
	return w.Result(), nil
}

func status(code int) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) { w.WriteHeader(code) }
}

func ofSTS(status int, code string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(status)
		fmt.Fprintf(w, `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>%s</Code><Message>Not authorized to perform sts:AssumeRoleWithWebIdentity</Message></Error><RequestId>r</RequestId></ErrorResponse>`, code)
	}
}

// An error on the way to credentials is not one of Bedrock, whatever it looks
// like: nothing was sent, no other target can answer, and no policy of IAM for
// the model is missing.
func TestErrorOfTheCredentialsIsAKindOfItsOwn(t *testing.T) {
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_BEARER_TOKEN_BEDROCK", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CA_BUNDLE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_EC2_METADATA_DISABLED"} {
		t.Setenv(name, "")
	}
	empty, token := filepath.Join(t.TempDir(), "empty"), filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	t.Setenv("AWS_CONFIG_FILE", empty)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", empty)
	require.NoError(t, os.WriteFile(token, []byte("x.y.z"), 0o600))
	tests := map[string]*standIn{
		"IMDS refuses connections": {},
		"STS refuses connections":  {sts: nil},
		"STS denies":               {sts: ofSTS(403, "AccessDenied")},
		"STS has another clock":    {sts: ofSTS(400, "ExpiredTokenException")},
		"STS throttles":            {sts: ofSTS(400, "Throttling")},
		"STS is overloaded":        {sts: ofSTS(503, "ServiceUnavailable")},
		"STS fails":                {sts: ofSTS(500, "InternalFailure")},
	}
	for _, code := range []int{401, 403, 404, 429, 500, 503} {
		tests[fmt.Sprintf("IMDS answers %d", code)] = &standIn{imds: status(code)}
	}
	for name, in := range tests {
		t.Run(name, func(t *testing.T) {
			if strings.HasPrefix(name, "STS") {
				t.Setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/x")
				t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", token)
			}
			synctest.Test(t, func(t *testing.T) {
				cfg, err := config.LoadDefaultConfig(t.Context(), config.WithRegion("us-east-1"), config.WithHTTPClient(&http.Client{Transport: in}))
				require.NoError(t, err)
				client := bedrockx.New(bedrockruntime.NewFromConfig(cfg), quick, func(o *bedrockx.Options) {
					o.Fallback = []bedrockx.Target{{Model: sonnet}}
					o.BreakerFailures = 1
				})
				for range 2 { // the breaker stays closed
					_, err := bedrockx.Invoke(t.Context(), client, model, request("hi"))
					require.ErrorIs(t, err, bedrockx.ErrCredentials)
					assert.Equal(t, bedrockx.KindCredentials, bedrockx.KindOf(err))
					var e *bedrockx.Error
					require.ErrorAs(t, err, &e)
					assert.Zero(t, e.Attempts)
					assert.Equal(t, model, e.Model)
					assert.Contains(t, err.Error(), "AWS_PROFILE")
					assert.NotContains(t, err.Error(), "bedrock:InvokeModel")
				}
				assert.Zero(t, in.bedrock, "nothing was sent")
			})
		})
	}
}

// A provider of credentials that hangs is stopped by the attempt's bound, and
// is no slow model.
func TestCredentialsThatHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := aws.Config{Region: "us-east-1", Credentials: aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
			<-ctx.Done()
			return aws.Credentials{}, ctx.Err()
		})}
		client := bedrockx.New(bedrockruntime.NewFromConfig(cfg))
		began := time.Now()
		_, err := bedrockx.Invoke(t.Context(), client, model, request("hi"))
		require.ErrorIs(t, err, bedrockx.ErrCredentials)
		assert.Equal(t, 120*time.Second, time.Since(began))

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = bedrockx.Invoke(ctx, client, model, request("hi"))
		assert.Equal(t, bedrockx.KindCanceled, bedrockx.KindOf(err), "it was the caller who left")
	})
}

func TestAdviceOnCredentialsThatTheServiceRefuses(t *testing.T) {
	for code, advice := range map[string]string{
		"ExpiredTokenException":          "sign in again",
		"UnrecognizedClientException":    "access key id",
		"InvalidSignatureException":      "secret access key",
		"SignatureDoesNotMatch":          "secret access key",
		"MissingAuthenticationToken":     "secret access key",
		"IncompleteSignature":            "secret access key",
		"RequestTimeTooSkewed":           "clock",
		"InvalidClientTokenId":           "access key id",
		"MissingAuthenticationException": "",
	} {
		srv := bedrocktest.NewServer(t)
		srv.Reply(bedrocktest.Error(403, code, "no"))
		_, err := bedrockx.Invoke(t.Context(), bedrockx.New(srv.Client()), model, request("hi"))
		if advice == "" {
			assert.ErrorIs(t, err, bedrockx.ErrAccessDenied, "an unknown code goes by its status")
			continue
		}
		require.ErrorIs(t, err, bedrockx.ErrCredentials, code)
		assert.Contains(t, err.Error(), advice, code)
		assert.NotContains(t, err.Error(), "bedrock:InvokeModel", code)
		assert.Len(t, srv.Requests(), 1)
	}
}

// A clock that is wrong is corrected by that of the service, and the request is
// sent once more, as the SDK alone would.
func TestClockSkewIsCorrected(t *testing.T) {
	const ahead = 15 * time.Minute
	for _, code := range []string{"RequestTimeTooSkewed", "RequestExpired", "InvalidSignatureException", "SignatureDoesNotMatch"} {
		t.Run(code, func(t *testing.T) {
			srv := bedrocktest.NewServer(t)
			srv.Control(bedrocktest.AnyOp, func(_ context.Context, req *bedrocktest.Request) *bedrocktest.Reply {
				now := time.Now().Add(ahead)
				signed, err := time.Parse("20060102T150405Z", req.Header.Get("X-Amz-Date"))
				if err == nil && signed.Sub(now).Abs() < 5*time.Minute {
					return bedrocktest.Text("ok").Header("Date", now.UTC().Format(http.TimeFormat))
				}
				return bedrocktest.Error(403, code, "Signature expired").Header("Date", now.UTC().Format(http.TimeFormat))
			}).Keep()
			client := bedrockx.New(srv.Client(), quick)
			result, err := bedrockx.Invoke(t.Context(), client, model, request("hi"))
			require.NoError(t, err)
			assert.Equal(t, 2, result.Attempts)
			require.Len(t, result.Failures, 1)
			assert.Equal(t, bedrockx.KindCredentials, result.Failures[0].Kind)

			result, err = bedrockx.Invoke(t.Context(), client, model, request("hi"))
			require.NoError(t, err)
			assert.Equal(t, 1, result.Attempts, "the client has learned it")
		})
	}
	t.Run("not for a wrong signature", func(t *testing.T) {
		srv := bedrocktest.NewServer(t)
		srv.Reply(bedrocktest.Error(403, "InvalidSignatureException", "The request signature we calculated does not match"))
		_, err := bedrockx.Invoke(t.Context(), bedrockx.New(srv.Client(), quick), model, request("hi"))
		require.ErrorIs(t, err, bedrockx.ErrCredentials)
		assert.Len(t, srv.Requests(), 1)
	})
	for name, sent := range map[string]int{"never right": 2, "correction is off": 1} {
		t.Run(name, func(t *testing.T) {
			srv := bedrocktest.NewServer(t)
			srv.Control(bedrocktest.AnyOp, func(context.Context, *bedrocktest.Request) *bedrocktest.Reply {
				days := time.Duration(len(srv.Requests())) * 24 * time.Hour
				return bedrocktest.Error(403, "RequestTimeTooSkewed", "").Header("Date", time.Now().Add(days).UTC().Format(http.TimeFormat))
			}).Keep()
			_, err := bedrockx.Invoke(t.Context(), bedrockx.New(srv.Client(), quick, func(o *bedrockx.Options) {
				if sent == 1 {
					o.SDKOptions = append(o.SDKOptions, func(o *bedrockruntime.Options) { o.DisableClockSkewCorrection = true })
				}
			}), model, request("hi"))
			require.ErrorIs(t, err, bedrockx.ErrCredentials)
			assert.Contains(t, err.Error(), "set this machine's clock")
			assert.Len(t, srv.Requests(), sent)
		})
	}
}

func TestHTTPStatusOfAKind(t *testing.T) {
	for kind, want := range map[bedrockx.Kind]int{
		"": 200, bedrockx.KindThrottled: 429, bedrockx.KindLimited: 429, bedrockx.KindOverloaded: 503, bedrockx.KindNotReady: 503,
		bedrockx.KindTimeout: 504, bedrockx.KindStalled: 504, bedrockx.KindCorrupt: 502, bedrockx.KindInternal: 502, bedrockx.KindValidation: 400,
		bedrockx.KindContextOverflow: 400, bedrockx.KindBudget: 402, bedrockx.KindRefused: 403, bedrockx.KindCanceled: 499,
		bedrockx.KindCredentials: 500, bedrockx.KindAccessDenied: 500, bedrockx.KindNotFound: 500, bedrockx.KindUnknown: 500, "new": 500,
	} {
		assert.Equal(t, want, kind.HTTPStatus(), kind)
	}
	assert.Equal(t, 499, bedrockx.KindOf(context.Canceled).HTTPStatus())
	assert.Equal(t, 500, bedrockx.KindOf(io.EOF).HTTPStatus())
}
