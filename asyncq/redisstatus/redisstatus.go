package redisstatus

import (
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mangaassist/bedrockkit/asyncq"
)

// Client is what a [Store] uses of a client of go-redis. *redis.Client,
// *redis.ClusterClient and *redis.Ring have it.
type Client interface {
	redis.Scripter
	HGet(ctx context.Context, key, field string) *redis.StringCmd
}

// Options are the options of [New]. The zero value of a field means its default.
type Options struct {
	// Prefix is what all keys begin with. The default is "asyncq:status:".
	Prefix string
}

// Store is an [asyncq.StatusStore] in Redis. It is safe for concurrent use.
type Store struct {
	client Client
	prefix string
}

var _ asyncq.StatusStore = (*Store)(nil)

// New returns a store that uses a client. The client should be made with
// ContextTimeoutEnabled, so that an operation ends with its context.
func New(client Client, optFns ...func(*Options)) *Store {
	o := Options{Prefix: "asyncq:status:"}
	for _, fn := range optFns {
		fn(&o)
	}
	return &Store{client, o.Prefix}
}

//go:embed write.lua
var writeSource string

var write = redis.NewScript(writeSource)

// Create implements [asyncq.StatusStore].
func (s *Store) Create(ctx context.Context, status asyncq.Status) error {
	status.Version = 1
	return s.put(ctx, "creating", status, "", "")
}

// Update implements [asyncq.StatusStore].
func (s *Store) Update(ctx context.Context, status asyncq.Status) error {
	replaced := strconv.FormatInt(status.Version, 10)
	status.Version++
	return s.put(ctx, "updating", status, replaced, created(status))
}

// created tells two jobs of one id apart.
func created(status asyncq.Status) string { return strconv.FormatInt(status.CreatedAt.UnixMilli(), 10) }

func (s *Store) put(ctx context.Context, what string, status asyncq.Status, replacedVersion, replacedCreated string) error {
	record, err := json.Marshal(status)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return fail(what, status.ID, err)
	}
	until := int64(0)
	if !status.ExpiresAt.IsZero() {
		until = status.ExpiresAt.UnixMilli()
	}
	answer, err := write.Run(ctx, s.client, []string{s.prefix + status.ID}, replacedVersion, replacedCreated,
		status.Version, created(status), rand.Text(), record, until).Text()
	if err == nil {
		switch answer {
		case "exists":
			err = asyncq.ErrExists
		case "missing":
			err = asyncq.ErrNotFound
		case "conflict":
			err = asyncq.ErrConflict
		}
	}
	return fail(what, status.ID, err)
}

// Get implements [asyncq.StatusStore].
func (s *Store) Get(ctx context.Context, id string) (asyncq.Status, error) {
	if err := ctx.Err(); err != nil {
		return asyncq.Status{}, fail("reading", id, err)
	}
	record, err := s.client.HGet(ctx, s.prefix+id, "record").Bytes()
	if errors.Is(err, redis.Nil) {
		err = asyncq.ErrNotFound
	}
	if err != nil {
		return asyncq.Status{}, fail("reading", id, err)
	}
	var status asyncq.Status
	if err := json.Unmarshal(record, &status); err != nil {
		return asyncq.Status{}, fail("reading", id, fmt.Errorf("it was not written by this package: %w", err))
	}
	if !status.ExpiresAt.IsZero() && !time.Now().Before(status.ExpiresAt) { // by this clock already
		return asyncq.Status{}, fail("reading", id, asyncq.ErrNotFound)
	}
	return status, nil
}

func fail(what, id string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("redisstatus: %s the status of %s: %w", what, id, err)
}
