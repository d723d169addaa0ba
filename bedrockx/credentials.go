package bedrockx

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/smithy-go/auth/bearer"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// An identityError is what went wrong before a request could be signed: in the
// chain of credentials, or at the service that it asks (IMDS, STS, SSO), whose
// errors look like those of Bedrock.
type identityError struct{ err error }

func (e *identityError) Error() string {
	text := e.err.Error()
	// The layers of the SDK that only say where it happened.
	for _, layer := range []string{"get identity: ", "get token: ", "get credentials: "} {
		if _, after, found := strings.Cut(text, layer); found {
			text = after
		}
	}
	return text
}

func (e *identityError) Unwrap() error { return e.err }

// errClockSkew is the error of a request whose signature the service refused
// because this machine's clock is wrong.
var errClockSkew = errors.New("the clock is wrong")

// maxSkew is how far a clock may be off before the SDK corrects it.
const maxSkew = 4 * time.Minute

// skewCodes are the errors of a signature whose time is wrong. Some have other
// causes as well, so the times are compared too. Source: aws/retry of the AWS
// SDK for Go, and those of other versions of it.
var skewCodes = []string{
	"InvalidSignatureException", "SignatureDoesNotMatch", "AuthFailure", "RequestTimeTooSkewed", "RequestExpired",
	"RequestInTheFuture", "AccessDeniedException",
}

// credentialsHint says what to do about KindCredentials.
func (e *Error) credentialsHint() string {
	var identity *identityError
	code, _ := serviceError(e.Err)
	switch {
	case errors.Is(e.Err, errNoCredentials):
		return "config.LoadDefaultConfig finds those of the environment"
	case errors.As(e.Err, &identity):
		return "set AWS_PROFILE, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a role, and see that the service that gives them can be reached"
	case errors.Is(e.Err, errClockSkew), code == "RequestTimeTooSkewed", code == "RequestExpired":
		return "set this machine's clock"
	case strings.HasPrefix(code, "ExpiredToken"):
		return "the session of the credentials is over: sign in again, or use a role, whose credentials are renewed"
	case strings.HasPrefix(code, "UnrecognizedClient"), strings.HasPrefix(code, "InvalidClientTokenId"):
		return "check the access key id or the API key, and that it belongs to this partition and region"
	}
	return "check the secret access key and the session token, or the API key"
}

// noCredentials is the token provider of a client that has neither credentials
// nor an API key.
type noCredentials struct{}

var errNoCredentials = errors.New("the SDK client has no credentials")

func (noCredentials) RetrieveBearerToken(context.Context) (bearer.Token, error) {
	return bearer.Token{}, errNoCredentials
}

// giveToken sees to it that the SDK asks no nil provider, and panics.
func giveToken(o *bedrockruntime.Options) {
	if o.Credentials == nil && o.BearerAuthTokenProvider == nil {
		o.BearerAuthTokenProvider = noCredentials{}
	}
}

// watchIdentity finds out in which step an attempt fails: it notes that the
// request is made, and that the SDK has found credentials for it.
func (t *tap) watchIdentity(stack *middleware.Stack) error {
	const step = "GetIdentity"
	if _, ok := stack.Finalize.Get(step); !ok {
		return nil // a version of the SDK that does it otherwise
	}
	if err := stack.Build.Add(t, middleware.After); err != nil {
		return err
	}
	return stack.Finalize.Insert(t, step, middleware.After)
}

// ID is that of the tap as a middleware of the SDK.
func (t *tap) ID() string { return "bedrockkit.Identity" }

// HandleBuild notes that the request is made.
func (t *tap) HandleBuild(ctx context.Context, in middleware.BuildInput, next middleware.BuildHandler) (middleware.BuildOutput, middleware.Metadata, error) {
	t.unsigned = true
	return next.HandleBuild(ctx, in)
}

// HandleFinalize notes that there are credentials.
func (t *tap) HandleFinalize(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
	t.unsigned = false
	return next.HandleFinalize(ctx, in)
}

// named is an attempt's error, marked if the credentials are the reason.
func (t *tap) named(err error) error {
	var signing *v4.SigningError
	switch {
	case err == nil:
		return nil
	case t.unsigned, errors.As(err, &signing):
		return &identityError{err}
	case t.skewed:
		if code, _ := serviceError(err); slices.Contains(skewCodes, code) {
			return fmt.Errorf("%w: %w", errClockSkew, err)
		}
	}
	return err
}

// skew reports whether the time that a request was signed with is not that of
// the service, as far as both say it.
func skew(req *smithyhttp.Request, resp *smithyhttp.Response) bool {
	signed, err := time.Parse("20060102T150405Z", req.Header.Get("X-Amz-Date"))
	if err != nil {
		return false
	}
	date, err := http.ParseTime(resp.Header.Get("Date"))
	return err == nil && signed.Sub(date).Abs() > maxSkew
}
