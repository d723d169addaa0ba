package shop

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"

	"github.com/mangaassist/bedrockkit/examples/chatserver/catalog"
)

// Shop sells the manga of a catalogue. It keeps no state, so any number of
// goroutines may use it.
type Shop struct {
	books    *catalog.Catalog
	products Products
	options  Options
}

// Options are those of [New]. The zero value of a field means its default.
type Options struct {
	// Products are the prices and the stock. The default is [Invented].
	Products Products

	// ByMeaning returns the ids of at most limit manga whose descriptions mean
	// something near to some words, the nearest first; demographic and genre are
	// filters, empty for none. It is asked if the catalogue's own search finds
	// nothing. It returns none if it fails. The default is not to ask.
	ByMeaning func(ctx context.Context, words string, demographic catalog.Demographic, genre catalog.Genre, limit int) []string
}

// New returns a shop that sells the manga of the catalogue.
func New(books *catalog.Catalog, optFns ...func(*Options)) *Shop {
	s := &Shop{books: books}
	for _, fn := range optFns {
		fn(&s.options)
	}
	if s.products = s.options.Products; s.products == nil {
		s.products = Invented(books)
	}
	return s
}

// What an [*InputError] is.
var (
	ErrInvalidInput = errors.New("invalid input") // the call has to be changed
	ErrNotFound     = errors.New("not found")     // the call is well formed, but the shop has no such thing
)

// InputError says what is wrong with a call. It is found with errors.As, and
// wraps [ErrInvalidInput] or [ErrNotFound].
type InputError struct {
	Field string // of the input, by its JSON name
	Err   error  // ErrInvalidInput or ErrNotFound
	Msg   string // what is wrong and what would be right
}

func (e *InputError) Error() string { return e.Field + ": " + e.Msg }
func (e *InputError) Unwrap() error { return e.Err }

// ModelText makes the text one that the model reads, so that it can fix its
// call.
func (e *InputError) ModelText() string { return e.Error() }

func invalid(field, format string, args ...any) error {
	return &InputError{Field: field, Err: ErrInvalidInput, Msg: fmt.Sprintf(format, args...)}
}

func notFound(field, format string, args ...any) error {
	return &InputError{Field: field, Err: ErrNotFound, Msg: fmt.Sprintf(format, args...)}
}

// clip bounds what an error repeats of an input.
func clip(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return s
}

// invent returns a number that is always the same for the same key.
func invent(key string, args ...any) uint32 {
	h := fnv.New32a()
	fmt.Fprint(h, key)
	fmt.Fprint(h, args...)
	return h.Sum32()
}

// yenPerDollar is the shop's own rate.
const yenPerDollar = 150

// dollars returns an amount in yen as dollars and cents.
func dollars(yen int) string {
	cents := (yen*100 + yenPerDollar/2) / yenPerDollar
	return fmt.Sprintf("%d.%02d", cents/100, cents%100)
}
