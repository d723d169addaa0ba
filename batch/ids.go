package batch

import "hash/maphash"

// An idSet is a set of record ids with a mark each. It keeps 128 bits of each id,
// so it does not grow with their lengths. That two of 100,000 ids share them has
// a chance of 1 in 10²⁸, and the seeds are drawn anew for each set.
type idSet struct {
	seeds [2]maphash.Seed
	marks map[[2]uint64]mark
}

type mark uint8

const (
	expected mark = iota
	seen
)

func newIDSet() *idSet {
	return &idSet{seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, marks: map[[2]uint64]mark{}}
}

func (s *idSet) key(id string) [2]uint64 {
	return [2]uint64{maphash.String(s.seeds[0], id), maphash.String(s.seeds[1], id)}
}

// add adds an id and reports whether it is new.
func (s *idSet) add(id string) bool {
	k := s.key(id)
	if _, known := s.marks[k]; known {
		return false
	}
	s.marks[k] = expected
	return true
}

func (s *idSet) has(id string) bool {
	if s == nil || len(s.marks) == 0 {
		return false
	}
	_, known := s.marks[s.key(id)]
	return known
}

// see marks an id and returns the mark that it had.
func (s *idSet) see(id string) (before mark, known bool) {
	k := s.key(id)
	if before, known = s.marks[k]; known {
		s.marks[k] = seen
	}
	return before, known
}

func (s *idSet) markOf(id string) (mark, bool) {
	m, known := s.marks[s.key(id)]
	return m, known
}
