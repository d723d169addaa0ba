package redisquota

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mangaassist/bedrockkit/quota"
	"github.com/mangaassist/bedrockkit/quota/internal/bucket"
)

// Options are the options of a [Store]. The zero value of a field means its default.
type Options struct {
	// Prefix is what the names of all quotas in Redis begin with; a slash
	// follows it. The default is "bedrockkit:quota:".
	Prefix string

	// Timeout bounds each operation, including dialing a connection. It needs a client
	// with ContextTimeoutEnabled. The default is 100 ms.
	Timeout time.Duration
}

// Store is a [quota.Store] in Redis. It is safe for concurrent use.
type Store struct {
	client  redis.Scripter
	options Options
}

var _ quota.Store = (*Store)(nil)

// New returns a store that uses a client, such as a [*redis.Client] or a
// [*redis.ClusterClient]. It returns an error if the client is a go-redis client
// without ContextTimeoutEnabled, because such a client uses only its own timeout of
// several seconds.
func New(client redis.Scripter, optFns ...func(*Options)) (*Store, error) {
	if !heedsContext(client) {
		return nil, errors.New("redisquota: the client does not heed the timeouts of contexts; make it with ContextTimeoutEnabled: true")
	}
	var o Options
	for _, fn := range optFns {
		fn(&o)
	}
	if o.Prefix == "" {
		o.Prefix = "bedrockkit:quota:"
	}
	if o.Timeout <= 0 {
		o.Timeout = 100 * time.Millisecond
	}
	return &Store{client: client, options: o}, nil
}

func heedsContext(client redis.Scripter) bool {
	switch c := client.(type) {
	case *redis.Client:
		return c.Options().ContextTimeoutEnabled
	case *redis.ClusterClient:
		return c.Options().ContextTimeoutEnabled
	case *redis.Ring:
		return c.Options().ContextTimeoutEnabled
	}
	return true // its maker knows
}

//go:embed quota.lua
var source string

var script = redis.NewScript(source)

// Reserve implements [quota.Store].
func (s *Store) Reserve(ctx context.Context, q quota.Quota, tokens int64) (time.Duration, error) {
	taken, err := s.run(ctx, "reserve", q, tokens)
	if err != nil || len(taken) == 0 {
		return 0, err
	}
	if len(taken) != 3 {
		return 0, fmt.Errorf("redisquota: reserve: the script returned %d values; expected 3", len(taken))
	}
	var state bucket.State
	for i, field := range []*float64{&state.Tokens, &state.Requests, &state.Slow} {
		if *field, err = strconv.ParseFloat(taken[i], 64); err != nil {
			return 0, fmt.Errorf("redisquota: reserve: %w", err)
		}
	}
	// At least a moment: Redis has said that there is no room.
	return max(state.Wait(float64(tokens), limits(q)), time.Microsecond), nil
}

// Settle implements [quota.Store].
func (s *Store) Settle(ctx context.Context, q quota.Quota, tokens int64) error {
	_, err := s.run(ctx, "settle", q, tokens)
	return err
}

// Throttled implements [quota.Store].
func (s *Store) Throttled(ctx context.Context, q quota.Quota) error {
	_, err := s.run(ctx, "throttled", q, 0)
	return err
}

func limits(q quota.Quota) bucket.Limits {
	return bucket.Limits{Tokens: float64(max(0, q.TokensPerMinute)), Requests: float64(max(0, q.RequestsPerMinute))}
}

// run calls the script within its time and says what went wrong.
func (s *Store) run(ctx context.Context, op string, q quota.Quota, tokens int64) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	name := s.options.Prefix + "/" + url.PathEscape(q.Account) + "/" + url.PathEscape(q.Region) + "/" + url.PathEscape(string(q.Model))
	l := limits(q)
	bounded, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	taken, err := script.Run(bounded, s.client, []string{name}, op, tokens, l.Tokens, l.Requests,
		bucket.Decrease, bucket.Floor, bucket.Recovery, bucket.Pause.Microseconds()).StringSlice()
	switch {
	case err == nil:
		return taken, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	}
	return nil, fmt.Errorf("redisquota: %s: %w", op, err)
}
