package redisstatus_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mangaassist/bedrockkit/asyncq"
	"github.com/mangaassist/bedrockkit/asyncq/queuetest"
	"github.com/mangaassist/bedrockkit/asyncq/redisstatus"
	"github.com/mangaassist/bedrockkit/internal/servertest"
)

// A pool of go-redis that has seen its server gone dials it once a second, and
// looks only then whether it was closed.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

func connect(t *testing.T, addr string) *redis.Client {
	client := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true})
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	return client
}

func conforms(t *testing.T, client *redis.Client) {
	stores := 0
	queuetest.TestStatusStore(t, func(*testing.T) asyncq.StatusStore {
		stores++
		return redisstatus.New(client, func(o *redisstatus.Options) { o.Prefix = fmt.Sprint("test:", stores, ":") })
	})
}

func TestRedis(t *testing.T) {
	addr, _ := servertest.Redis(t)
	conforms(t, connect(t, addr))
}

func TestConformance(t *testing.T) { conforms(t, connect(t, miniredis.RunT(t).Addr())) }

// twice sends each script twice, as go-redis does when an answer is lost.
type twice struct{ *redis.Client }

func (c twice) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	c.Client.EvalSha(ctx, sha, keys, args...)
	return c.Client.EvalSha(ctx, sha, keys, args...)
}

func TestAnswerLost(t *testing.T) {
	s := redisstatus.New(twice{connect(t, miniredis.RunT(t).Addr())})
	now := time.Now()
	require.NoError(t, s.Create(t.Context(), asyncq.Status{ID: "warm", CreatedAt: now})) // loads the script
	status := asyncq.Status{ID: "a", State: asyncq.Queued, CreatedAt: now}
	require.NoError(t, s.Create(t.Context(), status))
	require.ErrorIs(t, s.Create(t.Context(), status), asyncq.ErrExists)
	got, err := s.Get(t.Context(), "a")
	require.NoError(t, err)
	got.State = asyncq.Processing
	require.NoError(t, s.Update(t.Context(), got))
	require.ErrorIs(t, s.Update(t.Context(), got), asyncq.ErrConflict)
}

// What another program has written is an error, and no status.
func TestForeign(t *testing.T) {
	client := connect(t, miniredis.RunT(t).Addr())
	s := redisstatus.New(client)
	require.NoError(t, client.HSet(t.Context(), "asyncq:status:a", "record", "{").Err())
	_, err := s.Get(t.Context(), "a")
	assert.ErrorContains(t, err, "redisstatus: reading the status of a: it was not written by this package")
}

// A Redis that is gone is an error that names the job.
func TestGone(t *testing.T) {
	server := miniredis.RunT(t)
	s := redisstatus.New(redisClientWithoutRetries(t, server.Addr()))
	server.Close()
	assert.ErrorContains(t, s.Create(t.Context(), asyncq.Status{ID: "a"}), "redisstatus: creating the status of a: ")
	_, err := s.Get(t.Context(), "a")
	require.Error(t, err)
	assert.NotErrorIs(t, err, asyncq.ErrNotFound)
}

func redisClientWithoutRetries(t *testing.T, addr string) *redis.Client {
	client := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true, MaxRetries: -1})
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	return client
}
