package bedrockx

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/mangaassist/bedrockkit"
)

// Kind is what went wrong, as far as a caller acts on it differently.
type Kind string

// The kinds, and how each is retried: up to Options.MaxAttempts unless it says
// otherwise.
const (
	KindThrottled       Kind = "throttled"         // requests or tokens per minute are spent
	KindDailyQuota      Kind = "daily quota"       // tokens per day are spent; not retried
	KindQuota           Kind = "quota"             // an account's quota is exceeded; not retried
	KindNotReady        Kind = "model not ready"   // the model is being loaded; 5 attempts, unless MaxAttempts is 1
	KindTimeout         Kind = "timeout"           // a bound of ours, or the model's own: retried once, as it was billed
	KindModelError      Kind = "model error"       // the model failed; retried once where its own status was 500 or above
	KindOverloaded      Kind = "overloaded"        // 503, 529
	KindInternal        Kind = "internal error"    // 500 and other 5xx
	KindConnection      Kind = "connection failed" // no response came
	KindValidation      Kind = "validation"        // the request is wrong; not retried
	KindAccessDenied    Kind = "access denied"     // not retried
	KindNotFound        Kind = "not found"         // not retried
	KindContextOverflow Kind = "context overflow"  // the input is too long for the model; not retried
	KindTruncated       Kind = "truncated"         // the stream broke off; retried before the first output
	KindCorrupt         Kind = "corrupt"           // the response cannot be read; retried before the first output
	KindEmpty           Kind = "empty"             // a success that holds no answer
	KindStalled         Kind = "stalled"           // a stream sent nothing for too long
	KindTooLarge        Kind = "too large"         // over a bound on the response; not retried
	KindLimited         Kind = "limited"           // a Limiter had no room for it in time; nothing was sent, not retried
	KindBudget          Kind = "budget"            // over a bound on cost or tokens; not retried
	KindRefused         Kind = "refused"           // by a policy of yours, of the request or the answer; not retried
	KindCanceled        Kind = "canceled"          // the caller's context ended; not retried
	KindUnknown         Kind = "unknown error"     // not retried
)

// The sentinels of the kinds, for errors.Is.
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

// The errors of the bounds on waiting for a response and for its first output;
// errors.Is also finds [ErrTimeout]. That of Options.IdleTimeout is [ErrStalled].
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
	{KindValidation, ErrValidation}, {KindAccessDenied, ErrAccessDenied}, {KindNotFound, ErrNotFound},
	{KindContextOverflow, ErrContextOverflow}, {KindTruncated, ErrTruncated}, {KindCorrupt, ErrCorrupt},
	{KindEmpty, ErrEmpty}, {KindStalled, ErrStalled}, {KindTooLarge, ErrTooLarge}, {KindBudget, ErrBudget},
	{KindLimited, ErrLimited}, {KindRefused, ErrRefused},
}

// Error is the error of a call.
type Error struct {
	Op        Operation
	Model     bedrockkit.ModelID
	Kind      Kind
	Attempts  int    // requests that were sent, this one included
	RequestID string // of the last response, where one came

	// RetryAfter is how long the service asked to wait, or a [Limiter] would
	// have; 0 where neither said.
	RetryAfter time.Duration

	// Err is the cause: the SDK's error, or one that says what was wrong.
	Err error

	note string // what the client decided, beside the cause
}

// Error says what was called, what went wrong and, where it helps, what to do.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "bedrock %s", e.Op)
	if e.Model != "" {
		fmt.Fprintf(&b, " %s", e.Model)
	}
	fmt.Fprintf(&b, ": %s", e.Kind)
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
	if e.Err == nil {
		return ""
	}
	if errors.Is(e.Err, errNoCredentials) {
		return errNoCredentials.Error()
	}
	var api smithy.APIError
	if e.Kind != KindCanceled && errors.As(e.Err, &api) {
		return strings.TrimSuffix(api.ErrorCode()+": "+api.ErrorMessage(), ": ")
	}
	return e.Err.Error()
}

func (e *Error) hint() string {
	switch e.Kind {
	case KindAccessDenied:
		if errors.Is(e.Err, errNoCredentials) {
			return "config.LoadDefaultConfig finds those of the environment"
		}
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
		// The SDK has no types for the two first mistakes.
		switch text := fmt.Sprint(e.Err); {
		case strings.Contains(text, "Missing Region"):
			return "set AWS_REGION, a region in your AWS profile, or that of the aws.Config"
		case strings.Contains(text, "get credentials: "):
			return "set AWS_PROFILE, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a role"
		}
	}
	return ""
}

// refused reports whether the request was refused before the model ran, so that
// it took nothing of a quota and costs nothing.
func (k Kind) refused() bool {
	switch k {
	case KindThrottled, KindDailyQuota, KindQuota, KindNotReady, KindOverloaded, KindValidation,
		KindAccessDenied, KindNotFound, KindContextOverflow, KindLimited, KindBudget:
		return true
	}
	return false
}

// Unwrap gives errors.Is the sentinel of the kind and errors.As the cause.
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

// fail makes an *Error of any error of the pipeline, told which call it was.
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

// Fail makes an [*Error] of what went wrong with a call after Do returned: the
// error of a stream that broke. ctx is the one that Decode was given. An
// exception's kind is found by its code.
func (c *Call) Fail(ctx context.Context, err error) error {
	return c.fail(classify(ctx, err))
}

// Canceled is the error of a call, or of work around one, that ended with its
// context; errors.Is finds the context's error and its cause.
func Canceled(ctx context.Context, op Operation, model bedrockkit.ModelID) *Error {
	return &Error{Op: op, Model: model, Kind: KindCanceled, Err: joinCause(ctx)}
}

// classify finds the kind of an attempt's error. When the attempt's context
// has ended, by a bound of ours or by the caller, then that is why the
// connection broke, whatever the transport calls it.
func classify(ctx context.Context, err error) *Error {
	switch cause := context.Cause(ctx); cause {
	case ErrAttemptTimeout, ErrFirstEventTimeout, ErrStalled: // ours, and not one that a caller wrapped
		return &Error{Kind: kindOf(cause), Err: cause}
	}
	if ctx.Err() != nil {
		return &Error{Kind: KindCanceled, Err: joinCause(ctx)}
	}
	if e, ok := err.(*Error); ok {
		return e
	}
	e := &Error{Kind: kindOf(err), Err: err}
	var resp *smithyhttp.ResponseError
	if errors.As(err, &resp) && resp.Response != nil && resp.Response.Response != nil {
		e.RetryAfter = retryAfter(resp.Response.Header, time.Now())
		e.RequestID = resp.Response.Header.Get("X-Amzn-Requestid")
	}
	return e
}

// joinCause is the context's error together with its cause, so that errors.Is
// finds context.Canceled and what the caller gave to his cancel function.
func joinCause(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause == nil || cause == err {
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// kindOf classifies by code, then by status, then by what the transport says.
// ThrottlingException can come as HTTP 400, so the code goes first.
func kindOf(err error) Kind {
	var ours *Error
	if errors.As(err, &ours) {
		return ours.Kind
	}
	for _, s := range sentinels {
		if errors.Is(err, s.err) {
			return s.kind
		}
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return KindCanceled
	}
	if errors.Is(err, errNoCredentials) {
		return KindAccessDenied
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		if kind := kindOfCode(api.ErrorCode(), api.ErrorMessage()); kind != KindUnknown {
			return kind
		}
	}
	var status interface{ HTTPStatusCode() int }
	if errors.As(err, &status) {
		if kind := kindOfStatus(status.HTTPStatusCode()); kind != KindUnknown {
			return kind
		}
	}
	var send interface{ ConnectionError() bool }
	var netErr net.Error
	if errors.As(err, &send) || errors.As(err, &netErr) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) {
		return KindConnection
	}
	var invalid smithy.InvalidParamsError
	if errors.As(err, &invalid) {
		return KindValidation
	}
	var decode *smithy.DeserializationError
	if errors.As(err, &decode) {
		return KindCorrupt
	}
	return KindUnknown
}

// kindOfCode knows the exceptions of Bedrock Runtime (API reference, common
// and per-operation errors) and the error types of Anthropic's bodies. In a
// stream the codes start with a small letter and may lack "Exception".
func kindOfCode(code, message string) Kind {
	message = strings.ToLower(message)
	code = strings.ToLower(code)
	switch strings.TrimSuffix(code, "exception") {
	case "throttling", "throttled", "toomanyrequests", "requestlimitexceeded", "rate_limit_error":
		if strings.Contains(message, "per day") || strings.Contains(message, "daily") {
			return KindDailyQuota
		}
		return KindThrottled
	case "servicequotaexceeded":
		return KindQuota
	case "modelnotready":
		return KindNotReady
	case "modeltimeout", "timeout_error":
		return KindTimeout
	case "modelerror", "modelstreamerror":
		return KindModelError
	case "serviceunavailable", "overloaded_error", "slowdown":
		return KindOverloaded
	case "internalserver", "internalservererror", "internalfailure", "internalerror", "api_error":
		return KindInternal
	case "validation", "validationerror", "invalid_request_error", "serialization":
		for _, hint := range []string{"too long", "context window", "maximum context", "too many input tokens", "input length", "context length", "too many total text bytes"} {
			if strings.Contains(message, hint) {
				return KindContextOverflow
			}
		}
		return KindValidation
	case "accessdenied", "unrecognizedclient", "invalidsignature", "signaturedoesnotmatch", "expiredtoken",
		"missingauthenticationtoken", "incompletesignature", "invalidclienttokenid", "notauthorized",
		"permission_error", "authentication_error":
		return KindAccessDenied
	case "resourcenotfound", "not_found_error", "unknownoperation":
		return KindNotFound
	}
	return KindUnknown
}

func kindOfStatus(status int) Kind {
	switch {
	case status == http.StatusTooManyRequests:
		return KindThrottled
	case status == http.StatusRequestTimeout, status == http.StatusGatewayTimeout:
		return KindTimeout
	case status == http.StatusServiceUnavailable, status == 529:
		return KindOverloaded
	case status == http.StatusFailedDependency:
		return KindModelError
	case status >= 500:
		return KindInternal
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return KindAccessDenied
	case status == http.StatusNotFound:
		return KindNotFound
	case status >= 400:
		return KindValidation
	case status >= 200 && status < 300:
		return KindCorrupt // a success that the SDK could not read
	}
	return KindUnknown
}

// retryAfter reads the header, in seconds or as a date, and that of AWS in
// milliseconds.
func retryAfter(h http.Header, now time.Time) time.Duration {
	if ms, err := strconv.ParseInt(h.Get("X-Amz-Retry-After"), 10, 32); err == nil && ms > 0 {
		return time.Duration(ms) * time.Millisecond
	}
	v := h.Get("Retry-After")
	if s, err := strconv.ParseInt(v, 10, 32); err == nil && s > 0 {
		return time.Duration(s) * time.Second
	}
	if at, err := http.ParseTime(v); err == nil && at.After(now) {
		return at.Sub(now)
	}
	return 0
}

// retryable says how many attempts an error's kind is worth.
func (e *Error) attempts(o *Options) int {
	switch e.Kind {
	case KindThrottled, KindOverloaded, KindInternal, KindConnection, KindTruncated, KindCorrupt, KindEmpty:
		return o.MaxAttempts
	case KindNotReady:
		if o.MaxAttempts > 1 {
			return max(o.MaxAttempts, 5)
		}
	case KindTimeout, KindStalled:
		return min(o.MaxAttempts, 2)
	case KindModelError:
		var model *types.ModelErrorException
		if errors.As(e.Err, &model) && model.OriginalStatusCode != nil && *model.OriginalStatusCode < 500 {
			return 1
		}
		return min(o.MaxAttempts, 2)
	}
	return 1
}
