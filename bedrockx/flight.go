package bedrockx

import (
	"bytes"
	"container/list"
	"context"
	"math"
	"net/http"
	"sync"
	"time"

	"github.com/mangaassist/bedrockkit/cache"
)

// A flight is one call that is sent for all that ask the same at the same time.
// It belongs to none of them: it has a goroutine, which goes on when the first
// caller has gone, and ends at the latest when the last caller of its operation
// has, who waits for it. Callers of a stream read what has come of it, each at
// its own speed.
//
// One caller pays: the first one, or the next if that leaves before the answer
// has begun. Who cannot use the answer, because it failed or is not kept, sends
// for itself.
type flight struct {
	key    cache.Key
	asked  Target // what key says
	call   *Call  // the copy that is sent
	tools  bool   // the answer may ask for tools
	cancel context.CancelFunc
	begun  chan struct{} // closed at the first output of a stream, at the end of anything else
	done   chan struct{} // closed at the end, when the answer has been stored

	// Guarded by Cache.mu.
	callers  map[*Call]*list.Element // of queue
	queue    list.List               // of passengers, the first one to come first
	ofForm   int                     // those of the flight's operation
	payer    *Call                   // whose usage and cost are the call's
	extra    int                     // attempts beyond the first that the payer's budgets have room for
	attempts []Attempt               // that have ended, for Options.OnAttempt of the payer
	news     chan struct{}           // closed when there are more, or another caller pays

	// Set before begun is closed.
	err     error
	header  http.Header
	sdk     any // if there is no body
	hasBody bool
	outcome Outcome

	mu     sync.Mutex
	buf    []byte        // what has come of the body
	grown  chan struct{} // closed when there is more or the end; nil while nobody waits
	ended  bool
	broken error // how a stream ended that had begun
	kept   *kept // what others may have
}

// A passenger is a caller of a flight.
type passenger struct {
	call     *Call
	deadline time.Time // zero if it has none
}

// A seat is what a caller is to its flight.
type seat int

const (
	payer    seat = iota // of the flight's operation, and the answer is charged to it
	guest                // of the flight's operation: it has the answer as it comes
	onlooker             // of the other form: it has the answer once that is kept
)

// fly has a call answered by the flight that it has boarded.
func (c *Cache) fly(ctx context.Context, f *flight, call *Call, next Handler, why CacheReason) error {
	reads := false // what comes of a stream
	defer func() { // also if something panics
		if !reads {
			c.leave(f, call)
		}
	}()
	if !c.await(ctx, f, call) {
		return c.gone(ctx, f, call)
	}
	var reason CacheReason
	var err error
	switch at := c.seat(f, call); {
	case at == payer:
		c.missed(why)
		if call.Outcome = f.outcome; f.err != nil {
			return f.err
		}
		err = f.decode(ctx, c, call)
	case f.err != nil:
		reason = why
	case at == guest && call.Op.Streaming():
		reason, err = c.share(ctx, f, call)
	default:
		reason = CacheIncomplete // and not given to others
		if k := f.answer(); k != nil {
			if reason, err = c.serve(ctx, call, k, givenShared); reason == "" {
				return err
			}
		}
	}
	if reason != "" {
		c.leave(f, call)
		return c.alone(ctx, call, next, reason)
	}
	if reads = err == nil && call.Op.Streaming(); reads {
		call.OnEnd(func(error) { c.leave(f, call) })
		call.FirstOutput = time.Since(call.began)
	}
	return err
}

// alone has a call that no flight answers send for itself.
func (c *Cache) alone(ctx context.Context, call *Call, next Handler, why CacheReason) error {
	c.missed(why)
	return next(ctx, call)
}

// gone is the exit of a caller whose context has ended before the answer began.
func (c *Cache) gone(ctx context.Context, f *flight, call *Call) error {
	if c.leave(f, call) {
		call.Outcome = f.outcome
	}
	return Canceled(ctx, call.Op, call.Model)
}

// share lets a guest read a stream as it comes. It returns why the guest cannot,
// if it can ask the service instead, or else the call's error.
func (c *Cache) share(ctx context.Context, f *flight, call *Call) (CacheReason, error) {
	before := call.Outcome
	call.CacheHit = true
	call.Model, call.RequestID = f.outcome.Model, f.outcome.RequestID
	err := f.decode(ctx, c, call)
	if err != nil && ctx.Err() == nil && unusable(err) {
		call.Outcome = before
		return CacheIncomplete, nil
	}
	call.OnEnd(func(error) { c.saved(call, f.answer(), givenShared) })
	return "", err
}

// decode has a call read a copy of the flight's response, a stream as it comes.
func (f *flight) decode(ctx context.Context, c *Cache, call *Call) error {
	resp := &Response{Header: f.header, SDK: f.sdk}
	if f.hasBody {
		resp.Body = &sharedBody{cache: c, flight: f, ctx: ctx, call: call, closed: make(chan struct{})}
	}
	return call.Decode(ctx, resp)
}

// unusable reports whether an answer that was not sent for a call cannot be read
// by it, so that it asks for one of its own. The error of a policy stands.
func unusable(err error) bool {
	switch kindOf(err) {
	case KindCorrupt, KindTruncated, KindEmpty, KindModelError, KindConnection, KindTooLarge, KindStalled:
		return true
	}
	return false
}

// board takes a seat in the flight of a key, and begins it if there is none. It
// returns no flight if there is one that the call cannot join: of a stream that
// may ask for tools nobody knows yet whether it does. late says that there is
// none, and that a flight has stored its answer since Cache.fills was read.
func (c *Cache) board(ctx context.Context, call *Call, key cache.Key, next Handler, fills uint64) (f *flight, late bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f = c.flights[key]
	switch {
	case f == nil && fills != anyFills && fills != c.fills.Load() && !call.Options.CachePolicy.Fresh:
		return nil, true
	case f == nil:
		f = c.launch(ctx, call, key, next)
	case f.isOfItsForm(call) && call.Op.Streaming() && f.tools && !call.Options.CachePolicy.ToolUse:
		return nil, false
	}
	deadline, _ := ctx.Deadline()
	f.callers[call] = f.queue.PushBack(passenger{call, deadline})
	if f.isOfItsForm(call) {
		f.ofForm++
	}
	return f, false
}

// anyFills lets a call begin a flight, whatever was stored meanwhile.
const anyFills = math.MaxUint64

// await waits for what a call can have of its flight: a stream that has begun,
// or the end. It gives the payer its attempts, in the goroutine of the call. It
// returns false if the context has ended first.
func (c *Cache) await(ctx context.Context, f *flight, call *Call) bool {
	wait := f.done
	if f.isOfItsForm(call) && call.Op.Streaming() {
		wait = f.begun
	}
	told := 0
	tell := func() <-chan struct{} {
		if len(call.Options.OnAttempt) == 0 {
			return nil
		}
		c.mu.Lock()
		var attempts []Attempt
		if f.payer == call {
			attempts = f.attempts[told:]
			told += len(attempts)
		}
		news := f.news
		c.mu.Unlock()
		for _, a := range attempts {
			call.observe(ctx, a)
		}
		return news
	}
	for {
		select {
		case <-wait:
			tell()
			return true
		case <-tell():
		case <-ctx.Done():
			return false
		}
	}
}

// seat is that of a caller of a flight that has begun.
func (c *Cache) seat(f *flight, call *Call) seat {
	if !f.isOfItsForm(call) {
		return onlooker
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.payer == call {
		return payer
	}
	return guest
}

// answer is what others may have, nil if the flight has not ended or its answer
// is not to be given again.
func (f *flight) answer() *kept {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.kept
}

// leave lets a caller go, and reports whether the answer is charged to it all the
// same. The last caller that the flight could be charged to ends it, and waits
// for its end.
func (c *Cache) leave(f *flight, call *Call) (charged bool) {
	c.mu.Lock()
	place := f.callers[call]
	if place == nil {
		c.mu.Unlock()
		return false
	}
	delete(f.callers, call)
	f.queue.Remove(place)
	if f.isOfItsForm(call) {
		f.ofForm--
	}
	charged = f.payer == call
	last := f.ofForm == 0
	if charged && !last && !f.hasBegun() {
		charged = !f.elect()
		last = charged
	}
	if last {
		c.forget(f)
	}
	c.mu.Unlock()
	if last {
		f.cancel()
		<-f.done
	}
	return charged
}

func (f *flight) isOfItsForm(call *Call) bool { return call.Op == f.call.Op }

func (f *flight) hasBegun() bool {
	select {
	case <-f.begun:
		return true
	default:
		return false
	}
}

// elect has the caller pay who came next and whose budgets have room for what was
// sent so far. It reports whether there is one. Cache.mu is held.
func (f *flight) elect() bool {
	for place := f.queue.Front(); place != nil; place = place.Next() {
		call := place.Value.(passenger).call
		if f.isOfItsForm(call) && call.hold.more(f.extra) == nil {
			f.payer = call
			f.tell()
			return true
		}
	}
	return false
}

// again sets aside, of the payer's budgets, what another attempt may take.
// Options.OnAttempt and budgets are the payer's, so that what is sent for many
// is bounded and seen as what is sent for one.
func (c *Cache) again(f *flight, failed *Error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !f.payer.again(failed) {
		return false
	}
	if !failed.Kind.refused() {
		f.extra++
	}
	return true
}

// attempted keeps an attempt for the payer.
func (c *Cache) attempted(f *flight, a Attempt) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f.attempts = append(f.attempts, a)
	f.tell()
}

// tell wakes those who wait for attempts. Cache.mu is held.
func (f *flight) tell() {
	close(f.news)
	f.news = make(chan struct{})
}

// launch begins a flight. Cache.mu is held.
func (c *Cache) launch(ctx context.Context, call *Call, key cache.Key, next Handler) *flight {
	f := &flight{
		key: key, asked: Target{Model: call.Model, Region: call.Region, Account: call.account},
		call: call.detached(), payer: call, callers: map[*Call]*list.Element{}, tools: mayAskForTools(call.body()),
		begun: make(chan struct{}), done: make(chan struct{}), news: make(chan struct{}),
	}
	o := call.Options.copied()
	o.OnAttempt = []func(context.Context, *Call, Attempt){func(_ context.Context, _ *Call, a Attempt) { c.attempted(f, a) }}
	f.call.Options = &o
	f.call.onAgain = func(failed *Error) bool { return c.again(f, failed) }
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
	go c.run(flightContext{own, c, f}, f, next, rest)
	return f
}

// mayAskForTools reports whether the answer to a body may ask for tools; a body
// that is not seen may.
func mayAskForTools(body []byte) bool {
	return body == nil || bytes.Contains(body, []byte(`"tools"`))
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
	for place := fc.flight.queue.Front(); place != nil; place = place.Next() {
		p := place.Value.(passenger)
		if p.deadline.IsZero() {
			return time.Time{}, false
		}
		if p.deadline.After(last) {
			last = p.deadline
		}
	}
	return last, !last.IsZero()
}

// run sends the call and keeps its answer.
func (c *Cache) run(ctx context.Context, f *flight, next Handler, rest func() error) {
	live := false // the readers of a stream find its error at its end
	err := guard(func() error {
		err := next(ctx, f.call)
		if live = err == nil && f.call.Op.Streaming(); live {
			c.begin(f, nil)
			err = rest()
		}
		return err
	})
	f.call.End(err)
	var k *kept
	c.guard(ctx, func() { k = c.keep(ctx, f, err) })
	c.mu.Lock()
	c.forget(f)
	c.mu.Unlock()
	f.mu.Lock()
	f.kept, f.ended, f.broken = k, true, err
	f.wake()
	f.mu.Unlock()
	if !live {
		c.begin(f, err)
	}
	close(f.done)
	f.cancel()
}

// begin says that there is something to have: who pays now pays for it, even if
// it leaves at this moment.
func (c *Cache) begin(f *flight, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f.err, f.outcome = err, f.call.Outcome
	close(f.begun)
}

// forget lets no more callers join. Cache.mu is held.
func (c *Cache) forget(f *flight) {
	if c.flights[f.key] == f {
		delete(c.flights, f.key)
	}
}
