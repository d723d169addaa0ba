package bedrockx

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"time"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/cache"
)

// cached answers from the cache of the call's options, and fills it. whole is
// the pipeline that a refresh passes.
func cached(next Handler, whole *Handler) Handler {
	return func(ctx context.Context, call *Call) error {
		c := call.Options.Cache
		if c == nil || call.Options.CachePolicy.Off {
			return next(ctx, call)
		}
		if call.Body == nil && (call.Op == bedrockkit.OpConverse || call.Op == bedrockkit.OpConverseStream) && call.Share != nil {
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
		why, fills, answered := CacheFresh, c.fills.Load(), false
		if !call.Options.CachePolicy.Fresh {
			if why, answered, err = c.find(ctx, call, key, *whole); answered {
				return err
			}
		}
		if call.Options.CachePolicy.Similar != nil && why != CacheFresh {
			if answered, err = c.similar(ctx, call, key); answered {
				return err
			}
		}
		f, late := c.board(ctx, call, key, next, fills)
		for looks := 1; late && why != CacheFresh; looks++ {
			if fills = c.fills.Load(); looks == maxLooks {
				fills = anyFills
			}
			if why, answered, err = c.find(ctx, call, key, *whole); answered {
				return err
			}
			f, late = c.board(ctx, call, key, next, fills)
		}
		if f == nil {
			return c.alone(ctx, call, next, why)
		}
		return c.fly(ctx, f, call, next, why)
	}
}

// find answers a call from the store, or says why it cannot.
func (c *Cache) find(ctx context.Context, call *Call, key cache.Key, whole Handler) (why CacheReason, answered bool, err error) {
	k, stale, why := c.look(ctx, key)
	switch {
	case ctx.Err() != nil:
		return why, true, Canceled(ctx, call.Op, call.Model)
	case k == nil:
		return why, false, nil
	}
	how := givenHit
	if stale {
		how = givenStale
	}
	if why, err = c.serve(ctx, call, k, how); why != "" {
		return why, false, nil
	}
	if err == nil && stale {
		c.refresh(ctx, call, key, whole)
	}
	return "", true, err
}

// maxLooks bounds how often the store is asked for one call.
const maxLooks = 3

// key is that of a call, an error where it has none.
func (c *Cache) key(call *Call) (cache.Key, error) {
	if call.Share == nil {
		return cache.Key{}, errors.New("the call's owner does not share it")
	}
	o := call.Options
	r := cache.Request{
		Namespace: c.options.Namespace, Tenant: o.Tenant, Class: cache.ClassConverse,
		Account: call.account, Region: call.Region, Model: call.Model,
		Body: call.Body, Params: o.CachePolicy.Vary, Repeatable: !o.CachePolicy.AnyTemperature,
	}
	switch {
	case call.Op == bedrockkit.OpInvokeModel || call.Op == bedrockkit.OpInvokeModelWithResponseStream:
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

// sdkParams are the body and the headers of an input of the SDK; any
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

// storeFailed gives Options.OnError an error of the store.
func (c *Cache) storeFailed(ctx context.Context, op cache.Op, key cache.Key, err error) {
	c.options.OnError(ctx, &cache.StoreError{Op: op, Key: key, Err: err})
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
		c.storeFailed(ctx, cache.OpGet, key, err)
		return nil, false, CacheCorrupt
	case err != nil:
		c.storeFailed(ctx, cache.OpGet, key, err)
		return nil, false, CacheUnavailable
	}
	k = new(kept)
	if err := k.decode(&key, e.Value); err != nil {
		c.storeFailed(ctx, cache.OpGet, key, err)
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
	if k.tools && !call.Options.CachePolicy.ToolUse {
		return CacheToolUse, nil
	}
	body, err := k.in(ctx, call.Op, c.options.Pace)
	if err != nil {
		return CacheForm, nil
	}
	model, id := call.Model, call.RequestID
	call.CacheHit = true
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
	call.Usage = bedrockkit.Usage{}
	c.saved(call, k, how)
	if call.Op.Streaming() {
		call.FirstOutput = time.Since(call.began)
	}
	return "", nil
}
