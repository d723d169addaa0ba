package bedrockx

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/mangaassist/bedrockkit/cache"
)

// similar answers a call with the answer to a question that means the same, or
// sees to it that its own answer is found for such questions.
func (c *Cache) similar(ctx context.Context, call *Call, key cache.Key) (answered bool, err error) {
	scope, text, ok := c.question(call)
	if !ok {
		return false, nil
	}
	found, add, err := call.Options.CachePolicy.Similar.Find(ctx, scope, text)
	switch {
	case ctx.Err() != nil:
		return true, Canceled(ctx, call.Op, call.Model)
	case err != nil:
		c.options.OnError(ctx, fmt.Errorf("cache: finding a similar question: %w", err))
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
			c.options.OnError(ctx, fmt.Errorf("cache: adding a question: %w", err))
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
	var member string
	for _, f := range formsFor(call.Op, call.resolved(call.Model)) {
		if f.Question == nil {
			continue
		}
		if question, member, ok = f.Question(top); ok {
			break
		}
	}
	if !ok {
		return scope, "", false
	}
	top[member] = json.RawMessage("null")
	body, err := json.Marshal(top)
	if err != nil {
		return scope, "", false
	}
	rest := call.copied()
	rest.Body = body
	scope, err = c.key(rest)
	return scope, question, err == nil
}
