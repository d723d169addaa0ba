package auth

import "container/list"

// recent holds a value for each of the keys that were seen last, at most so many. It
// is not safe for concurrent use.
type recent[V any] struct {
	most  int
	byKey map[string]*list.Element // of *entry[V]
	order *list.List               // the one seen last is in front
}

type entry[V any] struct {
	key   string
	value V
}

func newRecent[V any](most int) recent[V] {
	return recent[V]{max(1, most), map[string]*list.Element{}, list.New()}
}

// get returns the value of a key, a new one if it was not seen, or not for long.
func (r *recent[V]) get(key string, make func() V) V {
	e, ok := r.byKey[key]
	if !ok {
		if r.order.Len() >= r.most {
			delete(r.byKey, r.order.Remove(r.order.Back()).(*entry[V]).key)
		}
		e = r.order.PushFront(&entry[V]{key, make()})
		r.byKey[key] = e
	}
	r.order.MoveToFront(e)
	return e.Value.(*entry[V]).value
}
