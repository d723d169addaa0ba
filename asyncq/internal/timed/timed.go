// Package timed keeps keys in the order of their times, so that what is due is found
// without a search.
package timed

import (
	"container/heap"
	"time"
)

// A Queue holds keys, each with a time. The zero value is empty. It is not safe for
// concurrent use.
type Queue struct {
	heap entries
	of   map[string]*entry
}

type entry struct {
	key   string
	at    time.Time
	index int // in the heap
}

// Set adds a key, or gives it another time.
func (q *Queue) Set(key string, at time.Time) {
	if e := q.of[key]; e != nil {
		e.at = at
		heap.Fix(&q.heap, e.index)
		return
	}
	if q.of == nil {
		q.of = map[string]*entry{}
	}
	e := &entry{key: key, at: at}
	q.of[key] = e
	heap.Push(&q.heap, e)
}

// Delete removes a key, if it is there.
func (q *Queue) Delete(key string) {
	if e := q.of[key]; e != nil {
		heap.Remove(&q.heap, e.index)
		delete(q.of, key)
	}
}

// Pop removes the key of the earliest time, if that is not after now.
func (q *Queue) Pop(now time.Time) (key string, ok bool) {
	if len(q.heap) == 0 || q.heap[0].at.After(now) {
		return "", false
	}
	e := heap.Pop(&q.heap).(*entry)
	delete(q.of, e.key)
	return e.key, true
}

// Due returns the keys whose time is not after now, the earliest first, and at most
// limit of them. They stay.
func (q *Queue) Due(now time.Time, limit int) []string {
	var due []*entry
	for len(due) < limit && len(q.heap) > 0 && !q.heap[0].at.After(now) {
		due = append(due, heap.Pop(&q.heap).(*entry))
	}
	keys := make([]string, len(due))
	for i, e := range due {
		keys[i] = e.key
		heap.Push(&q.heap, e)
	}
	return keys
}

// Len is the number of keys.
func (q *Queue) Len() int { return len(q.heap) }

// entries implement heap.Interface.
type entries []*entry

func (h entries) Len() int           { return len(h) }
func (h entries) Less(i, k int) bool { return h[i].at.Before(h[k].at) }
func (h entries) Swap(i, k int) {
	h[i], h[k] = h[k], h[i]
	h[i].index, h[k].index = i, k
}

func (h *entries) Push(e any) {
	e.(*entry).index = len(*h)
	*h = append(*h, e.(*entry))
}

func (h *entries) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return e
}
