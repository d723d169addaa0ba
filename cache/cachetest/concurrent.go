package cachetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mangaassist/bedrockkit/cache"
)

// stamped returns a value for key n, another in each round.
func stamped(n, round int) []byte {
	v := filled(50 + round%100)
	binary.BigEndian.PutUint32(v, uint32(n))
	sum := sha256.Sum256(v)
	return append(v, sum[:]...)
}

// genuine says whether a value was made for key n, and is whole.
func genuine(value []byte, n int) bool {
	at := len(value) - sha256.Size
	if at < 4 {
		return false
	}
	sum := sha256.Sum256(value[:at])
	return bytes.Equal(sum[:], value[at:]) && binary.BigEndian.Uint32(value) == uint32(n)
}

// checkConcurrent has many goroutines read, write and delete a few keys. Every
// value says which key it is of and has a checksum.
func checkConcurrent(ctx context.Context, s cache.Store, _ Options) error {
	const workers, rounds, keys = 8, 100, 5
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			errs[w] = func() error {
				for i := range rounds {
					n := (i*7 + w) % keys
					k := key(fmt.Sprint(n))
					switch (i + w) % 8 {
					case 0, 1, 2:
						if err := set(ctx, s, k, stamped(n, i), time.Hour); err != nil {
							return err
						}
					case 3:
						if err := s.Delete(ctx, k); err != nil {
							return err
						}
					default:
						e, err := s.Get(ctx, k)
						if errors.Is(err, cache.ErrNotFound) {
							continue
						}
						if err != nil {
							return err
						}
						if !genuine(e.Value, n) {
							return fmt.Errorf("a Get of key %d returned %s, which was not set for it", n, show(e.Value))
						}
					}
				}
				return nil
			}()
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	k := key("after")
	return first(
		func() error { return set(ctx, s, k, []byte("value"), time.Hour) },
		func() error { return get(ctx, s, k, []byte("value")) },
	)
}
