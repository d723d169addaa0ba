package bedrockx

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mangaassist/bedrockkit"
)

func TestPerTarget(t *testing.T) {
	var p perTarget[retryBudget]
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

	// Targets that a service's users name do not fill the memory.
	for i := range 2 * maxTargets {
		p.get(targetKey{model: bedrockkit.ModelID(fmt.Sprint("a.", i))})
		assert.LessOrEqual(t, len(*p.states.Load()), maxTargets)
	}
}
