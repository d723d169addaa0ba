package timed_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/asyncq/internal/timed"
)

// A queue does what a map does that is searched.
func TestQueue(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	epoch := time.Unix(0, 0)
	var q timed.Queue
	model := map[string]int{}
	due := func(now int) (keys []string) {
		for key, at := range model {
			if at <= now {
				keys = append(keys, key)
			}
		}
		slices.SortFunc(keys, func(a, b string) int { return cmp.Compare(model[a], model[b]) })
		return keys
	}
	times := func(keys []string) (at []int) {
		for _, key := range keys {
			at = append(at, model[key])
		}
		return at
	}
	for range 5000 {
		key, at := fmt.Sprint(random.IntN(50)), random.IntN(1000)
		switch random.IntN(6) {
		case 0, 1, 2:
			q.Set(key, epoch.Add(time.Duration(at)))
			model[key] = at
		case 3:
			q.Delete(key)
			delete(model, key)
		case 4:
			limit := random.IntN(60)
			want, got := due(at), q.Due(epoch.Add(time.Duration(at)), limit)
			// Keys of one time come in any order.
			require.Equal(t, times(want[:min(len(want), limit)]), times(got))
			assert.Len(t, slices.Compact(slices.Sorted(slices.Values(got))), len(got), "each of them once")
		default:
			want := due(at)
			got, ok := q.Pop(epoch.Add(time.Duration(at)))
			require.Equal(t, len(want) > 0, ok)
			if ok {
				require.Equal(t, model[want[0]], model[got])
				delete(model, got)
			}
		}
		require.Equal(t, len(model), q.Len())
	}
}
