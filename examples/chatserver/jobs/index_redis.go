package jobs

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// RedisIndex is an [Index] in Redis: a sorted set for each list.
type RedisIndex struct {
	Client redis.Cmdable
	Prefix string // of the keys
}

// addScript adds names that are not there, each above the one before.
var addScript = redis.NewScript(`
local top = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')
local n = tonumber(top[2] or '0')
for i = 3, #ARGV do
  if not redis.call('ZSCORE', KEYS[1], ARGV[i]) then
    n = n + 1
    redis.call('ZADD', KEYS[1], n, ARGV[i])
  end
end
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -ARGV[2] - 1)
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return n`)

// Add implements [Index].
func (r RedisIndex) Add(ctx context.Context, list string, names ...string) error {
	args := []any{Retention.Milliseconds(), MaxList}
	for _, name := range names {
		args = append(args, name)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return addScript.Run(ctx, r.Client, []string{r.Prefix + list}, args...).Err()
}

// List implements [Index].
func (r RedisIndex) List(ctx context.Context, list string, limit int) ([]string, error) {
	return r.Client.ZRevRange(ctx, r.Prefix+list, 0, int64(limit)-1).Result()
}
