package bedrockx

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/cache"
)

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
	again := call.detached()
	o := *call.Options
	o.CachePolicy.Fresh = true
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
				c.options.OnError(ctx, fmt.Errorf("cache: refreshing an answer: %w", err))
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
		Op: c.Op, Outcome: Outcome{Model: c.Model, Region: c.Region}, Body: c.Body, SDKInput: c.SDKInput, MaxTokens: c.MaxTokens, Options: c.Options, Share: c.Share,
		Encode: c.Encode, own: c.own, encodedFor: c.encodedFor, variants: maps.Clone(c.variants),
		api: c.api, sdk: c.sdk, account: c.account, resolve: c.resolve, ctx: c.ctx, began: time.Now(), sent: true,
	}
}

// detached is a copy that may outlive the call: its caller may use the bytes of
// the request again, once the call has returned.
func (c *Call) detached() *Call {
	d := c.copied()
	d.Body = bytes.Clone(c.Body)
	if c.Encode != nil && c.untouched() {
		d.detach(c)
	}
	if c.Body != nil || c.SDKInput == nil {
		return d
	}
	input, err := c.SDKInput()
	switch in := input.(type) {
	case *bedrockruntime.InvokeModelInput:
		in.Body = bytes.Clone(in.Body)
		d.SDKInput = func() (any, error) { again := *in; return &again, nil }
	case *bedrockruntime.InvokeModelWithResponseStreamInput:
		in.Body = bytes.Clone(in.Body)
		d.SDKInput = func() (any, error) { again := *in; return &again, nil }
	default:
		if err != nil {
			d.SDKInput = func() (any, error) { return nil, err }
		}
	}
	return d
}

// detach makes now what Encode of another call, its original, is asked for while
// the copy is sent: the bodies for its own model and for Options.Fallback.
func (c *Call) detach(original *Call) {
	own := Target{Model: c.Model, API: c.api, Region: c.Region, Account: c.account}
	for _, t := range c.Options.Fallback {
		_, _ = original.forTarget(t.resolved(own)) // an error comes when the target's turn does
	}
	cloned := func(e *Encoded) *Encoded {
		clone := *e
		clone.Body = bytes.Clone(e.Body)
		if sameBytes(e.Body, original.Body) {
			c.Body = clone.Body
		}
		return &clone
	}
	c.own = cloned(original.own)
	c.variants = map[bedrockkit.ModelID]*Encoded{}
	for model, e := range original.variants {
		c.variants[model] = cloned(e)
	}
}
