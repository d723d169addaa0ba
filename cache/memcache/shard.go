package memcache

import (
	"maps"
	"slices"
	"sync"

	"github.com/mangaassist/bedrockkit/cache"
)

// A shard evicts by S3-FIFO (Yang et al., "FIFO queues are all you need for
// cache eviction", SOSP 2023). New entries go through a small queue; those that
// were asked for while in it move on to the main queue, the others leave, and
// only a ghost stays, which lets them into the main queue if they come back. So
// a scan, whose entries are asked for once, never reaches the main queue.
type shard struct {
	mu       sync.Mutex
	capacity int64
	entries  map[uint64]*entry // by their hashes; those of one hash are linked
	held     int               // entries
	peak     int               // the most entries since the map was made, which never shrinks
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
	expires int64  // in Unix nanoseconds
	same    *entry // another one of the same hash
	freq    uint8  // hits since it came into its queue, or was last passed over, up to maxFreq
	queue   *queue
	prev    *entry
	next    *entry
}

// find returns the entry of a key, or nil.
func (s *shard) find(hash uint64, key *cache.Key) *entry {
	e := s.entries[hash]
	for e != nil && e.key != *key {
		e = e.same
	}
	return e
}

// insert puts an entry into the shard, in place of an older one of its key. It
// fits into the capacity.
func (s *shard) insert(e *entry, now int64) {
	into := &s.small
	if old := s.find(e.hash, &e.key); old != nil {
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
	e.same = s.entries[e.hash]
	s.entries[e.hash] = e
	s.held++
	s.peak = max(s.peak, s.held)
	into.push(e)
}

// evictSmall lets the oldest of the small queue go, or move on.
func (s *shard) evictSmall(now int64) {
	e := s.small.last()
	switch {
	case now >= e.expires:
		s.remove(e)
	case e.freq > 0:
		s.small.unlink(e)
		e.freq = 0
		s.main.push(e)
	default:
		s.remove(e)
		s.ghosts.add(e.hash, max(s.held, 16))
		s.stats.Evicted++
	}
}

// evictMain lets the oldest of the main queue go, or gives it another round.
func (s *shard) evictMain(now int64) {
	e := s.main.last()
	if e.freq > 0 && now < e.expires {
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
	s.held--
	switch first := s.entries[e.hash]; {
	case first != e:
		for first.same != e {
			first = first.same
		}
		first.same = e.same
	case e.same != nil:
		s.entries[e.hash] = e.same
	default:
		delete(s.entries, e.hash)
	}
	e.same = nil
	if s.peak > shrinkFrom && s.held < s.peak/4 {
		s.entries, s.peak = smaller(s.entries), s.held
	}
}

// A map keeps the room of the most that it has held, so that one of many small
// entries would stay when they have given way to a few large ones. One that is
// emptied to a quarter is made anew.
const shrinkFrom = 256

func smaller[V any](m map[uint64]V) map[uint64]V {
	made := make(map[uint64]V, len(m))
	maps.Copy(made, m)
	return made
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
	peak  int      // of the set, since it was made
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
	g.peak = max(g.peak, len(g.set))
	for len(g.queue) > most {
		delete(g.set, g.queue[0])
		g.queue = g.queue[1:]
	}
	if g.peak > shrinkFrom && len(g.set) < g.peak/4 {
		g.set, g.peak = smaller(g.set), len(g.set)
		g.queue = slices.Clone(g.queue)
	}
}
