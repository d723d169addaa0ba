package bedrockx

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx/internal/answer"
	"github.com/mangaassist/bedrockkit/cache"
	"github.com/mangaassist/bedrockkit/pricing"
)

// CacheOptions are those of a [Cache]. The zero value of a field means its
// default.
type CacheOptions struct {
	// Namespace keeps the entries of applications and stages apart that share
	// a store, such as "shop/prod". The default is empty.
	Namespace string

	// Secret makes the keys an HMAC, so that who can read a store's keys
	// cannot try out which prompts are in it; see [cache.NewKeyer]. The default is
	// none.
	Secret []byte

	// TTL is how long an answer is given again. The default is one hour.
	TTL time.Duration

	// Stale is how much longer than TTL an answer is still given while it is
	// asked for anew in the background. The default is 0, not at all. What runs
	// in the background ends with [Cache.Close].
	Stale time.Duration

	// MaxBytes bounds an entry; a longer answer is not kept. The default is
	// 1 MiB.
	MaxBytes int

	// Pace is how many characters of text a second a hit is streamed with. The
	// default is 0, all at once.
	Pace float64

	// Ledger is told what each hit has saved. The default is none.
	Ledger *pricing.Ledger

	// OnError is told the errors that no call has noticed: of the store, of the
	// ledger, of a refresh in the background. It must be safe for concurrent
	// use. No error repeats a prompt or an answer. The default is nobody.
	OnError func(error)
}

// A Cache answers calls that were answered before, and of many equal calls at
// once sends only one. It is a step of the pipeline: see Options.Cache. Clients
// may share one. It is safe for concurrent use.
//
// It keeps whole answers only, and no more than [Caching] allows; an answer is
// an answer, streamed or not. A store that fails is as good as an empty one.
type Cache struct {
	store   cache.Store
	keyer   *cache.Keyer
	options CacheOptions

	fills      atomic.Uint64 // entries that flights have stored
	mu         sync.Mutex
	flights    map[cache.Key]*flight
	refreshing map[cache.Key]bool
	stats      CacheStats
	closed     bool

	background context.Context // of refreshes
	stop       context.CancelFunc
	refreshes  sync.WaitGroup
}

// NewCache returns a cache over a store, such as one of package
// cache/memcache.
func NewCache(store cache.Store, optFns ...func(*CacheOptions)) *Cache {
	c := &Cache{store: store, flights: map[cache.Key]*flight{}, refreshing: map[cache.Key]bool{}}
	for _, fn := range optFns {
		fn(&c.options)
	}
	if c.options.TTL <= 0 {
		c.options.TTL = time.Hour
	}
	if c.options.MaxBytes <= 0 {
		c.options.MaxBytes = 1 << 20
	}
	c.options.Stale = min(max(c.options.Stale, 0), math.MaxInt64-c.options.TTL) // both are added
	if c.options.OnError == nil {
		c.options.OnError = func(error) {}
	}
	c.keyer = cache.NewKeyer(c.options.Secret)
	c.stats.Misses, c.stats.Unkept = map[CacheReason]uint64{}, map[CacheReason]uint64{}
	c.background, c.stop = context.WithCancel(context.Background())
	return c
}

// Close ends what runs in the background, and returns when it has ended. It
// leaves the store open. Calls go on, with hits and without refreshes. Only a
// cache with CacheOptions.Stale needs it.
func (c *Cache) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.stop()
	c.refreshes.Wait()
	return nil
}

// Caching says what of a call may be kept and given again.
type Caching struct {
	// Off sends the call past the cache.
	Off bool

	// Fresh asks the service, whatever the cache has, and keeps the answer.
	Fresh bool

	// AnyTemperature lets an answer be kept whose request has a temperature
	// above 0 or leaves it to the model: who asks again gets the same answer,
	// where he would have got another. Embeddings, which have no temperature,
	// need it too.
	AnyTemperature bool

	// ToolUse lets an answer that asks for tools be kept and be given again. Its
	// tool use ids are then those of the first time.
	ToolUse bool

	// Similar lets a call have the answer to another question, one that means
	// the same; package bedrockx/semantic has one. It is asked where the cache
	// has no answer to the question itself, and only for requests of a single
	// message that is only text, of Converse or with the body of Anthropic's or
	// Nova's models; all else of the request must be equal. The default is
	// none.
	Similar Similar

	// Vary is what the answer depends on beside the request, such as headers
	// that an SDK option sets.
	Vary []cache.Param
}

// Similar finds questions that mean the same. A scope is what must be equal
// beside the question: the tenant, the model, the system prompt and all else.
// It must be safe for concurrent use. Its errors go to CacheOptions.OnError,
// and the call goes on.
type Similar interface {
	// Find returns the key of the answer to a question like the text, the zero
	// Key where there is none. If the call is then answered by the model, add
	// is called with the key of that answer, unless it is nil.
	Find(ctx context.Context, scope cache.Key, text string) (key cache.Key, add func(cache.Key) error, err error)
}

// CacheReason says why a call was not answered from a cache, or why an answer
// was not kept.
type CacheReason string

// The reasons.
const (
	CacheAbsent      CacheReason = "absent"      // nothing was kept, or its time has passed
	CacheCorrupt     CacheReason = "corrupt"     // what was kept cannot be read
	CacheForm        CacheReason = "form"        // what was kept cannot be said in the form that is asked for
	CacheUnavailable CacheReason = "unavailable" // the store failed
	CacheFresh       CacheReason = "fresh"       // the caller wanted a new answer
	CacheTemperature CacheReason = "temperature" // it is above 0 or unset
	CacheRequest     CacheReason = "request"     // the request has no key: its body is unknown or has no one meaning
	CacheIncomplete  CacheReason = "incomplete"  // the answer has not ended by itself
	CacheToolUse     CacheReason = "tool_use"    // the answer asks for tools
	CacheTooLarge    CacheReason = "too_large"   // the answer is over MaxBytes or what the store takes
	CacheFailed      CacheReason = "failed"      // there was no answer
)

// CacheStats counts what a cache did since it was made.
type CacheStats struct {
	Hits    uint64                 `json:"hits"`              // answers that were given again
	Stale   uint64                 `json:"stale,omitempty"`   // of the hits, those past their TTL
	Similar uint64                 `json:"similar,omitempty"` // of the hits, those to a question that means the same
	Shared  uint64                 `json:"shared"`            // answers of an equal call that was under way
	Misses  map[CacheReason]uint64 `json:"misses"`            // calls that the cache could not answer
	Kept    uint64                 `json:"kept"`              // answers that were stored
	Unkept  map[CacheReason]uint64 `json:"unkept"`            // answers that were not

	// Saved and SavedUsage are what hits and shared answers would have cost in
	// US dollars and used. Unpriced are those of unknown cost, which Saved
	// lacks.
	Saved      pricing.Amount   `json:"saved"`
	SavedUsage bedrockkit.Usage `json:"saved_usage"`
	Unpriced   uint64           `json:"unpriced,omitempty"`

	InFlight   int `json:"in_flight"`  // calls under way that others may share
	Refreshing int `json:"refreshing"` // of them, those in the background
}

// HitRatio is the share of calls that cost nothing, from 0 to 1.
func (s CacheStats) HitRatio() float64 {
	answered := s.Hits + s.Shared
	all := answered
	for _, n := range s.Misses {
		all += n
	}
	if all == 0 {
		return 0
	}
	return float64(answered) / float64(all)
}

// Stats returns a snapshot.
func (c *Cache) Stats() CacheStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Misses, s.Unkept = maps.Clone(s.Misses), maps.Clone(s.Unkept)
	s.InFlight, s.Refreshing = len(c.flights), len(c.refreshing)
	return s
}

func (c *Cache) missed(why CacheReason) {
	c.mu.Lock()
	c.stats.Misses[why]++
	c.mu.Unlock()
}

func (c *Cache) unkept(why CacheReason) {
	c.mu.Lock()
	c.stats.Unkept[why]++
	c.mu.Unlock()
}

// given says why a call has an answer without asking the service for it.
type given int

const (
	givenHit     given = iota // it was kept
	givenStale                // it was kept, and is past its TTL
	givenSimilar              // it was kept, of a question that means the same
	givenShared               // it is that of an equal call that was under way
	givenPaid                 // it is that call's as well, and this one pays for it
)

// saved counts an answer that was not paid for; k is nil where it is not known
// what it took.
func (c *Cache) saved(call *Call, k *kept, how given) {
	c.mu.Lock()
	s := &c.stats
	switch how {
	case givenShared:
		s.Shared++
	case givenStale:
		s.Hits++
		s.Stale++
	case givenSimilar:
		s.Hits++
		s.Similar++
	default:
		s.Hits++
	}
	if k == nil {
		k = &kept{model: call.Model, usage: bedrockkit.Usage{Unknown: true}}
	}
	usage := k.usage
	usage.Unknown = false
	s.SavedUsage = s.SavedUsage.Add(usage)
	s.Saved = s.Saved.Add(k.cost)
	if !k.priced {
		s.Unpriced++
	}
	c.mu.Unlock()
	if ledger := c.options.Ledger; ledger != nil {
		err := ledger.Add(pricing.Entry{Tenant: call.Options.Tenant, Model: k.model, Usage: k.usage, Cost: k.cost, Unpriced: !k.priced})
		if err != nil {
			c.options.OnError(fmt.Errorf("cache: entering what a hit has saved: %w", err))
		}
	}
}

// cached answers from the cache of the call's options, and fills it. whole is
// the pipeline that a refresh passes.
func cached(next Handler, whole *Handler) Handler {
	return func(ctx context.Context, call *Call) error {
		c := call.Options.Cache
		if c == nil || call.Options.Caching.Off {
			return next(ctx, call)
		}
		if call.Body == nil && (call.Op == OpConverse || call.Op == OpConverseStream) && call.Share != nil {
			// The key needs the body, which is then sent as it is. A call that
			// has none passes by, and says what is wrong when it is sent.
			call.Body, _ = call.serialized(ctx)
		}
		key, err := c.key(call)
		if err != nil {
			why := CacheRequest
			if errors.Is(err, cache.ErrTemperature) {
				why = CacheTemperature
			}
			c.missed(why)
			return next(ctx, call)
		}
		why, fills := CacheFresh, c.fills.Load()
		if !call.Options.Caching.Fresh {
			var k *kept
			var stale bool
			k, stale, why = c.look(ctx, key)
			switch {
			case ctx.Err() != nil:
				return Canceled(ctx, call.Op, call.Model)
			case k != nil:
				how := givenHit
				if stale {
					how = givenStale
				}
				if why, err = c.serve(ctx, call, k, how); why == "" {
					if err == nil && stale {
						c.refresh(ctx, call, key, *whole)
					}
					return err
				}
			}
		}
		if call.Options.Caching.Similar != nil && why != CacheFresh {
			var answered bool
			if answered, err = c.similar(ctx, call, key); answered {
				return err
			}
		}
		return c.fly(ctx, call, key, next, why, fills)
	}
}

// key is that of a call, an error where it has none.
func (c *Cache) key(call *Call) (cache.Key, error) {
	if call.Share == nil {
		return cache.Key{}, errors.New("the call's owner does not share it")
	}
	o := call.Options
	r := cache.Request{
		Namespace: c.options.Namespace, Tenant: o.Tenant, Class: cache.ClassConverse,
		Account: call.account, Region: call.region, Model: call.Model,
		Body: call.Body, Params: o.Caching.Vary, Repeatable: !o.Caching.AnyTemperature,
	}
	switch {
	case call.Op == OpInvokeModel || call.Op == OpInvokeModelStream:
		r.Class = cache.ClassInvokeModel
		if own := o.Invoke.params(); len(own) > 0 {
			r.Params = append(r.Params[:len(r.Params):len(r.Params)], own...)
		}
		if r.Body == nil {
			var err error
			if r.Body, r.Params, err = sdkParams(call, r.Params); err != nil {
				return cache.Key{}, err
			}
		}
	default:
		r.Ignore = notInAnswer
	}
	return c.keyer.Key(r)
}

// notInAnswer are what a Converse request says for the logs alone (API
// reference, Converse).
var notInAnswer = []string{"requestMetadata"}

// sdkParams are the body and the headers of an input of the SDK, of which any
// may be in a version of the SDK that this module does not know.
func sdkParams(call *Call, params []cache.Param) ([]byte, []cache.Param, error) {
	if call.SDKInput == nil {
		return nil, nil, errors.New("the call has no body")
	}
	in, err := call.SDKInput()
	if err != nil {
		return nil, nil, err
	}
	v := reflect.Indirect(reflect.ValueOf(in))
	if v.Kind() != reflect.Struct {
		return nil, nil, fmt.Errorf("the input is a %T", in)
	}
	var body []byte
	for i := range v.NumField() {
		f, name := reflect.Indirect(v.Field(i)), v.Type().Field(i).Name
		if !v.Type().Field(i).IsExported() || name == "ModelId" || !f.IsValid() || f.IsZero() {
			continue
		}
		switch {
		case name == "Body":
			body = f.Bytes()
		case f.Kind() != reflect.String:
			return nil, nil, fmt.Errorf("the input's %s is a %s", name, f.Type())
		case (name == "Accept" || name == "ContentType") && f.String() == "application/json":
			// The default of both.
		default:
			params = append(params[:len(params):len(params)], cache.Param{Name: name, Value: f.String()})
		}
	}
	return body, params, nil
}

// look reads an entry; nil, with the reason, where there is none to be given.
func (c *Cache) look(ctx context.Context, key cache.Key) (k *kept, stale bool, why CacheReason) {
	e, err := c.store.Get(ctx, key)
	switch {
	case errors.Is(err, cache.ErrNotFound):
		return nil, false, CacheAbsent
	case ctx.Err() != nil:
		return nil, false, CacheFailed
	case errors.Is(err, cache.ErrCorrupt):
		c.options.OnError(err)
		return nil, false, CacheCorrupt
	case err != nil:
		c.options.OnError(err)
		return nil, false, CacheUnavailable
	}
	k = new(kept)
	if err := k.decode(&key, e.Value); err != nil {
		c.options.OnError(err)
		return nil, false, CacheCorrupt
	}
	now := time.Now()
	if !now.Before(k.fresh.Add(c.options.Stale)) {
		return nil, false, CacheAbsent // kept with another Stale
	}
	return k, !now.Before(k.fresh), ""
}

// serve answers a call with what was kept. It returns why it could not, where
// the service can be asked instead, or else the call's error.
func (c *Cache) serve(ctx context.Context, call *Call, k *kept, how given) (CacheReason, error) {
	if k.tools && how != givenPaid && !call.Options.Caching.ToolUse {
		return CacheToolUse, nil
	}
	body, err := k.in(ctx, call.Op, c.options.Pace)
	if err != nil {
		return CacheForm, nil
	}
	model, id := call.Model, call.RequestID
	call.CacheHit = how != givenPaid
	call.Model, call.RequestID, call.ServiceTier = k.model, k.requestID, k.tier
	if err := call.Decode(ctx, &Response{Header: http.Header{}, Body: body}); err != nil {
		body.Close()
		call.CacheHit, call.Model, call.RequestID = false, model, id
		call.Usage, call.StopReason, call.ServiceTier = bedrockkit.Usage{}, "", ""
		if ctx.Err() != nil {
			return "", Canceled(ctx, call.Op, call.Model)
		}
		switch kindOf(err) {
		case KindCorrupt, KindTruncated, KindEmpty, KindModelError, KindConnection:
			return CacheCorrupt, nil
		}
		return "", err // of a middleware that looks at the answer
	}
	call.Usage = k.usage
	if call.CacheHit {
		call.Usage = bedrockkit.Usage{}
		c.saved(call, k, how)
	}
	if call.Op.Streaming() {
		call.FirstOutput = time.Since(call.began)
	}
	return "", nil
}

// similar answers a call with the answer to a question that means the same, or
// sees to it that its own answer is found for such questions.
func (c *Cache) similar(ctx context.Context, call *Call, key cache.Key) (answered bool, err error) {
	scope, text, ok := c.question(call)
	if !ok {
		return false, nil
	}
	found, add, err := call.Options.Caching.Similar.Find(ctx, scope, text)
	switch {
	case ctx.Err() != nil:
		return true, Canceled(ctx, call.Op, call.Model)
	case err != nil:
		c.options.OnError(fmt.Errorf("cache: finding a similar question: %w", err))
		return false, nil
	}
	if found != (cache.Key{}) && found.Namespace == key.Namespace && found.Tenant == key.Tenant {
		if k, stale, _ := c.look(ctx, found); k != nil && !stale {
			if why, err := c.serve(ctx, call, k, givenSimilar); why == "" {
				return true, err
			}
		}
	}
	if add == nil {
		return false, nil
	}
	asked := call.Model
	call.OnEnd(func(err error) {
		if err != nil || call.CacheHit || !call.StopReason.Complete() || call.Model != asked {
			return
		}
		if err := add(key); err != nil {
			c.options.OnError(fmt.Errorf("cache: adding a question: %w", err))
		}
	})
	return false, nil
}

// question is the text of a request that consists of one, and the key of all
// else of the request.
func (c *Cache) question(call *Call) (scope cache.Key, question string, ok bool) {
	var top map[string]json.RawMessage
	if json.Unmarshal(call.Body, &top) != nil {
		return scope, "", false
	}
	var messages []map[string]json.RawMessage
	if json.Unmarshal(top["messages"], &messages) != nil || len(messages) != 1 {
		return scope, "", false
	}
	content := messages[0]["content"]
	if len(messages[0]) != 2 || string(messages[0]["role"]) != `"user"` {
		return scope, "", false
	}
	if json.Unmarshal(content, &question) != nil {
		var blocks []map[string]string // a block that is no text has other values
		if json.Unmarshal(content, &blocks) != nil || len(blocks) != 1 {
			return scope, "", false
		}
		for name, value := range blocks[0] {
			if name != "text" && (name != "type" || value != "text") {
				return scope, "", false
			}
		}
		question = blocks[0]["text"]
	}
	if question == "" {
		return scope, "", false
	}
	top["messages"] = json.RawMessage("[]")
	body, err := json.Marshal(top)
	if err != nil {
		return scope, "", false
	}
	rest := call.copied()
	rest.Body = body
	scope, err = c.key(rest)
	return scope, question, err == nil
}

// maxRefreshes bounds what is asked for anew in the background at once. What is
// over it stays stale until the next hit.
const maxRefreshes = 16

// refresh asks for an answer anew, in the background, as a call of its own that
// passes the whole pipeline.
func (c *Cache) refresh(ctx context.Context, call *Call, key cache.Key, whole Handler) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.refreshing[key] || c.flights[key] != nil || len(c.refreshing) >= maxRefreshes {
		return
	}
	c.refreshing[key] = true
	again := call.copied()
	o := *call.Options
	o.Caching.Fresh = true
	again.Options = &o
	rest := call.Share(again)
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	unlink := context.AfterFunc(c.background, cancel)
	c.refreshes.Go(func() {
		err := guard(func() error {
			err := whole(ctx, again)
			if err == nil && rest != nil {
				err = rest()
			}
			return err
		})
		if err != nil {
			err = again.fail(err)
			if c.background.Err() == nil {
				c.options.OnError(fmt.Errorf("cache: refreshing an answer: %w", err))
			}
		}
		again.End(err)
		unlink()
		cancel()
		c.mu.Lock()
		delete(c.refreshing, key)
		c.mu.Unlock()
	})
}

// copied is a call of the same request, which goes to the same target.
func (c *Call) copied() *Call {
	return &Call{
		Op: c.Op, Model: c.Model, Body: c.Body, SDKInput: c.SDKInput, MaxTokens: c.MaxTokens, Options: c.Options, Share: c.Share,
		api: c.api, sdk: c.sdk, region: c.region, account: c.account, resolve: c.resolve, began: time.Now(), sent: true,
	}
}

// in is the answer in the form of an operation's response.
func (k *kept) in(ctx context.Context, op Operation, pace float64) (io.ReadCloser, error) {
	invoke := op == OpInvokeModel || op == OpInvokeModelStream
	switch {
	case op.Streaming() && k.frames, !op.Streaming() && !k.frames:
		return io.NopCloser(bytes.NewReader(k.body)), nil
	case !op.Streaming():
		body, err := answer.Join(k.body, invoke, 0)
		return io.NopCloser(bytes.NewReader(body)), err
	}
	piece := 0
	if pace > 0 {
		piece = 4
	}
	frames, err := answer.Split(k.body, invoke, piece)
	if err != nil {
		return nil, err
	}
	if pace > 0 {
		return &pacedBody{ctx: ctx, frames: frames, pace: pace, closed: make(chan struct{})}, nil
	}
	var whole []byte
	for _, f := range frames {
		whole = append(whole, f.Bytes...)
	}
	return io.NopCloser(bytes.NewReader(whole)), nil
}

// A pacedBody gives out the frames of a stream, each when its time has come.
type pacedBody struct {
	ctx    context.Context
	frames []answer.Frame
	rest   []byte // of the frame that is given out
	pace   float64
	once   sync.Once
	closed chan struct{}
}

func (b *pacedBody) Read(p []byte) (int, error) {
	if len(b.rest) == 0 {
		if len(b.frames) == 0 {
			return 0, io.EOF
		}
		f := b.frames[0]
		b.rest, b.frames = f.Bytes, b.frames[1:]
		if f.Text > 0 {
			timer := time.NewTimer(time.Duration(float64(f.Text) / b.pace * float64(time.Second)))
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-b.closed:
				return 0, io.ErrClosedPipe
			case <-b.ctx.Done():
				return 0, context.Cause(b.ctx)
			}
		}
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

func (b *pacedBody) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}
