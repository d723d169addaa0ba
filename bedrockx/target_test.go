package bedrockx

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/mangaassist/bedrockkit"
)

func TestPerTarget(t *testing.T) {
	var p perTarget[retryBudget, *retryBudget]
	key := targetKey{model: "a.b"}
	assert.Nil(t, p.find(key))
	var wg sync.WaitGroup
	found := make([]*retryBudget, 8)
	for i := range found {
		wg.Go(func() { found[i] = p.get(key) })
	}
	wg.Wait()
	for _, b := range found {
		assert.Same(t, found[0], b)
	}
	assert.Same(t, found[0], p.find(key))
	assert.NotSame(t, found[0], p.get(targetKey{region: "x", model: "a.b"}))

	// Targets that a service's users name fill no memory, and take nothing from
	// those of which something is known.
	assert.True(t, found[0].take(1))
	for i := range 2 * maxTargets {
		p.get(targetKey{model: bedrockkit.ModelID(fmt.Sprint("a.", i))})
		assert.LessOrEqual(t, len(*p.states.Load()), maxTargets)
	}
	assert.Same(t, found[0], p.find(key))
	assert.False(t, p.get(key).take(1))

	// Nor do those that fail.
	for i := range 2 * maxTargets {
		p.get(targetKey{model: bedrockkit.ModelID(fmt.Sprint("b.", i))}).take(1)
		assert.LessOrEqual(t, len(*p.states.Load()), maxTargets)
	}
	assert.Same(t, found[0], p.find(key))
}

func TestIdleBreaker(t *testing.T) {
	o := Options{}.resolved()
	now := time.Now()
	b := new(breaker)
	assert.True(t, b.idle(now))
	b.record(&o, now, nil)
	assert.True(t, b.idle(now))
	b.record(&o, now, &Error{Kind: KindOverloaded})
	assert.False(t, b.idle(now), "it has a failure to count")
	for range 5 {
		b.record(&o, now, &Error{Kind: KindOverloaded})
	}
	assert.False(t, b.allow(&o, now))
	assert.False(t, b.idle(now.Add(o.BreakerCooldown)))
	assert.True(t, b.idle(now.Add(2*time.Hour)), "nobody asks for it any more")
}
