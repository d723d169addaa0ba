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

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// classify finds the kind of an attempt's error. When the attempt's context
// has ended, by a bound of ours or by the caller, then that is why the
// connection broke, whatever the transport calls it.
func classify(ctx context.Context, err error) *Error {
	switch cause := context.Cause(ctx); {
	case cause == ErrAttemptTimeout, cause == ErrFirstEventTimeout, cause == ErrStalled: // ours, and not one that a caller wrapped
		var identity *identityError
		if !errors.As(err, &identity) {
			return &Error{Kind: kindOf(cause), Err: cause}
		}
	case ctx.Err() != nil:
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
	// The step that failed says more than what is in its error, such as a
	// throttle of STS.
	var identity *identityError
	if errors.As(err, &identity) || errors.Is(err, errClockSkew) {
		return KindCredentials
	}
	for _, s := range sentinels {
		if errors.Is(err, s.err) {
			return s.kind
		}
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return KindCanceled
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

// overflows are what the service says of an input that is too long, by provider.
var overflows = []string{
	"too long", "context window", "maximum context", "too many input tokens", "input length", "context length",
	"too many total text bytes", "exceed model maximum",
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
	case "validation", "validationerror", "validation_error", "invalid_request_error", "serialization":
		for _, hint := range overflows {
			if strings.Contains(message, hint) {
				return KindContextOverflow
			}
		}
		return KindValidation
	case "unrecognizedclient", "invalidsignature", "signaturedoesnotmatch", "expiredtoken", "requestexpired", "requesttimetooskewed",
		"missingauthenticationtoken", "incompletesignature", "invalidclienttokenid", "authfailure", "authentication_error":
		return KindCredentials
	case "accessdenied", "notauthorized", "permission_error":
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
