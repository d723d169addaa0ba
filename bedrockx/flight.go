package bedrockx

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx/internal/answer"
	"github.com/mangaassist/bedrockkit/cache"
)

// A flight is one call that is sent for all that ask the same at the same time.
// It is no caller's own: it has a goroutine, which goes on when the first caller
// has gone, and ends at the latest when the last one has, who waits for it.
// Callers of a stream read what has come of it, each at his own speed.
type flight struct {
	key    cache.Key
	call   *Call // the copy that is sent
	cancel context.CancelFunc
	begun  chan struct{} // closed at the first output of a stream, at the end of anything else
	done   chan struct{} // closed at the end, when the answer has been stored

	// Guarded by Cache.mu.
	callers map[*Call]time.Time // and their deadlines
	payer   *Call               // whose usage and cost are the call's; nil until one is there

	// Set before begun is closed.
	err     error
	header  http.Header
	sdk     any // where there is no body
	hasBody bool
	outcome outcome
	found   *kept // what the store had after all; nothing was sent then

	mu     sync.Mutex
	buf    []byte        // what has come of the body
	grown  chan struct{} // closed when there is more or the end; nil while nobody waits
	ended  bool
	broken error // how a stream ended that had begun
	kept   *kept // what others may have
}

// An outcome is what a call knows when its answer begins.
type outcome struct {
	usage     bedrockkit.Usage // of an attempt that was refused
	model     bedrockkit.ModelID
	requestID string
	host      string
	fallback  bool
	region    string
	tier      bedrockkit.ServiceTier
	attempts  int
	failures  []Failure
	queued    time.Duration
}

// fly sends the call for its caller and all who come while it is under way, or
// joins one that is. fills is what Cache.fills was before the store was asked.
func (c *Cache) fly(ctx context.Context, call *Call, key cache.Key, next Handler, why CacheReason, fills uint64) error {
	c.mu.Lock()
	f := c.flights[key]
	if f != nil && !f.suits(call) {
		c.mu.Unlock()
		c.missed(why)
		return next(ctx, call)
	}
	if f == nil {
		// A flight of the key may have ended since the store was asked.
		again := c.fills.Load() != fills && !call.Options.Caching.Fresh
		f = c.launch(ctx, call, key, next, again)
	}
	f.callers[call], _ = ctx.Deadline()
	same := f.call.Op == call.Op
	c.mu.Unlock()

	live := same && call.Op.Streaming()
	wait := f.done
	if live {
		wait = f.begun
	}
	select {
	case <-wait:
	case <-ctx.Done():
		if pays, last := c.leave(f, call); pays && last {
			f.tell(call)
		}
		return Canceled(ctx, call.Op, call.Model)
	}
	if f.found != nil {
		c.leave(f, call)
		reason, err := c.serve(ctx, call, f.found, givenHit)
		if reason == "" {
			return err
		}
		c.missed(reason)
		return next(ctx, call)
	}
	pays := c.pays(f, call)
	if pays || f.err != nil {
		c.missed(why)
	}
	if pays {
		f.tell(call)
	}
	switch {
	case f.err != nil:
		c.leave(f, call)
		return f.err
	case live && !pays:
		call.CacheHit = true
		call.Model, call.RequestID = f.outcome.model, f.outcome.requestID
		call.OnEnd(func(err error) { c.saved(call, f.answer(), givenShared) })
	case !live && !(same && pays):
		c.leave(f, call)
		how := givenShared
		if pays {
			how = givenPaid
		}
		reason := CacheIncomplete // and not given to others
		if k := f.answer(); k != nil {
			var err error
			if reason, err = c.serve(ctx, call, k, how); reason == "" {
				return err
			}
		}
		if !pays {
			c.missed(reason)
		}
		return next(ctx, call)
	}
	resp := &Response{Header: f.header, SDK: f.sdk}
	if f.hasBody {
		resp.Body = &sharedBody{cache: c, flight: f, ctx: ctx, call: call, closed: make(chan struct{})}
	}
	err := call.Decode(ctx, resp)
	if err != nil || !live {
		c.leave(f, call)
		return err
	}
	call.FirstOutput = time.Since(call.began)
	return nil
}

// answer is what others may have, nil where the flight has not ended or its
// answer is not to be given again.
func (f *flight) answer() *kept {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.kept
}

// suits reports whether a call may join. Of a stream that may ask for tools,
// nobody knows yet whether it does.
func (f *flight) suits(call *Call) bool {
	live := f.call.Op == call.Op && call.Op.Streaming()
	return !live || call.Options.Caching.ToolUse || !bytes.Contains(f.call.Body, []byte(`"tools"`))
}

// launch begins a flight, which asks the store again where that is said. The
// lock is held.
func (c *Cache) launch(ctx context.Context, call *Call, key cache.Key, next Handler, again bool) *flight {
	f := &flight{
		key: key, call: call.copied(), callers: map[*Call]time.Time{}, payer: call,
		begun: make(chan struct{}), done: make(chan struct{}),
	}
	rest := call.Share(f.call)
	decode := f.call.Decode
	f.call.Decode = func(ctx context.Context, resp *Response) error {
		f.header, f.sdk, f.hasBody = resp.Header, resp.SDK, resp.Body != nil
		f.mu.Lock()
		f.buf = nil // of an attempt before
		f.mu.Unlock()
		if f.hasBody {
			resp.Body = teeBody{resp.Body, f}
		}
		return decode(ctx, resp)
	}
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f.cancel = cancel
	c.flights[key] = f
	go c.run(flightContext{own, c, f}, f, next, rest, again)
	return f
}

// A flightContext has the deadline of the caller who waits longest, for those
// who ask whether a wait is worth it. It ends with the last caller.
type flightContext struct {
	context.Context
	cache  *Cache
	flight *flight
}

func (fc flightContext) Deadline() (last time.Time, ok bool) {
	fc.cache.mu.Lock()
	defer fc.cache.mu.Unlock()
	for _, d := range fc.flight.callers {
		if d.IsZero() {
			return time.Time{}, false
		}
		if d.After(last) {
			last = d
		}
	}
	return last, !last.IsZero()
}

// run sends the call and keeps its answer.
func (c *Cache) run(ctx context.Context, f *flight, next Handler, rest func() error, again bool) {
	if again {
		c.guard(func() {
			if k, stale, _ := c.look(ctx, f.key); !stale {
				f.found = k
			}
		})
		if f.found != nil {
			c.mu.Lock()
			c.forget(f)
			c.mu.Unlock()
			close(f.begun)
			close(f.done)
			f.cancel()
			return
		}
	}
	live := false // the readers of a stream find its error where it ends
	err := guard(func() error {
		err := next(ctx, f.call)
		if live = err == nil && f.call.Op.Streaming(); live {
			f.outcome = f.call.outcome()
			close(f.begun)
			err = rest()
		}
		return err
	})
	f.call.End(err)
	var k *kept
	c.guard(func() { k = c.keep(ctx, f, err) })
	c.mu.Lock()
	c.forget(f)
	c.mu.Unlock()
	f.mu.Lock()
	f.kept, f.ended, f.broken = k, true, err
	f.wake()
	f.mu.Unlock()
	if !live {
		f.err, f.outcome = err, f.call.outcome()
		if err != nil {
			f.outcome.usage = f.call.Usage
		}
		close(f.begun)
	}
	close(f.done)
	f.cancel()
}

func (c *Call) outcome() outcome {
	return outcome{
		model: c.Model, requestID: c.RequestID, host: c.Host, fallback: c.Fallback, region: c.region, tier: c.ServiceTier,
		attempts: c.Attempts, failures: c.Failures, queued: c.Queued,
	}
}

// guard makes an error of a panic, which would end the program in a goroutine
// that is nobody's own.
func guard(fn func() error) (err error) {
	returned := false
	defer func() {
		if !returned {
			err = &cache.PanicError{Value: recover(), Stack: debug.Stack()}
		}
	}()
	err = fn()
	returned = true
	return err
}

// guard tells of a panic of the store, which is no error of the call.
func (c *Cache) guard(fn func()) {
	if err := guard(func() error { fn(); return nil }); err != nil {
		c.options.OnError(err)
	}
}

// keep stores the answer of a flight, if it is one to be given again, and
// returns it.
func (c *Cache) keep(ctx context.Context, f *flight, err error) *kept {
	call := f.call
	embedding := call.StopReason == "" && !call.Op.Streaming() && !call.Usage.Unknown && call.Usage.InputTokens > 0 && call.Usage.OutputTokens == 0
	switch {
	case err != nil:
		c.unkept(CacheFailed)
		return nil
	case len(f.buf) == 0: // a mock's
		c.unkept(CacheRequest)
		return nil
	case call.StopReason.Complete(), embedding:
	case call.StopReason == bedrockkit.StopToolUse:
		if !call.Options.Caching.ToolUse {
			c.unkept(CacheToolUse)
			return nil
		}
	default:
		c.unkept(CacheIncomplete)
		return nil
	}
	k := &kept{
		model: call.Model, requestID: call.RequestID, tier: call.ServiceTier, usage: call.Usage, tools: call.StopReason == bedrockkit.StopToolUse,
		body: f.buf, fresh: time.Now().Add(c.options.TTL),
	}
	if cost, err := call.cost(); err == nil {
		k.cost, k.priced = cost, true
	}
	if call.Op.Streaming() {
		joined, err := answer.Join(f.buf, call.Op == OpInvokeModelStream, call.Options.MaxFrameBytes)
		if k.frames = err != nil; err == nil {
			k.body = joined
		}
	}
	// What answered may be another model than the one that was asked.
	key, err := c.key(call)
	if err != nil {
		c.unkept(CacheRequest)
		return k
	}
	if value := k.encode(&key); len(value) > c.options.MaxBytes {
		err = cache.ErrTooLarge
	} else {
		err = c.store.Set(ctx, key, value, c.options.TTL+c.options.Stale)
	}
	switch {
	case errors.Is(err, cache.ErrTooLarge):
		c.unkept(CacheTooLarge)
	case err != nil && ctx.Err() != nil:
		c.unkept(CacheFailed)
	case err != nil:
		c.options.OnError(err)
		c.unkept(CacheUnavailable)
	default:
		c.fills.Add(1) // before the flight is forgotten: who comes then asks again
		c.mu.Lock()
		c.stats.Kept++
		c.mu.Unlock()
	}
	return k
}

// forget lets no more callers join. The lock is held.
func (c *Cache) forget(f *flight) {
	if c.flights[f.key] == f {
		delete(c.flights, f.key)
	}
}

// pays reports whether the answer is the call's to pay: that of the one who
// came first, or, where he has gone before it began, of the next.
func (c *Cache) pays(f *flight, call *Call) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.payer == nil {
		f.payer = call
	}
	return f.payer == call
}

// leave lets a caller go, and says whether the call was his to pay and whether
// he was the last one, who ends the flight and waits for its end.
func (c *Cache) leave(f *flight, call *Call) (pays, last bool) {
	c.mu.Lock()
	if _, there := f.callers[call]; !there {
		c.mu.Unlock()
		return false, false
	}
	delete(f.callers, call)
	pays, last = f.payer == call, len(f.callers) == 0
	if last {
		c.forget(f)
	}
	if pays && !last {
		select {
		case <-f.begun:
		default:
			f.payer = nil
		}
	}
	c.mu.Unlock()
	if last {
		f.cancel()
		<-f.done
	}
	return pays, last
}

// tell gives the caller who pays what is known of the call that was sent.
func (f *flight) tell(call *Call) {
	o := f.outcome
	call.Model, call.RequestID, call.region, call.ServiceTier = o.model, o.requestID, o.region, o.tier
	call.Host, call.Fallback = o.host, o.fallback
	call.Attempts, call.Failures, call.Queued, call.Usage = o.attempts, o.failures, o.queued, o.usage
}

// wake tells the readers that there is more. The lock is held.
func (f *flight) wake() {
	if f.grown != nil {
		close(f.grown)
		f.grown = nil
	}
}

// A teeBody is the body of the response, of which the callers get a copy.
type teeBody struct {
	io.ReadCloser
	flight *flight
}

func (b teeBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.flight.mu.Lock()
	b.flight.buf = append(b.flight.buf, p[:n]...)
	b.flight.wake()
	b.flight.mu.Unlock()
	return n, err
}

// A sharedBody is a caller's copy of the body.
type sharedBody struct {
	cache  *Cache
	flight *flight
	ctx    context.Context
	call   *Call
	at     int
	once   sync.Once
	closed chan struct{}
}

func (b *sharedBody) Read(p []byte) (int, error) {
	f := b.flight
	for {
		f.mu.Lock()
		if n := copy(p, f.buf[b.at:]); n > 0 {
			f.mu.Unlock()
			b.at += n
			return n, nil
		}
		if f.ended {
			err := f.broken
			f.mu.Unlock()
			if err == nil {
				err = io.EOF
			}
			return 0, err
		}
		if f.grown == nil {
			f.grown = make(chan struct{})
		}
		grown := f.grown
		f.mu.Unlock()
		select {
		case <-grown:
		case <-b.closed:
			return 0, io.ErrClosedPipe
		case <-b.ctx.Done():
			return 0, context.Cause(b.ctx)
		}
	}
}

func (b *sharedBody) Close() error {
	b.once.Do(func() {
		close(b.closed)
		b.cache.leave(b.flight, b.call)
	})
	return nil
}
