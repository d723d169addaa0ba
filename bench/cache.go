package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/maypok86/otter/v2"
	"github.com/redis/go-redis/v9"

	"github.com/mangaassist/bedrockkit/cache"
	"github.com/mangaassist/bedrockkit/cache/memcache"
	"github.com/mangaassist/bedrockkit/cache/rediscache"
)

const (
	otterCache = "otter"
	ourMemory  = "bedrockkit cache/memcache"
	goRedis    = "go-redis by hand"
	ourRedis   = "bedrockkit cache/rediscache"

	cached     = 10_000 // entries
	cachedTTL  = time.Hour
	hitsInWork = 100_000
	hitsRedis  = 500
)

// cacheKeys are the keys of the entries, and cachedValue what each has.
func cacheKeys() ([]cache.Key, []byte) {
	keys := make([]cache.Key, cached)
	for i := range keys {
		// Of a hash that is spread as that of a request is.
		binary.LittleEndian.PutUint64(keys[i].Sum[:], uint64(i+1)*0x9E3779B97F4A7C15)
		binary.LittleEndian.PutUint64(keys[i].Sum[8:], uint64(i+1)*0xBF58476D1CE4E5B9)
	}
	return keys, converseJSON
}

// cacheHits reads entries that are there, each with an expiry and in a cache that
// is bounded by bytes.
func (c *course) cacheHits() (*race, error) {
	keys, value := cacheKeys()
	ours := memcache.New(func(o *memcache.Options) { o.MaxBytes = 256 << 20 })
	theirs := otter.Must(&otter.Options[cache.Key, []byte]{
		MaximumWeight: 256 << 20, Weigher: func(_ cache.Key, v []byte) uint32 { return uint32(len(v)) },
		ExpiryCalculator: otter.ExpiryWriting[cache.Key, []byte](cachedTTL),
	})
	for _, key := range keys {
		if err := ours.Set(c.ctx, key, value, cachedTTL); err != nil {
			return nil, err
		}
		theirs.Set(key, value)
	}
	next := 0
	key := func() cache.Key {
		next = (next + 7919) % cached // a prime: all of them in their turn
		return keys[next]
	}
	contestants := []contestant{
		{otterCache, func(context.Context) (int, error) {
			found := 0
			for range hitsInWork {
				v, _ := theirs.GetIfPresent(key())
				found += len(v)
			}
			return found, nil
		}},
		{ourMemory, func(ctx context.Context) (int, error) {
			found := 0
			for range hitsInWork {
				e, err := ours.Get(ctx, key())
				if err != nil {
					return 0, err
				}
				found += len(e.Value)
			}
			return found, nil
		}},
	}
	r := &race{Title: "Hits in a cache in memory, of one goroutine", Per: "hit", Baseline: otterCache}
	return r, c.measure(r, contestants, hitsInWork, hitsInWork*len(value))
}

// redisHits does the same with a Redis of its own.
func (c *course) redisHits() (*race, error) {
	addr, stop, err := startRedis(c.ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench: no race with Redis:", err)
		return nil, nil
	}
	defer stop()
	client := redis.NewClient(&redis.Options{Addr: addr})
	defer client.Close()
	ours, err := rediscache.New(redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true}))
	if err != nil {
		return nil, err
	}
	keys, value := cacheKeys()
	keys = keys[:hitsRedis]
	for _, key := range keys {
		if err := ours.Set(c.ctx, key, value, cachedTTL); err != nil {
			return nil, err
		}
		if err := client.Set(c.ctx, "by hand:"+key.String(), value, cachedTTL).Err(); err != nil {
			return nil, err
		}
	}
	contestants := []contestant{
		{goRedis, func(ctx context.Context) (int, error) {
			found := 0
			for _, key := range keys {
				v, err := client.Get(ctx, "by hand:"+key.String()).Bytes()
				if err != nil {
					return 0, err
				}
				found += len(v)
			}
			return found, nil
		}},
		{ourRedis, func(ctx context.Context) (int, error) {
			found := 0
			for _, key := range keys {
				e, err := ours.Get(ctx, key)
				if err != nil {
					return 0, err
				}
				found += len(e.Value)
			}
			return found, nil
		}},
	}
	r := &race{Title: "Hits in Redis, of one goroutine; ours bounds, checks and dates what it reads", Per: "hit", Baseline: goRedis}
	return r, c.measure(r, contestants, hitsRedis, hitsRedis*len(value))
}

// startRedis starts a redis-server that keeps nothing on disk.
func startRedis(ctx context.Context) (addr string, stop func(), err error) {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		return "", nil, err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0") // for a port that is free
	if err != nil {
		return "", nil, err
	}
	addr = ln.Addr().String()
	ln.Close()
	_, port, _ := net.SplitHostPort(addr)
	cmd := exec.CommandContext(ctx, program, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "Ready to accept connections") {
			go func() { // until it ends
				for lines.Scan() {
				}
			}()
			return addr, func() { cmd.Process.Kill(); cmd.Wait() }, nil
		}
	}
	return "", nil, fmt.Errorf("redis-server did not start: %w", cmd.Wait())
}
