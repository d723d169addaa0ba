package bedrockx

import (
	"context"
	"errors"
	"runtime/debug"
	"time"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/cache"
)

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
		if !call.Options.CachePolicy.ToolUse {
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
	if !call.Options.CachePolicy.Outside && call.dependsOnOthers() {
		c.unkept(CacheOutside)
		return k
	}
	if cost, err := call.cost(); err == nil {
		k.cost, k.priced = cost, true
	}
	k.both = !call.Op.Streaming() && faithful(call.Op, k.body)
	if call.Op.Streaming() {
		joined, err := join(call.Op, f.buf, call.Options.MaxFrameBytes)
		k.both = err == nil && faithful(call.Op, joined)
		if k.frames = !k.both; k.both {
			k.body = joined
		}
	}
	key := f.key
	if call.Model != f.asked.Model || call.Region != f.asked.Region || call.account != f.asked.Account {
		if key, err = c.key(call); err != nil { // another target has answered
			c.unkept(CacheRequest)
			return k
		}
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
		c.storeFailed(ctx, cache.OpSet, key, err)
		c.unkept(CacheUnavailable)
	default:
		c.fills.Add(1) // before the flight is forgotten: who comes then asks again
		c.mu.Lock()
		c.stats.Kept++
		c.mu.Unlock()
	}
	return k
}

// guard makes an error of a panic, which would end the program in a goroutine
// that is nobody's own.
func guard(fn func() error) (err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		returned := false
		defer func() {
			if !returned {
				err = &cache.PanicError{Value: recover(), Stack: debug.Stack()}
			}
		}()
		err = fn()
		returned = true
	}()
	<-done
	return err
}

// guard reports a panic of the store, which is not an error of the call.
func (c *Cache) guard(ctx context.Context, fn func()) {
	if err := guard(func() error { fn(); return nil }); err != nil {
		c.options.OnError(ctx, err)
	}
}
