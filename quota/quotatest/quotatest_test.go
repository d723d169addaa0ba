package quotatest

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/mangaassist/bedrockkit/quota"
)

func TestMemoryStore(t *testing.T) {
	Run(t, func(*testing.T) quota.Store { return quota.NewMemoryStore() })
}

func TestMemoryStoreInItsTime(t *testing.T) {
	Run(t, func(*testing.T) quota.Store { return quota.NewMemoryStore() }, func(o *Options) {
		o.In, o.Advance = synctest.Test, time.Sleep
	})
}

// wrong is a right store with a mistake.
type wrong struct {
	quota.MemoryStore
	mistake string
}

func (s *wrong) Reserve(ctx context.Context, q quota.Quota, tokens int64) (time.Duration, error) {
	switch s.mistake {
	case "ignores contexts":
		ctx = context.WithoutCancel(ctx)
	case "joins account and region":
		q.Account, q.Region = q.Account+q.Region, ""
	case "ignores requests":
		q.RequestsPerMinute = 0
	case "counts a request double":
		tokens *= 2
	case "never lets large ones go":
		if tokens > q.TokensPerMinute && q.TokensPerMinute > 0 {
			return time.Minute, nil
		}
	}
	wait, err := s.MemoryStore.Reserve(ctx, q, tokens)
	switch {
	case wait > 0 && s.mistake == "takes what has no room":
		return wait, s.MemoryStore.Settle(ctx, q, tokens)
	case wait > 0 && s.mistake == "says a minute":
		return time.Minute, err
	case s.mistake == "has room for all":
		return 0, err
	}
	return wait, err
}

func (s *wrong) Settle(ctx context.Context, q quota.Quota, tokens int64) error {
	switch s.mistake {
	case "never gives back":
		tokens = max(0, tokens)
	case "owes nothing":
		tokens = min(0, tokens)
	}
	return s.MemoryStore.Settle(ctx, q, tokens)
}

func (s *wrong) Throttled(ctx context.Context, q quota.Quota) error {
	switch s.mistake {
	case "ignores throttles":
		return ctx.Err()
	case "settles instead of slowing down":
		return s.MemoryStore.Settle(ctx, q, q.TokensPerMinute/2)
	}
	return s.MemoryStore.Throttled(ctx, q)
}

// The suite finds each mistake, and none in a right store.
func TestTheSuiteFindsMistakes(t *testing.T) {
	for _, mistake := range []string{
		"", "ignores contexts", "joins account and region", "ignores requests", "counts a request double",
		"never lets large ones go", "takes what has no room", "says a minute", "has room for all",
		"never gives back", "owes nothing", "ignores throttles", "settles instead of slowing down",
	} {
		t.Run(mistake, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var found []string
				for _, c := range checks {
					if c.fn(&run{ctx: t.Context(), store: &wrong{mistake: mistake}, options: Options{Advance: time.Sleep}}) != nil {
						found = append(found, c.name)
					}
				}
				assert.Equal(t, mistake == "", len(found) == 0, "%v", found)
			})
		})
	}
}
