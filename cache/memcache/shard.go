package memcache

import (
	"sync"
	"time"

	"github.com/mangaassist/bedrockkit/cache"
)

// A shard evicts by S3-FIFO (Yang et al., "FIFO queues are all you need for
// cache eviction", SOSP 2023). New entries go through a small queue; those that
// were asked for while in it move on to the main queue, the others leave, and
// only a ghost stays, which lets them into the main queue if they come back. So
// a scan, of which nothing is asked for twice, never reaches the main queue.
type shard struct {
	mu       sync.Mutex
	capacity int64
	entries  map[cache.Key]*entry
	small    queue
	main     queue
	ghosts   ghosts
	stats    Stats

	_ [64]byte // the locks of two shards are not in one cache line
}

type entry struct {
	key     cache.Key
	hash    uint64
	value   []byte
	size    int64
	expires time.Time
	freq    uint8 // hits since it came into its queue, or was last passed over, up to maxFreq
	queue   *queue
	prev    *entry
	next    *entry
}

// insert puts an entry into the shard, in place of an older one of its key. It
// fits into the capacity.
func (s *shard) insert(e *entry, now time.Time) {
	into := &s.small
	if old := s.entries[e.key]; old != nil {
		into, e.freq = old.queue, old.freq
		s.remove(old)
	} else if s.ghosts.take(e.hash) {
		into = &s.main
	}
	for s.small.bytes+s.main.bytes+e.size > s.capacity {
		if s.main.bytes == 0 || s.small.bytes > s.capacity/10 {
			s.evictSmall(now)
		} else {
			s.evictMain(now)
		}
	}
	s.entries[e.key] = e
	into.push(e)
}

// evictSmall lets the oldest of the small queue go, or move on.
func (s *shard) evictSmall(now time.Time) {
	e := s.small.last()
	switch {
	case !now.Before(e.expires):
		s.remove(e)
	case e.freq > 0:
		s.small.unlink(e)
		e.freq = 0
		s.main.push(e)
	default:
		s.remove(e)
		s.ghosts.add(e.hash, max(len(s.entries), 16))
		s.stats.Evicted++
	}
}

// evictMain lets the oldest of the main queue go, or gives it another round.
func (s *shard) evictMain(now time.Time) {
	e := s.main.last()
	if e.freq > 0 && now.Before(e.expires) {
		s.main.unlink(e)
		e.freq--
		s.main.push(e)
		return
	}
	s.remove(e)
	s.stats.Evicted++
}

func (s *shard) remove(e *entry) {
	e.queue.unlink(e)
	delete(s.entries, e.key)
}

// A queue is a ring of entries around its root, newest first.
type queue struct {
	root  entry
	bytes int64
}

func (q *queue) init() { q.root.prev, q.root.next = &q.root, &q.root }

func (q *queue) last() *entry { return q.root.prev }

func (q *queue) push(e *entry) {
	e.queue = q
	e.prev, e.next = &q.root, q.root.next
	e.prev.next, e.next.prev = e, e
	q.bytes += e.size
}

func (q *queue) unlink(e *entry) {
	e.prev.next, e.next.prev = e.next, e.prev
	e.prev, e.next, e.queue = nil, nil, nil
	q.bytes -= e.size
}

// ghosts are the hashes of the keys that last left the small queue.
type ghosts struct {
	set   map[uint64]struct{}
	queue []uint64 // oldest first; may hold some that were taken
}

// take forgets a hash and says whether it was there.
func (g *ghosts) take(hash uint64) bool {
	_, ok := g.set[hash]
	delete(g.set, hash)
	return ok
}

// add remembers a hash, and of all at most the newest.
func (g *ghosts) add(hash uint64, most int) {
	g.set[hash] = struct{}{}
	g.queue = append(g.queue, hash)
	for len(g.queue) > most {
		delete(g.set, g.queue[0])
		g.queue = g.queue[1:]
	}
}
