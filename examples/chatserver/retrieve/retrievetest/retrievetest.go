package retrievetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mangaassist/bedrockkit/examples/chatserver/retrieve"
)

// Dimensions is the length of the vectors that the suite uses.
const Dimensions = 3

// Options are those of [Run]. The zero value of a field means its default.
type Options struct {
	// Settle waits until what was written is found. The default does not wait.
	Settle func()

	// Tolerance is how far a score may be from the cosine. The default is 0.001.
	Tolerance float64
}

// Run runs the checks as subtests, each with a store of its own from open, which
// must be empty and take vectors of [Dimensions].
func Run(t *testing.T, open func(t *testing.T) retrieve.Store, optFns ...func(*Options)) {
	t.Helper()
	var o Options
	for _, fn := range optFns {
		fn(&o)
	}
	if o.Settle == nil {
		o.Settle = func() {}
	}
	if o.Tolerance <= 0 {
		o.Tolerance = 0.001
	}
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			if err := c.fn(&suite{t.Context(), open(t), o}); err != nil {
				t.Error(err)
			}
		})
	}
}

// A check returns what is wrong with a store.
type check struct {
	name string
	fn   func(*suite) error
}

var checks = []check{
	{"empty", checkEmpty},
	{"nearest first", checkNearest},
	{"score", checkScore},
	{"ties", checkTies},
	{"filter", checkFilter},
	{"replace", checkReplace},
	{"delete", checkDelete},
	{"odd texts", checkOdd},
	{"copies", checkCopies},
	{"invalid", checkInvalid},
	{"many", checkMany},
	{"concurrency", checkConcurrency},
	{"context", checkContext},
}

type suite struct {
	ctx     context.Context
	store   retrieve.Store
	options Options
}

func (s *suite) put(entries ...retrieve.Entry) error {
	if err := s.store.Put(s.ctx, entries); err != nil {
		return fmt.Errorf("putting: %w", err)
	}
	s.options.Settle()
	return nil
}

func (s *suite) delete(ids ...string) error {
	if err := s.store.Delete(s.ctx, ids...); err != nil {
		return fmt.Errorf("deleting: %w", err)
	}
	s.options.Settle()
	return nil
}

// want searches and compares the ids that are found.
func (s *suite) want(what string, q retrieve.Query, ids ...string) ([]retrieve.Match, error) {
	found, err := s.store.Search(s.ctx, q)
	if err != nil {
		return nil, fmt.Errorf("%s: Search: %w", what, err)
	}
	var got []string
	for _, m := range found {
		got = append(got, m.ID)
	}
	if !slices.Equal(got, ids) {
		return nil, fmt.Errorf("%s: found %q, not %q", what, got, ids)
	}
	return found, nil
}

func entry(id string, v retrieve.Vector, fields map[string][]string) retrieve.Entry {
	return retrieve.Entry{Document: retrieve.Document{ID: id, Text: "text of " + id, Fields: fields}, Vector: v}
}

var (
	east  = retrieve.Vector{1, 0, 0}
	west  = retrieve.Vector{-1, 0, 0}
	north = retrieve.Vector{0, 1, 0}
	ne    = retrieve.Vector{1, 1, 0}
)

func checkEmpty(s *suite) error {
	if _, err := s.want("an empty store", retrieve.Query{Vector: east, K: 5}); err != nil {
		return err
	}
	return errors.Join(s.put(), s.delete(), s.delete("nothing"))
}

func checkNearest(s *suite) error {
	fields := map[string][]string{"genre": {"horror", "action"}, "year_1": {"1986"}}
	if err := s.put(entry("west", west, nil), entry("north", north, nil), entry("ne", ne, fields), entry("east", east, nil)); err != nil {
		return err
	}
	found, err := s.want("all", retrieve.Query{Vector: east, K: 100}, "east", "ne", "north", "west")
	if err != nil {
		return err
	}
	if d := found[1].Document; d.Text != "text of ne" || !reflect.DeepEqual(d.Fields, fields) {
		return fmt.Errorf("the document is %+v", d)
	}
	_, err = s.want("the best two", retrieve.Query{Vector: east, K: 2}, "east", "ne")
	return err
}

func checkScore(s *suite) error {
	long := retrieve.Vector{20, 20, 0} // the length of a vector says nothing
	if err := s.put(entry("west", west, nil), entry("north", north, nil), entry("ne", long, nil), entry("east", east, nil)); err != nil {
		return err
	}
	found, err := s.want("all", retrieve.Query{Vector: retrieve.Vector{0.5, 0, 0}, K: 4}, "east", "ne", "north", "west")
	if err != nil {
		return err
	}
	for i, cosine := range []float64{1, math.Sqrt2 / 2, 0, -1} {
		if got := found[i].Score; !(math.Abs(got-cosine) <= s.options.Tolerance) || got > 1 || got < -1 {
			return fmt.Errorf("the score of %s is %v, the cosine %v", found[i].ID, got, cosine)
		}
	}
	return nil
}

func checkTies(s *suite) error {
	if err := s.put(entry("c", east, nil), entry("a", east, nil), entry("b", east, nil)); err != nil {
		return err
	}
	_, err := s.want("equal documents", retrieve.Query{Vector: ne, K: 3}, "a", "b", "c")
	return err
}

func checkFilter(s *suite) error {
	is := func(pairs ...string) map[string][]string {
		fields := map[string][]string{}
		for i := 0; i < len(pairs); i += 2 {
			fields[pairs[i]] = append(fields[pairs[i]], pairs[i+1])
		}
		return fields
	}
	err := s.put(
		entry("plain", east, nil),
		entry("horror", ne, is("genre", "horror", "status", "finished")),
		entry("both", north, is("genre", "horror", "genre", "action", "status", "ongoing")),
		entry("action", west, is("genre", "action", "status", "finished")),
	)
	if err != nil {
		return err
	}
	for _, tt := range []struct {
		what   string
		k      int
		filter map[string][]string
		ids    []string
	}{
		{"one value", 9, is("genre", "horror"), []string{"horror", "both"}},
		{"one value of several", 9, is("genre", "action"), []string{"both", "action"}},
		{"any of two values", 9, is("genre", "action", "genre", "horror"), []string{"horror", "both", "action"}},
		{"both of two fields", 9, is("genre", "action", "status", "finished"), []string{"action"}},
		{"the filter goes before K", 1, is("genre", "action", "status", "finished"), []string{"action"}},
		{"a value that nothing has", 9, is("genre", "sports"), nil},
		{"part of a value", 9, is("genre", "horr"), nil},
		{"another case", 9, is("genre", "Horror"), nil},
		{"a field that nothing has", 9, is("magazine", "horror"), nil},
		{"no filter", 9, is(), []string{"plain", "horror", "both", "action"}},
	} {
		if _, err := s.want(tt.what, retrieve.Query{Vector: east, K: tt.k, Filter: tt.filter}, tt.ids...); err != nil {
			return err
		}
	}
	return nil
}

func checkReplace(s *suite) error {
	if err := s.put(entry("a", west, map[string][]string{"genre": {"horror"}, "status": {"finished"}}), entry("b", north, nil)); err != nil {
		return err
	}
	again := entry("a", east, map[string][]string{"genre": {"action"}})
	again.Text = "another text"
	if err := s.put(again); err != nil {
		return err
	}
	found, err := s.want("after a document was replaced", retrieve.Query{Vector: east, K: 9}, "a", "b")
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(found[0].Document, again.Document) {
		return fmt.Errorf("the document is %+v", found[0].Document)
	}
	_, err = s.want("by the old field", retrieve.Query{Vector: east, K: 9, Filter: map[string][]string{"status": {"finished"}}})
	return err
}

func checkDelete(s *suite) error {
	if err := s.put(entry("a", east, nil), entry("b", ne, nil), entry("c", north, nil)); err != nil {
		return err
	}
	if err := s.delete("a", "nothing", "c", "a"); err != nil {
		return err
	}
	if _, err := s.want("after a deletion", retrieve.Query{Vector: east, K: 9}, "b"); err != nil {
		return err
	}
	if err := s.put(entry("a", east, nil)); err != nil {
		return err
	}
	_, err := s.want("after it came back", retrieve.Query{Vector: east, K: 9}, "a", "b")
	return err
}

func checkOdd(s *suite) error {
	odd := "進撃 \"quoted\"\n{\"index\":{}}\n\\ <b>&amp;</b> \u2028 🗡️ /?#%2F"
	d := retrieve.Document{ID: odd, Text: odd, Fields: map[string][]string{"genre": {odd, "$in"}}}
	if err := s.put(retrieve.Entry{Document: d, Vector: east}, entry("other", east, nil)); err != nil {
		return err
	}
	found, err := s.want("an odd value", retrieve.Query{Vector: east, K: 9, Filter: map[string][]string{"genre": {odd}}}, odd)
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(found[0].Document, d) {
		return fmt.Errorf("the document is %+v", found[0].Document)
	}
	if err := s.delete(odd); err != nil {
		return err
	}
	_, err = s.want("after it was deleted", retrieve.Query{Vector: east, K: 9}, "other")
	return err
}

func checkCopies(s *suite) error {
	e := entry("a", retrieve.Vector{1, 0, 0}, map[string][]string{"genre": {"horror"}})
	if err := s.put(e); err != nil {
		return err
	}
	q := retrieve.Query{Vector: east, K: 1, Filter: map[string][]string{"genre": {"horror"}}}
	spoil := func(fields map[string][]string) {
		fields["genre"][0] = "changed"
		fields["more"] = []string{"x"}
	}
	spoil(e.Fields)
	e.Vector[0], e.Vector[1] = 0, 1
	found, err := s.want("after the caller changed what was put", q, "a")
	if err != nil {
		return err
	}
	spoil(found[0].Fields)
	if found, err = s.want("after the caller changed what was found", q, "a"); err != nil {
		return err
	}
	if found[0].Score < 0.9 || len(found[0].Fields) != 1 {
		return fmt.Errorf("the caller's changes are in the store: %+v", found[0])
	}
	return nil
}

func checkInvalid(s *suite) error {
	good := entry("good", east, nil)
	with := func(change func(*retrieve.Entry)) []retrieve.Entry {
		e := entry("bad", east, nil)
		change(&e)
		return []retrieve.Entry{good, e}
	}
	fields := func(name string, values ...string) []retrieve.Entry {
		return with(func(e *retrieve.Entry) { e.Fields = map[string][]string{name: values} })
	}
	nan := float32(math.NaN())
	for what, entries := range map[string][]retrieve.Entry{
		"an empty id":             with(func(e *retrieve.Entry) { e.ID = "" }),
		"a long id":               with(func(e *retrieve.Entry) { e.ID = strings.Repeat("x", retrieve.MaxID+1) }),
		"an id twice":             with(func(e *retrieve.Entry) { e.ID = "good" }),
		"an id that is not UTF-8": with(func(e *retrieve.Entry) { e.ID = "\xff" }),
		"a blank text":            with(func(e *retrieve.Entry) { e.Text = " \n" }),
		"a long text":             with(func(e *retrieve.Entry) { e.Text = strings.Repeat("x", retrieve.MaxText+1) }),
		"no vector":               with(func(e *retrieve.Entry) { e.Vector = nil }),
		"a vector of zeros":       with(func(e *retrieve.Entry) { e.Vector = retrieve.Vector{0, 0, 0} }),
		"a vector with NaN":       with(func(e *retrieve.Entry) { e.Vector = retrieve.Vector{1, nan, 0} }),
		"a vector of another length": with(func(e *retrieve.Entry) {
			e.Vector = retrieve.Vector{1, 0}
		}),
		"a field named text":    fields("text", "x"),
		"a field in capitals":   fields("Genre", "x"),
		"a field with a dot":    fields("a.b", "x"),
		"a field without value": fields("genre"),
		"an empty value":        fields("genre", ""),
		"a large field":         fields("genre", strings.Repeat("x", retrieve.MaxFields)),
	} {
		if err := s.store.Put(s.ctx, entries); !errors.Is(err, retrieve.ErrInvalid) {
			return fmt.Errorf("a Put of %s returned %v; it must be ErrInvalid", what, err)
		}
	}
	s.options.Settle()
	if _, err := s.want("after Puts that were refused", retrieve.Query{Vector: east, K: 9}); err != nil {
		return err
	}
	for what, q := range map[string]retrieve.Query{
		"K of 0":                  {Vector: east},
		"a large K":               {Vector: east, K: retrieve.MaxK + 1},
		"no vector":               {K: 1},
		"a filter without values": {Vector: east, K: 1, Filter: map[string][]string{"genre": nil}},
		"a filter on text":        {Vector: east, K: 1, Filter: map[string][]string{"text": {"x"}}},
	} {
		if _, err := s.store.Search(s.ctx, q); !errors.Is(err, retrieve.ErrInvalid) {
			return fmt.Errorf("a Search with %s returned %v; it must be ErrInvalid", what, err)
		}
	}
	if err := s.store.Delete(s.ctx, "a", ""); !errors.Is(err, retrieve.ErrInvalid) {
		return fmt.Errorf("a Delete of an empty id returned %v; it must be ErrInvalid", err)
	}
	if err := s.put(good); err != nil {
		return err
	}
	// A service knows the length by itself, so the error is of any kind.
	if _, err := s.store.Search(s.ctx, retrieve.Query{Vector: retrieve.Vector{1, 0}, K: 1}); err == nil {
		return errors.New("a Search with a vector of another length returned no error")
	}
	if err := s.store.Put(s.ctx, []retrieve.Entry{entry("short", retrieve.Vector{1, 0}, nil)}); err == nil {
		return errors.New("a Put of a vector of another length returned no error")
	}
	return nil
}

func checkMany(s *suite) error {
	const n = 1201 // more than a service takes at once
	var entries []retrieve.Entry
	var ids []string
	for i := range n {
		id := fmt.Sprintf("%04d", i)
		ids = append(ids, id)
		entries = append(entries, entry(id, retrieve.Vector{1, float32(i), 0}, nil))
	}
	if err := s.put(entries...); err != nil {
		return err
	}
	if _, err := s.want("the best of many", retrieve.Query{Vector: east, K: 3}, "0000", "0001", "0002"); err != nil {
		return err
	}
	if err := s.delete(ids[1:]...); err != nil {
		return err
	}
	_, err := s.want("what is left", retrieve.Query{Vector: east, K: 100}, "0000")
	return err
}

func checkConcurrency(s *suite) error {
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() {
			id := fmt.Sprint(i)
			for range 5 {
				_, searched := s.store.Search(s.ctx, retrieve.Query{Vector: ne, K: 3})
				errs[i] = errors.Join(errs[i], s.store.Put(s.ctx, []retrieve.Entry{entry(id, east, nil)}), searched)
				s.options.Settle()
				if i%2 == 1 {
					errs[i] = errors.Join(errs[i], s.store.Delete(s.ctx, id))
					s.options.Settle()
				}
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	_, err := s.want("after all of them", retrieve.Query{Vector: east, K: 9}, "0", "2", "4", "6")
	return err
}

func checkContext(s *suite) error {
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	_, searched := s.store.Search(ctx, retrieve.Query{Vector: east, K: 1})
	for what, err := range map[string]error{
		"Put":    s.store.Put(ctx, []retrieve.Entry{entry("a", east, nil)}),
		"Delete": s.store.Delete(ctx, "a"),
		"Search": searched,
	} {
		if !errors.Is(err, context.Canceled) {
			return fmt.Errorf("%s with a context that has ended returned %v", what, err)
		}
	}
	return nil
}
