package retrieve

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"regexp"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// A Generation is one of the two kinds of collections that OpenSearch Serverless
// has.
type Generation int

// The generations.
const (
	NextGen Generation = iota // since May 2026: a document keeps its own id
	Classic                   // the service makes the ids
)

// OpenSearchOptions are those of [NewOpenSearch]. The zero value of a field means
// its default.
type OpenSearchOptions struct {
	ConnOptions

	// Generation is that of the collection. The default is NextGen.
	Generation Generation
}

// OpenSearch is a [Store] in an index of a vector collection of Amazon OpenSearch
// Serverless. Vectors are compared approximately. What was written is found
// after about 10 seconds, in a Classic collection after about a minute; until
// then a Classic collection also does not see that a document was there, so put
// or delete a document again only after that time.
//
// The caller needs aoss:APIAccessAll, and a data access policy with
// aoss:CreateIndex, ReadDocument and WriteDocument. Source:
// "Working with vector search collections", Amazon OpenSearch Service Developer
// Guide.
type OpenSearch struct {
	conn       *conn
	index      string
	generation Generation
}

const (
	openSearchService = "aoss"

	// The bounds of one bulk request. They are our own: the service advises
	// small ones.
	bulkDocuments = 500
	bulkBytes     = 5 << 20
)

var openSearchName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,127}$`)

// NewOpenSearch returns a store in an index of the collection at an endpoint,
// such as https://abc.us-east-1.aoss.amazonaws.com. It sends nothing.
func NewOpenSearch(cfg aws.Config, endpoint, index string, optFns ...func(*OpenSearchOptions)) (*OpenSearch, error) {
	var o OpenSearchOptions
	for _, fn := range optFns {
		fn(&o)
	}
	if !openSearchName.MatchString(index) {
		return nil, invalid("the index is %.80q; a name has up to 128 lower-case letters, digits, hyphens and underscores", index)
	}
	if o.Generation != NextGen && o.Generation != Classic {
		return nil, invalid("Generation is %d; it is NextGen or Classic", o.Generation)
	}
	c, err := newConn(cfg, openSearchService, endpoint, o.ConnOptions)
	if err != nil {
		return nil, err
	}
	return &OpenSearch{c, index, o.Generation}, nil
}

// Create makes the index, for vectors of a length of 1 to 4,096. One that is
// there already is left as it is.
func (s *OpenSearch) Create(ctx context.Context, dimensions int) error {
	if dimensions < 1 || dimensions > maxDimensions {
		return invalid("dimensions is %d; it must be 1 to %d", dimensions, maxDimensions)
	}
	vector := map[string]any{"type": "knn_vector", "dimension": dimensions}
	if s.generation == NextGen {
		vector["space_type"] = "cosinesimil"
	} else {
		// The default engine cannot filter. Of vectors of the length 1 the
		// nearest by l2 are the nearest by cosine.
		vector["method"] = map[string]any{"name": "hnsw", "engine": "faiss", "space_type": "l2"}
	}
	keyword := map[string]any{"type": "keyword"}
	body, err := plainJSON(map[string]any{
		"settings": map[string]any{"index.knn": true},
		"mappings": map[string]any{
			"properties": map[string]any{"id": keyword, "text": map[string]any{"type": "text"}, "vector": vector},
			"dynamic_templates": []any{map[string]any{"fields": map[string]any{
				"path_match": "fields.*", "match_mapping_type": "string", "mapping": keyword,
			}}},
		},
	})
	if err != nil {
		return fmt.Errorf("retrieve: %w", err)
	}
	err = s.conn.do(ctx, "PUT", "/"+s.index, "application/json", body, nil)
	if hasCode(err, "resource_already_exists_exception") {
		return nil
	}
	return err
}

// stored is a document as the index has it.
type stored struct {
	ID     string              `json:"id"`
	Text   string              `json:"text"`
	Fields map[string][]string `json:"fields,omitempty"`
	Vector Vector              `json:"vector,omitempty"`
}

// Put implements [Store]. An error about some of the entries is a [*BulkError].
func (s *OpenSearch) Put(ctx context.Context, entries []Entry) error {
	entries, err := CheckEntries(entries)
	if err != nil {
		return err
	}
	for some := range slices.Chunk(entries, bulkDocuments) {
		ids := make([]string, len(some))
		for i, e := range some {
			ids[i] = e.ID
		}
		old, err := s.find(ctx, ids)
		if err != nil {
			return err
		}
		var lines [][]byte
		for _, e := range some {
			line, err := plainJSON(stored{e.ID, e.Text, e.Fields, e.Vector})
			if err != nil {
				return fmt.Errorf("retrieve: %w", err)
			}
			action := []byte(`{"index":{}}`)
			if s.generation == NextGen {
				if action, err = plainJSON(map[string]any{"index": map[string]any{"_id": e.ID}}); err != nil {
					return fmt.Errorf("retrieve: %w", err)
				}
			}
			lines = append(lines, slices.Concat(action, []byte{'\n'}, line, []byte{'\n'}))
		}
		// The old ones go when the new ones are there, so that a failure loses none.
		if err := s.bulk(ctx, lines); err != nil {
			return err
		}
		if err := s.remove(ctx, old); err != nil {
			return err
		}
	}
	return nil
}

// find returns the ids that the service gave to documents. In a NextGen
// collection they are the documents' own, so there is nothing to look for.
func (s *OpenSearch) find(ctx context.Context, ids []string) ([]string, error) {
	if s.generation == NextGen || len(ids) == 0 {
		return nil, nil
	}
	answer, err := s.search(ctx, map[string]any{
		"size": 10_000, "_source": false,
		"query": map[string]any{"terms": map[string]any{"id": ids}},
	})
	if err != nil {
		return nil, err
	}
	var found []string
	for _, hit := range answer.Hits.Hits {
		found = append(found, hit.ID)
	}
	return found, nil
}

// remove deletes by the service's ids.
func (s *OpenSearch) remove(ctx context.Context, ids []string) error {
	var lines [][]byte
	for _, id := range ids {
		line, err := plainJSON(map[string]any{"delete": map[string]any{"_id": id}})
		if err != nil {
			return fmt.Errorf("retrieve: %w", err)
		}
		lines = append(lines, append(line, '\n'))
	}
	return s.bulk(ctx, lines)
}

type bulkError struct {
	Type   string `json:"type"`
	Reason string `json:"reason"`
}

// A BulkError says that parts of a bulk request failed while others may have been
// done. Calling Put or Delete again with the same input does no harm.
type BulkError struct {
	Failed int
	Of     int
	First  *ServiceError // of the first that failed
}

func (e *BulkError) Error() string {
	return fmt.Sprintf("%d of %d parts failed, the first with: %v", e.Failed, e.Of, e.First)
}

// Unwrap returns First.
func (e *BulkError) Unwrap() error { return e.First }

func (s *OpenSearch) bulk(ctx context.Context, lines [][]byte) error {
	path := "/" + s.index + "/_bulk"
	for _, some := range chunk(lines, bulkDocuments, bulkBytes) {
		var answer struct {
			Items []map[string]struct {
				Status int       `json:"status"`
				Error  bulkError `json:"error"`
			} `json:"items"`
		}
		if err := s.conn.do(ctx, "POST", path, "application/x-ndjson", bytes.Join(some, nil), &answer); err != nil {
			return err
		}
		if len(answer.Items) != len(some) {
			return fmt.Errorf("retrieve: POST %s: the response has %d results for %d parts", path, len(answer.Items), len(some))
		}
		failed := &BulkError{Of: len(some)}
		for _, item := range answer.Items {
			for action, result := range item {
				if result.Status < 300 || action == "delete" && result.Status == 404 {
					continue
				}
				failed.Failed++
				if failed.First != nil {
					continue
				}
				failed.First = &ServiceError{
					Operation: "POST " + path, Status: result.Status, Code: printable(result.Error.Type),
					Message: clip(result.Error.Reason),
				}
				if action == "index" && s.generation == NextGen && result.Status == 400 {
					failed.First.Hint = "if the collection takes no ids of documents, set Generation to Classic"
				}
			}
		}
		if failed.First != nil {
			return failed
		}
	}
	return nil
}

type searchAnswer struct {
	Hits struct {
		Hits []struct {
			ID     string  `json:"_id"`
			Score  float64 `json:"_score"`
			Source stored  `json:"_source"`
		} `json:"hits"`
	} `json:"hits"`
}

func (s *OpenSearch) search(ctx context.Context, query map[string]any) (answer searchAnswer, err error) {
	body, err := plainJSON(query)
	if err != nil {
		return answer, fmt.Errorf("retrieve: %w", err)
	}
	err = s.conn.do(ctx, "POST", "/"+s.index+"/_search", "application/json", body, &answer)
	return answer, err
}

// Search implements [Store]. In a Classic collection it returns fewer than K
// documents if one was put twice within the minute that the service needs.
func (s *OpenSearch) Search(ctx context.Context, q Query) ([]Match, error) {
	q, err := CheckQuery(q)
	if err != nil {
		return nil, err
	}
	knn := map[string]any{"vector": q.Vector, "k": q.K}
	var filters []any
	for name, values := range sorted(q.Filter) {
		filters = append(filters, map[string]any{"terms": map[string]any{"fields." + name: values}})
	}
	if filters != nil {
		knn["filter"] = map[string]any{"bool": map[string]any{"filter": filters}}
	}
	answer, err := s.search(ctx, map[string]any{
		"size": q.K, "_source": map[string]any{"excludes": []string{"vector"}},
		"query": map[string]any{"knn": map[string]any{"vector": knn}},
	})
	if err != nil {
		return nil, err
	}
	var found []Match
	for _, hit := range answer.Hits.Hits {
		d := hit.Source
		found = append(found, Match{Document{d.ID, d.Text, d.Fields}, s.cosine(hit.Score)})
	}
	found = nearest(found, q.K)
	seen := map[string]bool{}
	return slices.DeleteFunc(found, func(m Match) bool {
		twice := seen[m.ID]
		seen[m.ID] = true
		return twice
	}), nil
}

// cosine is the cosine that the service made its score of: (1+cosine)/2 for
// cosinesimil and 1/(1+d²) for l2, where d² is 2-2·cosine. Source: "Spaces",
// OpenSearch documentation of k-NN.
func (s *OpenSearch) cosine(score float64) float64 {
	if s.generation == NextGen {
		return clampCosine(2*score - 1)
	}
	if score <= 0 {
		return -1
	}
	return clampCosine(1 - (1/score-1)/2)
}

// Delete implements [Store].
func (s *OpenSearch) Delete(ctx context.Context, ids ...string) error {
	if err := CheckIDs(ids); err != nil {
		return err
	}
	for some := range slices.Chunk(ids, bulkDocuments) {
		if s.generation == Classic {
			var err error
			if some, err = s.find(ctx, some); err != nil {
				return err
			}
		}
		if err := s.remove(ctx, some); err != nil {
			return err
		}
	}
	return nil
}

// sorted yields a map by its keys, so that a request is always the same bytes.
func sorted(m map[string][]string) iter.Seq2[string, []string] {
	return func(yield func(string, []string) bool) {
		for _, name := range slices.Sorted(maps.Keys(m)) {
			if !yield(name, m[name]) {
				return
			}
		}
	}
}

// plainJSON is JSON without escapes for HTML and without a line end.
func plainJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}
