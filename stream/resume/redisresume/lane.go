package redisresume

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// lanes is over how many XREADs the answers are spread, and so how many
// connections a process holds at most while its readers wait. It is part of the
// names of the keys.
const lanes = 16

// turn is how long one XREAD waits. A reader that comes in the middle of it is
// waited for from the next one on.
const turn = 100 * time.Millisecond

// A lane lets many readers wait with one XREAD. One of them makes the call for
// all, and then another, so that nothing runs while nobody waits.
type lane struct {
	lead chan struct{} // has a value while a reader makes the call

	mu      sync.Mutex
	waiting map[*waiter]struct{}
}

// waiter is a reader that waits for a message.
type waiter struct {
	key   string
	after int64
	come  chan struct{} // closed when there is one, or an error
	err   error
}

func (l *lane) init() {
	l.lead = make(chan struct{}, 1)
	l.waiting = map[*waiter]struct{}{}
}

// wait returns when there may be a message after a sequence, or after a time.
func (l *Log) wait(ctx context.Context, id string, after int64, d time.Duration) error {
	lane := &l.lanes[laneOf(id)]
	_, key := l.keys(id)
	w := &waiter{key: key, after: after, come: make(chan struct{})}
	lane.mu.Lock()
	lane.waiting[w] = struct{}{}
	lane.mu.Unlock()
	defer func() {
		lane.mu.Lock()
		defer lane.mu.Unlock()
		delete(lane.waiting, w)
	}()
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case <-w.come:
			return w.err
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case lane.lead <- struct{}{}:
			select {
			case <-w.come: // meanwhile
			default:
				lane.read(l, min(d, turn))
			}
			<-lane.lead
		}
	}
}

// read waits once for all readers of the lane, and wakes those for whom there is
// a message. It goes by no reader's context: the others wait on.
func (lane *lane) read(l *Log, d time.Duration) {
	lane.mu.Lock()
	from := make(map[string]int64, len(lane.waiting)) // of several readers, the one that has seen least
	for w := range lane.waiting {
		if after, ok := from[w.key]; !ok || w.after < after {
			from[w.key] = w.after
		}
	}
	lane.mu.Unlock()
	args := &redis.XReadArgs{Count: 1, Block: max(d, time.Millisecond), Streams: make([]string, 2*len(from))}
	i := 0
	for key, after := range from {
		args.Streams[i], args.Streams[len(from)+i] = key, strconv.FormatInt(after, 10)+"-0"
		i++
	}
	ctx, cancel := context.WithTimeout(context.Background(), args.Block+l.options.Timeout)
	defer cancel()
	streams, err := l.client.XRead(ctx, args).Result()
	if errors.Is(err, redis.Nil) {
		return // nothing came
	}
	news := make(map[string]struct{}, len(streams))
	for _, s := range streams {
		news[s.Stream] = struct{}{}
	}
	lane.mu.Lock()
	defer lane.mu.Unlock()
	for w := range lane.waiting {
		_, come := news[w.key]
		if err != nil {
			w.err = fmt.Errorf("redisresume: read: %w", err)
		}
		if come || err != nil {
			delete(lane.waiting, w)
			close(w.come)
		}
	}
}
