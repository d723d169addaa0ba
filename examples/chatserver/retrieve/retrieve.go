package retrieve

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"regexp"
	"strings"
	"unicode/utf8"
)

// A Document is something that can be found by its meaning.
type Document struct {
	ID     string              // 1 to 256 bytes; a document with the same id replaces it
	Text   string              // what is embedded, up to 20,000 bytes
	Fields map[string][]string // what a [Query] filters by; see [Store]
}

// A Vector is what a model makes of a text. Vectors of one [Store] come from one
// model and have one length.
type Vector []float32

// An Entry is a document with the vector of its text.
type Entry struct {
	Document
	Vector Vector
}

// A Query asks for the documents that are nearest to a vector.
type Query struct {
	Vector Vector
	K      int                 // the most documents to return, 1 to 100
	Filter map[string][]string // each field must have one of its values; empty filters nothing
}

// A Match is a document that was found.
type Match struct {
	Document
	Score float64 // the cosine of the two vectors, -1 to 1; 1 is the same meaning
}

// A Store keeps documents by their vectors. Its methods are safe for concurrent
// use. They return an error that wraps [ErrInvalid] if their input is wrong, and
// then change nothing. Package retrievetest checks an implementation.
//
// The name of a field has 1 to 63 lower-case letters, digits and underscores,
// begins with a letter and is not "text". The fields of a document hold at most
// 2,000 bytes, names included. A field has a value, and no value is empty.
type Store interface {
	// Put adds entries. It may have added some when it fails.
	Put(ctx context.Context, entries []Entry) error

	// Search returns the nearest documents that pass the filter: the nearest
	// first, then by id. It returns none if none passes.
	Search(ctx context.Context, q Query) ([]Match, error)

	// Delete removes documents. An id that is not there is not an error.
	Delete(ctx context.Context, ids ...string) error
}

// ErrInvalid is an input that no store takes. The error says which part is wrong.
var ErrInvalid = errors.New("retrieve: invalid input")

// The bounds of documents and queries. They are the narrowest of the stores:
// 2 KB of filterable metadata, 40 KB of metadata and 100 results a page are the
// limits of S3 Vectors.
const (
	MaxID     = 256    // bytes
	MaxText   = 20_000 // bytes
	MaxFields = 2_000  // bytes of a document's fields
	MaxK      = 100
)

var fieldName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}

func checkID(where, id string) error {
	switch {
	case id == "":
		return invalid("%s is empty", where)
	case len(id) > MaxID:
		return invalid("%s has %d bytes; at most %d are allowed", where, len(id), MaxID)
	case !utf8.ValidString(id):
		return invalid("%s is not UTF-8", where)
	}
	return nil
}

// CheckIDs returns what is wrong with the ids of a Delete: an error that wraps
// [ErrInvalid]. It is for stores.
func CheckIDs(ids []string) error {
	for i, id := range ids {
		if err := checkID(fmt.Sprintf("ids[%d]", i), id); err != nil {
			return err
		}
	}
	return nil
}

func checkFields(where string, fields map[string][]string) error {
	size := 0
	for name, values := range fields {
		if !fieldName.MatchString(name) || name == "text" {
			return invalid("%s has the name %.80q; a name is a letter, then up to 62 of a-z, 0-9 and _, and not text", where, name)
		}
		if len(values) == 0 {
			return invalid("%s.%s has no value; leave the field out", where, name)
		}
		size += len(name)
		for _, value := range values {
			if value == "" || !utf8.ValidString(value) {
				return invalid("%s.%s has a value that is empty or not UTF-8", where, name)
			}
			size += len(value)
		}
	}
	if size > MaxFields {
		return invalid("%s has %d bytes; at most %d are allowed", where, size, MaxFields)
	}
	return nil
}

// checkDocuments returns what is wrong with documents. Two with one id are an
// error: which of them stays would be chance.
func checkDocuments(documents iter.Seq2[int, Document]) error {
	seen := map[string]int{}
	for i, d := range documents {
		where := fmt.Sprintf("documents[%d]", i)
		if err := checkID(where+".ID", d.ID); err != nil {
			return err
		}
		if first, twice := seen[d.ID]; twice {
			return invalid("%s.ID is that of documents[%d] too", where, first)
		}
		seen[d.ID] = i
		switch {
		case strings.TrimSpace(d.Text) == "" || !utf8.ValidString(d.Text):
			return invalid("%s.Text is blank or not UTF-8", where)
		case len(d.Text) > MaxText:
			return invalid("%s.Text has %d bytes; at most %d are allowed: split the document", where, len(d.Text), MaxText)
		}
		if err := checkFields(where+".Fields", d.Fields); err != nil {
			return err
		}
	}
	return nil
}

// CheckEntries checks the entries of a Put and returns copies with vectors of the
// length 1. Its error wraps [ErrInvalid]. It is for stores.
func CheckEntries(entries []Entry) ([]Entry, error) {
	err := checkDocuments(func(yield func(int, Document) bool) {
		for i, e := range entries {
			if !yield(i, e.Document) {
				return
			}
		}
	})
	if err != nil {
		return nil, err
	}
	out := make([]Entry, len(entries))
	for i, e := range entries {
		if len(e.Vector) != len(entries[0].Vector) {
			return nil, invalid("documents[%d].Vector has %d dimensions and documents[0].Vector %d; they must be of one model", i, len(e.Vector), len(entries[0].Vector))
		}
		unit, err := normalize(fmt.Sprintf("documents[%d].Vector", i), e.Vector)
		if err != nil {
			return nil, err
		}
		out[i] = Entry{e.Document, unit}
	}
	return out, nil
}

// CheckQuery checks a query and returns it with a vector of the length 1. Its error
// wraps [ErrInvalid]. It is for stores.
func CheckQuery(q Query) (Query, error) {
	if q.K < 1 || q.K > MaxK {
		return q, invalid("K is %d; it must be 1 to %d", q.K, MaxK)
	}
	if err := checkFields("Filter", q.Filter); err != nil {
		return q, err
	}
	unit, err := normalize("Vector", q.Vector)
	q.Vector = unit
	return q, err
}

// maxDimensions is the limit of S3 Vectors.
const maxDimensions = 4096

func normalize(where string, v Vector) (Vector, error) {
	if len(v) == 0 || len(v) > maxDimensions {
		return nil, invalid("%s has %d dimensions; it must have 1 to %d", where, len(v), maxDimensions)
	}
	var sum float64
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	if sum == 0 || math.IsNaN(sum) || math.IsInf(sum, 0) {
		return nil, invalid("%s has no direction: it is all zeros or holds a value that is not a number", where)
	}
	out, length := make(Vector, len(v)), math.Sqrt(sum)
	for i, x := range v {
		out[i] = float32(float64(x) / length)
	}
	return out, nil
}
