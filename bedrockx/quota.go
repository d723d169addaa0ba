package bedrockx

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"

	"github.com/mangaassist/bedrockkit"
)

// A Quota is how much of one model an account may use in a region, as the
// Service Quotas console shows it. What is 0 or negative is not bounded.
//
// Bedrock reserves input + cached input + max tokens of the tokens per minute
// when a request starts, and settles on input + cache writes + output × burndown
// when it has ended. Source: "How tokens are counted in Amazon Bedrock", User
// Guide. A request without max tokens reserves the most that the model can put
// out, which is the most common cause of throttling: set max tokens.
type Quota struct {
	// Model has the quota. A model and its cross-region profiles have quotas of
	// their own: "us.amazon.nova-lite-v1:0" is not "amazon.nova-lite-v1:0". The
	// ARN of either stands for its id. An application inference profile takes
	// of the quota of its model, if Options.Resolve tells it.
	Model bedrockkit.ModelID `json:"model"`

	// Region and Account are those that are called; empty stands for each.
	// Every account and region has a quota of its own anyway. Accounts are told
	// by Options.Account and Target.Account.
	Region  string `json:"region,omitempty"`
	Account string `json:"account,omitempty"`

	TokensPerMinute   int64 `json:"tokens_per_minute,omitempty"`
	RequestsPerMinute int64 `json:"requests_per_minute,omitempty"` // most models have none any more

	// Burndown is how many tokens of the quota a token of output takes. The
	// default is 5 for Anthropic's models from Claude 3.7 to 4.7 and 1 for
	// those before and for other providers (source as above). For newer models
	// of Anthropic, where 10 and 15 are reported, it is 10: a rate that is too
	// low is corrected by throttles, one that is too high by nothing.
	Burndown float64 `json:"burndown,omitempty"`

	// MaxTokens is what a request reserves that does not say its max tokens.
	// The default is the most that the model can put out, and 64,000 where that
	// is not known.
	MaxTokens int64 `json:"max_tokens,omitempty"`
}

// ErrLimited is the error of a call that a [Limiter] held back: the quota that
// its caller has set had no room in time. Nothing was sent. The service's own
// errors are [ErrThrottled], [ErrDailyQuota] and [ErrQuota].
var ErrLimited = errors.New("held back by the client's own quota")

// Priority says who is let go first when calls wait for a quota.
type Priority int

// The priorities. While both wait, one call in five is of batch, so that work
// that nobody waits for goes on.
const (
	PriorityInteractive Priority = iota + 1 // the default
	PriorityBatch                           // the default of the profile Batch
)

// LimiterOptions are those of a [Limiter]. The zero value of a field means its
// default.
type LimiterOptions struct {
	// Store keeps what was taken of the quotas. The default is a
	// [MemoryQuotaStore], so that the process has the quotas for itself.
	Store QuotaStore

	// MaxWait bounds how long a call waits for room, beside the deadline of its
	// caller. The default is a minute; negative means that no call waits, which
	// makes sense with a fallback.
	MaxWait time.Duration

	// MaxQueue bounds how many calls wait for a quota. The default is 1,000;
	// negative means that none waits.
	MaxQueue int

	// InputTokens tells the size of a call's input in tokens. The default is an
	// estimate by the size of its body. It need not be exact, as it is settled
	// on what the service has counted.
	InputTokens func(*Call) int64

	// LocalShare is the share of the quotas that the process takes while Store
	// fails, such as 1 over the number of processes. The default is 1: then
	// throttles tell how much there is.
	LocalShare float64

	// OnStoreError is told errors of Store. The default is nothing.
	OnStoreError func(error)
}

// A Limiter holds calls back until their quota has room for them, so that the
// service does not throttle them. It is a step of the pipeline, for each attempt:
// see Options.Limiter. Clients may share one. It is safe for concurrent use.
type Limiter struct {
	options LimiterOptions
	quotas  []Quota
	lanes   sync.Map // of quotaKey and *lane
	shared  bool     // Store may be used by others
	local   MemoryQuotaStore
	retryAt atomic.Int64 // when Store may be asked again, in Unix nanoseconds
}

// storePause is for how long a store is left alone that has failed.
const storePause = time.Second

// NewLimiter returns a limiter for some quotas. Of two that fit a call, the
// first counts; a model without one is not limited.
func NewLimiter(quotas []Quota, optFns ...func(*LimiterOptions)) (*Limiter, error) {
	l := &Limiter{quotas: slices.Clone(quotas)}
	for _, fn := range optFns {
		fn(&l.options)
	}
	o := &l.options
	if l.shared = o.Store != nil; !l.shared {
		o.Store = &MemoryQuotaStore{}
	}
	setDefault(&o.MaxWait, time.Minute)
	setDefault(&o.MaxQueue, 1000)
	setDefault(&o.LocalShare, 1)
	if o.OnStoreError == nil {
		o.OnStoreError = func(error) {}
	}
	for i := range l.quotas {
		q := &l.quotas[i]
		if err := q.Model.Validate(); err != nil {
			return nil, fmt.Errorf("quota %d: %w", i+1, err)
		}
		if q.Burndown < 0 || math.IsNaN(q.Burndown) || math.IsInf(q.Burndown, 0) {
			return nil, fmt.Errorf("quota %d: the burndown %v of %s is not a positive number", i+1, q.Burndown, q.Model)
		}
		q.Model = quotaModel(q.Model)
		if q.Burndown == 0 {
			q.Burndown = burndown(q.Model)
		}
	}
	return l, nil
}

// quotaModel is the id that stands for all forms of it.
func quotaModel(id bedrockkit.ModelID) bedrockkit.ModelID {
	ident, err := id.Parse()
	switch {
	case err != nil || ident.Base == "":
		return id
	case ident.Prefix != "":
		return bedrockkit.ModelID(ident.Prefix) + "." + ident.Base
	}
	return ident.Base
}

// burndown is the default of [Quota].Burndown.
func burndown(model bedrockkit.ModelID) float64 {
	name, ok := strings.CutPrefix(string(model.Base()), "anthropic.claude-")
	if !ok {
		return 1
	}
	begins := func(prefixes ...string) bool {
		return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
	}
	switch {
	case begins("3-7"):
		return 5
	case begins("3", "v", "instant"):
		return 1
	case begins("opus-4-8", "opus-4-9", "sonnet-4-8", "sonnet-4-9", "haiku-4-8", "haiku-4-9"):
		return 10
	case begins("opus-4", "sonnet-4", "haiku-4"):
		return 5
	}
	return 10
}

// lane returns that of a call's quota, or nil where it has none.
func (l *Limiter) lane(call *Call) *lane {
	key := quotaKey{call.account, call.region, quotaModel(call.Model)}
	if found := l.laneOf(key); found != nil || call.Model.Base() != "" {
		return found
	}
	key.model = quotaModel(call.Resolved())
	return l.laneOf(key)
}

func (l *Limiter) laneOf(key quotaKey) *lane {
	if found, ok := l.lanes.Load(key); ok {
		return found.(*lane)
	}
	for _, q := range l.quotas {
		if q.Model != key.model || q.Region != "" && q.Region != key.region || q.Account != "" && q.Account != key.account {
			continue
		}
		if q.TokensPerMinute <= 0 && q.RequestsPerMinute <= 0 {
			return nil
		}
		q.Region, q.Account = key.region, key.account
		found, _ := l.lanes.LoadOrStore(key, &lane{limiter: l, quota: q})
		return found.(*lane)
	}
	return nil
}

// limit holds each attempt back until its quota has room. For a stream the
// tokens are settled when it has ended, long after the attempt.
func limit(next Handler) Handler {
	return func(ctx context.Context, call *Call) error {
		if call.Options.Limiter == nil {
			return next(ctx, call)
		}
		lane := call.Options.Limiter.lane(call)
		if lane == nil {
			return next(ctx, call)
		}
		r, err := lane.admit(ctx, call)
		if err != nil {
			call.Failures = append(call.Failures, Failure{Model: call.Model, Region: call.region, Kind: err.Kind})
			return err
		}
		flows := false                  // the attempt has become a stream that goes on
		err = &Error{Kind: KindUnknown} // if it panics
		defer func() {
			if !flows {
				r.settle(ctx, call, err, false)
			}
		}()
		failed := next(ctx, call)
		if err = asError(ctx, failed); err != nil {
			return err
		}
		if flows = call.Op.Streaming(); flows {
			call.OnEnd(func(err error) { r.settle(ctx, call, asError(ctx, err), true) })
		}
		return nil
	}
}

// asError is the *Error of an attempt, nil for nil.
func asError(ctx context.Context, err error) *Error {
	if err == nil {
		return nil
	}
	if e, ok := err.(*Error); ok {
		return e
	}
	return classify(ctx, err)
}

// A reservation is what an attempt has reserved of its quota.
type reservation struct {
	lane   *lane
	tokens int64
	local  bool // it is of the limiter's own store, as the other one failed
	done   atomic.Bool
}

// settle replaces what was reserved by what was used, as the service does. An
// attempt that was refused before the model ran has used nothing; of one whose
// usage nobody knows all stays taken, as the model may have run to its end.
// flowed says that it was a stream and had output.
func (r *reservation) settle(ctx context.Context, call *Call, err *Error, flowed bool) {
	if r.done.Swap(true) {
		return
	}
	used := r.tokens
	switch {
	case call.Usage.Unknown:
	case err == nil, call.Usage != bedrockkit.Usage{}:
		u := call.Usage
		used = u.TotalInput() - u.CacheReadTokens + int64(math.Ceil(float64(u.OutputTokens)*r.lane.quota.Burndown))
	case !flowed && err.Kind.refused():
		used = 0
	}
	ctx = context.WithoutCancel(ctx) // what was used was used
	if err != nil && err.Kind == KindThrottled {
		r.lane.slowed()
		r.lane.limiter.tell(r.local, r.lane.quota, func(s QuotaStore, q Quota) error { return s.Throttled(ctx, q) })
	}
	if used != r.tokens {
		r.lane.limiter.tell(r.local, r.lane.quota, func(s QuotaStore, q Quota) error { return s.Settle(ctx, q, used-r.tokens) })
	}
	r.lane.settled(r.tokens)
}

// guessedOutput is the most that a model puts out of which nothing is known.
const guessedOutput = 64_000

// size is what a call reserves of a quota: its input and the most that its
// answer may be, in tokens.
func (l *Limiter) size(call *Call, q *Quota) (input, most int64) {
	if call.input == 0 {
		if call.MaxTokens > 0 && l.options.InputTokens != nil {
			call.most = int64(call.MaxTokens)
		} else {
			body := call.sketch()
			call.most, call.input = call.maxTokens(body), estimateTokens(body)
		}
		if l.options.InputTokens != nil {
			call.input = l.options.InputTokens(call)
		}
		call.input = max(1, call.input)
	}
	if most = call.most; most == 0 {
		most = q.MaxTokens
	}
	if most <= 0 {
		var known bool
		if most, known = call.mostOutput(call.Model); !known {
			most = guessedOutput
			if q.TokensPerMinute > 0 {
				most = min(most, q.TokensPerMinute) // no guess is a reason to refuse
			}
		}
	}
	return call.input, most
}

// body is the JSON that goes out, as far as it is there: what the SDK's
// serializer is to write of a Converse input is nil.
func (c *Call) body() []byte {
	if c.Body != nil || c.SDKInput == nil {
		return c.Body
	}
	input, err := c.SDKInput()
	if err != nil {
		return nil // the attempt will tell
	}
	switch in := input.(type) {
	case *bedrockruntime.InvokeModelInput:
		return in.Body
	case *bedrockruntime.InvokeModelWithResponseStreamInput:
		return in.Body
	}
	return nil
}

// maxTokens is the call's own bound on the answer: MaxTokens, or what its body
// says in the form of one of the model families. It is 0 where neither tells.
func (c *Call) maxTokens(body []byte) int64 {
	if c.MaxTokens > 0 || len(body) == 0 {
		return int64(c.MaxTokens)
	}
	var form struct {
		MaxTokens           int64 `json:"max_tokens"` // Anthropic, Mistral, Cohere
		MaxGenLen           int64 `json:"max_gen_len"`
		MaxCompletionTokens int64 `json:"max_completion_tokens"` // OpenAI
		InferenceConfig     struct {
			MaxTokens int64 `json:"maxTokens"` // Converse, Nova; and in the SDK's input
		} `json:"inferenceConfig"`
		TextGenerationConfig struct {
			MaxTokenCount int64 `json:"maxTokenCount"` // Titan
		} `json:"textGenerationConfig"`
	}
	_ = json.Unmarshal(body, &form) // what it cannot read says nothing
	return max(0, form.MaxTokens, form.MaxGenLen, form.MaxCompletionTokens, form.InferenceConfig.MaxTokens, form.TextGenerationConfig.MaxTokenCount)
}

// sketch is the body, or where that is not there something of about its size
// and with its fields.
func (c *Call) sketch() []byte {
	if body := c.body(); body != nil || c.SDKInput == nil {
		return body
	}
	input, err := c.SDKInput()
	if err != nil {
		return nil
	}
	body, err := json.Marshal(input)
	if err != nil {
		return nil
	}
	return body
}

// tokensOfMedia is what an image is counted as, at most, by models that scale
// it down; a document takes about as much for a page. Source: "Vision",
// Anthropic's documentation.
const tokensOfMedia = 1600

// estimateTokens takes four letters of an alphabet for a token, and each
// character of another script. A long string in base64 is an image or a document.
func estimateTokens(body []byte) int64 {
	var letters, characters, media int64
	for len(body) > 0 {
		part := body
		if end := bytes.IndexByte(body, '"'); end >= 0 {
			part, body = body[:end], body[end+1:]
		} else {
			body = nil
		}
		if len(part) > 1000 && isBase64(part[:1000]) {
			media++
			continue
		}
		for _, b := range part {
			switch {
			case b < 0x80:
				letters++
			case b >= 0xC0: // the first byte of a character
				characters++
			}
		}
	}
	return (letters+3)/4 + characters + media*tokensOfMedia
}

func isBase64(b []byte) bool {
	for _, c := range b {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '+' || c == '/') {
			return false
		}
	}
	return true
}
