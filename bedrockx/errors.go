package bedrockx

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/aws/smithy-go"

	"github.com/mangaassist/bedrockkit"
)

// Kind says what went wrong. Two errors have different kinds if a caller should react
// to them differently.
type Kind string

// The kinds, and how each is retried: up to Options.MaxAttempts, unless the comment
// says otherwise. [Options.FallbackOn] says when another target is tried.
const (
	KindThrottled       Kind = "throttled"         // requests or tokens per minute are spent
	KindDailyQuota      Kind = "daily_quota"       // tokens per day are spent; not retried
	KindQuota           Kind = "quota"             // an account's quota is exceeded; not retried
	KindNotReady        Kind = "model_not_ready"   // the model is being loaded; 5 attempts, unless MaxAttempts is 1
	KindTimeout         Kind = "timeout"           // the service timed out, which is billed: retried once; a timeout of Options is not retried
	KindModelError      Kind = "model_error"       // the model failed; retried once if its own status was 500 or above
	KindOverloaded      Kind = "overloaded"        // 503, 529
	KindInternal        Kind = "internal_error"    // 500 and other 5xx
	KindConnection      Kind = "connection_failed" // there was no response
	KindValidation      Kind = "validation"        // the request is wrong; not retried
	KindCredentials     Kind = "credentials"       // none were found, or the service rejects them; retried once if the clock was wrong
	KindAccessDenied    Kind = "access_denied"     // not retried
	KindNotFound        Kind = "not_found"         // not retried
	KindContextOverflow Kind = "context_overflow"  // the input is too long for the model; not retried
	KindTruncated       Kind = "truncated"         // the stream broke off; retried before the first output
	KindCorrupt         Kind = "corrupt"           // the response cannot be read; retried before the first output
	KindEmpty           Kind = "empty"             // a success without an answer
	KindStalled         Kind = "stalled"           // a stream sent nothing for too long; retried once
	KindTooLarge        Kind = "too_large"         // over a bound on the response; not retried
	KindLimited         Kind = "limited"           // a quota.Limiter had no room in time; nothing was sent, not retried
	KindBudget          Kind = "budget"            // over a bound on cost or tokens; not retried
	KindRefused         Kind = "refused"           // one of your policies refused the request or the answer; not retried
	KindCanceled        Kind = "canceled"          // the caller's context ended; not retried
	KindUnknown         Kind = "unknown_error"     // not retried
)

// HTTPStatus returns the status that a server should answer its own client with after
// an error of this kind: 429 if a later attempt can succeed, 503 and 504 if the model
// is not available in time, 502 if the answer failed, 400 for a wrong request, 402 for
// a spent budget, 403 if a policy refused the call, 499 (as in nginx) if the client
// has gone, and 500 for what only the operator of the server can fix. It is 200 for
// the empty kind, which means no error.
func (k Kind) HTTPStatus() int {
	switch k {
	case "":
		return 200
	case KindThrottled, KindDailyQuota, KindQuota, KindLimited:
		return 429
	case KindOverloaded, KindNotReady:
		return 503
	case KindTimeout, KindStalled:
		return 504
	case KindModelError, KindInternal, KindConnection, KindTruncated, KindCorrupt, KindEmpty, KindTooLarge:
		return 502
	case KindValidation, KindContextOverflow:
		return 400
	case KindBudget:
		return 402
	case KindRefused:
		return 403
	case KindCanceled:
		return 499
	}
	return 500
}

// refused reports whether the request was refused before the model ran, so that
// it took nothing of a quota and costs nothing.
func (k Kind) refused() bool {
	switch k {
	case KindThrottled, KindDailyQuota, KindQuota, KindNotReady, KindOverloaded, KindValidation, KindCredentials,
		KindAccessDenied, KindNotFound, KindContextOverflow, KindLimited, KindBudget:
		return true
	}
	return false
}

// The sentinel errors of the kinds, for errors.Is.
var (
	ErrThrottled       = errors.New("throttled")
	ErrDailyQuota      = errors.New("daily token quota is spent")
	ErrQuota           = errors.New("service quota exceeded")
	ErrNotReady        = errors.New("model is not ready")
	ErrTimeout         = errors.New("timed out")
	ErrModelError      = errors.New("model failed")
	ErrOverloaded      = errors.New("service is overloaded")
	ErrInternal        = errors.New("service failed")
	ErrConnection      = errors.New("connection failed")
	ErrValidation      = errors.New("request is not valid")
	ErrCredentials     = errors.New("no valid credentials")
	ErrAccessDenied    = errors.New("access denied")
	ErrNotFound        = errors.New("not found")
	ErrContextOverflow = errors.New("input is too long for the model")
	ErrTruncated       = errors.New("stream was truncated")
	ErrCorrupt         = errors.New("response is corrupt")
	ErrEmpty           = errors.New("response is empty")
	ErrStalled         = errors.New("stream stalled")
	ErrTooLarge        = errors.New("response is too large")
	ErrBudget          = errors.New("over budget")
	ErrRefused         = errors.New("refused by a policy") // for a Middleware to return
)

// ErrAttemptTimeout means that there was no response in time, ErrFirstEventTimeout
// that a stream had no output in time. errors.Is also finds [ErrTimeout] in both. The
// error of Options.IdleTimeout is [ErrStalled].
var (
	ErrAttemptTimeout    = fmt.Errorf("no response within the attempt timeout: %w", ErrTimeout)
	ErrFirstEventTimeout = fmt.Errorf("no output within the first-event timeout: %w", ErrTimeout)
)

// sentinels is ordered, so that classifying is too.
var sentinels = []struct {
	kind Kind
	err  error
}{
	{KindThrottled, ErrThrottled}, {KindDailyQuota, ErrDailyQuota}, {KindQuota, ErrQuota},
	{KindNotReady, ErrNotReady}, {KindTimeout, ErrTimeout}, {KindModelError, ErrModelError},
	{KindOverloaded, ErrOverloaded}, {KindInternal, ErrInternal}, {KindConnection, ErrConnection},
	{KindValidation, ErrValidation}, {KindCredentials, ErrCredentials}, {KindAccessDenied, ErrAccessDenied}, {KindNotFound, ErrNotFound},
	{KindContextOverflow, ErrContextOverflow}, {KindTruncated, ErrTruncated}, {KindCorrupt, ErrCorrupt},
	{KindEmpty, ErrEmpty}, {KindStalled, ErrStalled}, {KindTooLarge, ErrTooLarge}, {KindBudget, ErrBudget},
	{KindLimited, ErrLimited}, {KindRefused, ErrRefused},
}

// Error is the error of a call.
type Error struct {
	Op        bedrockkit.Operation
	Model     bedrockkit.ModelID
	Kind      Kind
	Attempts  int    // requests that were sent, this one included
	RequestID string // of the last response, if there was one

	// RetryAfter is how long to wait: what the service asked for, or when a
	// [quota.Limiter] will have room. It is 0 if that is not known.
	RetryAfter time.Duration

	// Err is the cause: the SDK's error, or an error that says what was wrong.
	Err error

	note string // what the client decided, beside the cause
}

// Error says what was called, what went wrong and, if there is advice, what to do.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("bedrock")
	for _, name := range []string{string(e.Op), string(e.Model)} {
		if name != "" {
			b.WriteString(" " + name)
		}
	}
	b.WriteString(": " + strings.ReplaceAll(string(e.Kind), "_", " "))
	if e.Attempts > 1 {
		fmt.Fprintf(&b, " after %d attempts", e.Attempts)
	}
	if text := e.cause(); text != "" {
		fmt.Fprintf(&b, ": %s", text)
	}
	if e.RequestID != "" {
		fmt.Fprintf(&b, " (request id %s)", e.RequestID)
	}
	for _, more := range []string{e.note, e.hint()} {
		if more != "" {
			fmt.Fprintf(&b, "; %s", more)
		}
	}
	return b.String()
}

// cause is the text of Err without the layers that say again what Error says.
func (e *Error) cause() string {
	var identity *identityError
	switch {
	case e.Err == nil:
		return ""
	case errors.As(e.Err, &identity):
		return identity.Error()
	case e.Kind != KindCanceled:
		if code, message := serviceError(e.Err); code != "" {
			return strings.TrimSuffix(code+": "+message, ": ")
		}
	}
	return e.Err.Error()
}

// serviceError is the code and the message of the service's error in err.
func serviceError(err error) (code, message string) {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode(), api.ErrorMessage()
	}
	return "", ""
}

// hint is what to do, in our own words.
func (e *Error) hint() string {
	switch e.Kind {
	case KindCredentials:
		return e.credentialsHint()
	case KindAccessDenied:
		action := "bedrock:InvokeModel"
		if e.Op.Streaming() {
			action = "bedrock:InvokeModelWithResponseStream"
		}
		return fmt.Sprintf("allow %s on %s, and see that the account has access to the model", action, e.Model)
	case KindThrottled:
		return "lower the rate or max tokens, or ask for a higher quota"
	case KindLimited:
		if e.RetryAfter > 0 {
			return fmt.Sprintf("come back in %s, or give a fallback", e.RetryAfter.Round(time.Millisecond))
		}
	case KindDailyQuota:
		return "use another model or region until tomorrow, or ask for a higher quota"
	case KindNotFound:
		return "check the model id and that the region has the model"
	case KindContextOverflow:
		return "shorten the history or the documents"
	case KindUnknown:
		// The SDK has no type for this mistake.
		if e.Err != nil && strings.Contains(e.Err.Error(), "Missing Region") {
			return "set AWS_REGION, a region in your AWS profile, or that of the aws.Config"
		}
	}
	return ""
}

// Unwrap returns the sentinel of the kind, for errors.Is, and the cause, for
// errors.As.
func (e *Error) Unwrap() []error {
	errs := make([]error, 0, 2)
	for _, s := range sentinels {
		if s.kind == e.Kind {
			errs = append(errs, s.err)
		}
	}
	if e.Err != nil {
		errs = append(errs, e.Err)
	}
	return errs
}

// fail makes an *Error of any error of the pipeline, with the call that it was.
func (c *Call) fail(err error) error {
	e, ok := err.(*Error)
	if ok {
		copied := *e
		e = &copied
	} else {
		e = &Error{Kind: kindOf(err), Err: err}
	}
	e.Op, e.Model, e.Attempts = c.Op, c.Model, c.Attempts
	if e.RequestID == "" {
		e.RequestID = c.RequestID
	}
	return e
}

// Fail returns an [*Error] for what went wrong after Do returned, such as a broken
// stream. ctx is the context that Decode got. The kind of an exception is found by its
// code.
func (c *Call) Fail(ctx context.Context, err error) error {
	return c.fail(classify(ctx, err))
}

// Canceled returns the error of a call, or of work around one, that ended because its
// context ended. errors.Is finds the context's error and its cause.
func Canceled(ctx context.Context, op bedrockkit.Operation, model bedrockkit.ModelID) *Error {
	return &Error{Op: op, Model: model, Kind: KindCanceled, Err: joinCause(ctx)}
}

// attempts is how many attempts an error is worth.
func (e *Error) attempts(o *Options) int {
	switch e.Kind {
	case KindThrottled, KindOverloaded, KindInternal, KindConnection, KindTruncated, KindCorrupt, KindEmpty:
		return o.MaxAttempts
	case KindNotReady:
		if o.MaxAttempts > 1 {
			return max(o.MaxAttempts, 5)
		}
	case KindTimeout, KindStalled:
		if errors.Is(e.Err, ErrAttemptTimeout) || errors.Is(e.Err, ErrFirstEventTimeout) {
			return 1 // the answer is still being made, and paid for
		}
		return min(o.MaxAttempts, 2)
	case KindCredentials:
		if errors.Is(e.Err, errClockSkew) {
			return min(o.MaxAttempts, 2)
		}
	case KindModelError:
		var model *types.ModelErrorException
		if errors.As(e.Err, &model) && model.OriginalStatusCode != nil && *model.OriginalStatusCode < 500 {
			return 1
		}
		return min(o.MaxAttempts, 2)
	}
	return 1
}
