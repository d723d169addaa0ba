package bedrockx

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
)

func TestKindOfCode(t *testing.T) {
	tests := []struct {
		code, message string
		want          Kind
	}{
		{"ThrottlingException", "Too many requests", KindThrottled},
		{"throttlingException", "", KindThrottled},
		{"ThrottlingException", "Too many tokens per day, please wait before trying again.", KindDailyQuota},
		{"ServiceQuotaExceededException", "", KindQuota},
		{"ModelNotReadyException", "", KindNotReady},
		{"ModelTimeoutException", "", KindTimeout},
		{"ModelErrorException", "", KindModelError},
		{"modelStreamErrorException", "", KindModelError},
		{"ServiceUnavailableException", "", KindOverloaded},
		{"overloaded_error", "Overloaded", KindOverloaded},
		{"InternalServerException", "", KindInternal},
		{"internalServerException", "", KindInternal},
		{"ValidationException", "The provided model identifier is invalid.", KindValidation},
		{"ValidationException", "Input is too long for requested model.", KindContextOverflow},
		{"ValidationException", "prompt is too long: 210000 tokens > 200000 maximum", KindContextOverflow},
		{"AccessDeniedException", "", KindAccessDenied},
		{"ExpiredTokenException", "", KindCredentials},
		{"UnrecognizedClientException", "", KindCredentials},
		{"ResourceNotFoundException", "", KindNotFound},
		{"SomethingNew", "", KindUnknown},
	}
	for _, tt := range tests {
		assert.Equal(t, tt.want, kindOfCode(tt.code, tt.message), "%s: %s", tt.code, tt.message)
	}
}

// A throttle has many faces.
func TestKindOf(t *testing.T) {
	httpError := func(status int, err error) error {
		return &smithyhttp.ResponseError{Response: &smithyhttp.Response{Response: &http.Response{StatusCode: status, Header: http.Header{}}}, Err: err}
	}
	generic := &smithy.GenericAPIError{Code: "UnknownError", Message: "UnknownError"}
	tests := []struct {
		name string
		err  error
		want Kind
	}{
		{"as 429", httpError(429, &types.ThrottlingException{}), KindThrottled},
		{"as 400", httpError(400, &types.ThrottlingException{}), KindThrottled},
		{"bare 429", httpError(429, generic), KindThrottled},
		{"HTML 429", httpError(429, &smithy.DeserializationError{Err: errors.New("invalid character '<'")}), KindThrottled},
		{"bare 529", httpError(529, generic), KindOverloaded},
		{"bare 503", httpError(503, generic), KindOverloaded},
		{"bare 408", httpError(408, generic), KindTimeout},
		{"bare 500", httpError(500, generic), KindInternal},
		{"bare 502", httpError(502, generic), KindInternal},
		{"bare 403", httpError(403, generic), KindAccessDenied},
		{"bare 404", httpError(404, generic), KindNotFound},
		{"bare 400", httpError(400, generic), KindValidation},
		{"not ready is no throttle", httpError(429, &types.ModelNotReadyException{}), KindNotReady},
		{"HTML 200", httpError(200, &smithy.DeserializationError{Err: errors.New("invalid character '<'")}), KindCorrupt},
		{"no response", &smithyhttp.RequestSendError{Err: io.EOF}, KindConnection},
		{"cut", fmt.Errorf("reading: %w", io.ErrUnexpectedEOF), KindConnection},
		{"canceled", &smithy.CanceledError{Err: context.Canceled}, KindCanceled},
		{"anything", errors.New("anything"), KindUnknown},
		{"ours within", fmt.Errorf("within: %w", &Error{Kind: KindBudget}), KindBudget},
	}
	for _, tt := range tests {
		assert.Equal(t, tt.want, kindOf(&smithy.OperationError{Err: tt.err}), tt.name)
	}
}

func TestErrorIsFound(t *testing.T) {
	cause := &types.ThrottlingException{Message: aws.String("slow down")}
	call := &Call{Op: bedrockkit.OpConverse, Outcome: Outcome{Model: "amazon.nova-lite-v1:0", Attempts: 3, RequestID: "req-1"}}
	err := fmt.Errorf("asking: %w", call.fail(cause))

	assert.ErrorIs(t, err, ErrThrottled)
	assert.NotErrorIs(t, err, ErrOverloaded)
	var e *Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, 3, e.Attempts)
	var sdk *types.ThrottlingException
	require.ErrorAs(t, err, &sdk)
	assert.Equal(t, "slow down", sdk.ErrorMessage())
	assert.EqualError(t, e, "bedrock Converse amazon.nova-lite-v1:0: throttled after 3 attempts: ThrottlingException: slow down (request id req-1); lower the rate or max tokens, or ask for a higher quota")
}

func TestAccessDeniedSaysWhatToAllow(t *testing.T) {
	err := (&Call{Op: bedrockkit.OpConverseStream, Outcome: Outcome{Model: "amazon.nova-lite-v1:0", Attempts: 1}}).fail(&types.AccessDeniedException{})
	assert.ErrorContains(t, err, "bedrock:InvokeModelWithResponseStream")
	assert.ErrorContains(t, err, "amazon.nova-lite-v1:0")
	err = (&Call{Op: bedrockkit.OpConverse, Outcome: Outcome{Model: "amazon.nova-lite-v1:0", Attempts: 1}}).fail(&types.AccessDeniedException{})
	assert.ErrorContains(t, err, "allow bedrock:InvokeModel on")
}

func TestTimeoutsAreTold(t *testing.T) {
	assert.ErrorIs(t, ErrAttemptTimeout, ErrTimeout)
	assert.ErrorIs(t, ErrFirstEventTimeout, ErrTimeout)
	assert.Equal(t, KindTimeout, kindOf(ErrAttemptTimeout))
	assert.Equal(t, KindStalled, kindOf(ErrStalled))
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	tests := []struct {
		name, value string
		want        time.Duration
	}{
		{"Retry-After", "3", 3 * time.Second},
		{"Retry-After", now.Add(7 * time.Second).Format(http.TimeFormat), 7 * time.Second},
		{"Retry-After", now.Add(-time.Hour).Format(http.TimeFormat), 0},
		{"Retry-After", "soon", 0},
		{"Retry-After", "-1", 0},
		{"X-Amz-Retry-After", "1500", 1500 * time.Millisecond},
		{"X-Other", "1", 0},
	}
	for _, tt := range tests {
		h := http.Header{}
		h.Set(tt.name, tt.value)
		assert.Equal(t, tt.want, retryAfter(h, now), "%s: %s", tt.name, tt.value)
	}
}

func TestBackoff(t *testing.T) {
	o := Options{BaseDelay: 100 * time.Millisecond, MaxDelay: time.Second}
	for attempts, bound := range map[int]time.Duration{1: 100, 2: 200, 3: 400, 4: 800, 5: 1000, 60: 1000} {
		for range 100 {
			d := backoff(&o, attempts)
			assert.GreaterOrEqual(t, d, time.Duration(0))
			assert.Less(t, d, bound*time.Millisecond)
		}
	}
	assert.Zero(t, backoff(&Options{BaseDelay: -1, MaxDelay: -1}, 1))
}

func TestOptionsDefaults(t *testing.T) {
	for _, tt := range []struct {
		fn       func(*Options)
		attempts int
		timeout  time.Duration
		conns    int
	}{
		{Lambda, 2, 30 * time.Second, 10},
		{Service, 3, 120 * time.Second, 50},
		{Batch, 5, 300 * time.Second, 256},
	} {
		var o Options
		tt.fn(&o)
		o = o.resolved()
		assert.Equal(t, tt.attempts, o.MaxAttempts)
		assert.Equal(t, tt.timeout, o.AttemptTimeout)
		assert.Equal(t, tt.timeout, o.FirstEventTimeout)
		assert.Equal(t, tt.conns, o.IdleConns)
	}
	o := Options{MaxAttempts: -1}.resolved()
	assert.Equal(t, 1, o.MaxAttempts)
	// What is set before a profile stays.
	o = Options{MaxAttempts: 7}
	Batch(&o)
	assert.Equal(t, 7, o.MaxAttempts)
}

func TestErrorWithoutACall(t *testing.T) {
	err := &Error{Kind: KindDailyQuota}
	assert.Equal(t, "bedrock: daily quota; use another model or region until tomorrow, or ask for a higher quota", err.Error())
	for _, c := range []*Client{nil, {}} {
		call := &Call{Op: bedrockkit.OpConverse, Outcome: Outcome{Model: "a.b"}}
		require.ErrorIs(t, c.Do(t.Context(), call), ErrValidation)
	}
	assert.Equal(t, 3, (*Client)(nil).Options().MaxAttempts)
}

func TestOverflowAsGPTSaysIt(t *testing.T) {
	const message = "prompt tokens (300000) exceed model maximum (272000)"
	assert.Equal(t, KindContextOverflow, kindOfCode("ValidationException", message))
	assert.Equal(t, KindContextOverflow, kindOfCode("validation_error", message))
	assert.Equal(t, KindValidation, kindOfCode("validation_error", "no"))
}
