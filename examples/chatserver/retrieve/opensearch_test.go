package retrieve_test

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/examples/chatserver/retrieve"
	"github.com/mangaassist/bedrockkit/examples/chatserver/retrieve/retrievetest"
)

type osDocument struct {
	ID     string              `json:"id"`
	Text   string              `json:"text"`
	Fields map[string][]string `json:"fields,omitempty"`
	Vector []float64           `json:"vector,omitempty"`
}

// openSearchStub is an index of a vector collection as the documentation of
// OpenSearch Serverless says. It finds what was written after refresh.
type openSearchStub struct {
	*serviceStub
	t          *testing.T
	generation retrieve.Generation
	dimension  int
	written    map[string]osDocument // by _id
	visible    map[string]osDocument
	lag        bool // what is written is not visible before refresh
	next       int
}

func (s *openSearchStub) refresh() {
	s.visible = map[string]osDocument{}
	for id, d := range s.written {
		s.visible[id] = d
	}
}

func newOpenSearchStub(t *testing.T, generation retrieve.Generation) *openSearchStub {
	s := &openSearchStub{t: t, generation: generation, written: map[string]osDocument{}}
	s.serviceStub = newServiceStub(t, "aoss", 10<<20, func(w http.ResponseWriter, r *http.Request, body []byte) {
		switch r.Method + " " + r.URL.Path {
		case "PUT /manga":
			s.create(w, r, body)
		case "POST /manga/_bulk":
			assert.Equal(t, "application/x-ndjson", r.Header.Get("Content-Type"))
			s.bulk(w, r, body)
		case "POST /manga/_search":
			s.search(w, r, body)
		default:
			assert.Fail(t, "unknown operation", r.URL.Path)
		}
	})
	return s
}

func (s *openSearchStub) create(w http.ResponseWriter, r *http.Request, body []byte) {
	type keyword struct {
		Type string `json:"type"`
	}
	var in struct {
		Settings struct {
			KNN bool `json:"index.knn"`
		} `json:"settings"`
		Mappings struct {
			Properties struct {
				ID     keyword `json:"id"`
				Text   keyword `json:"text"`
				Vector struct {
					Type      string `json:"type"`
					Dimension int    `json:"dimension"`
					Space     string `json:"space_type"`
					Method    *struct {
						Name   string `json:"name"`
						Engine string `json:"engine"`
						Space  string `json:"space_type"`
					} `json:"method"`
				} `json:"vector"`
			} `json:"properties"`
			Templates []map[string]struct {
				Path    string  `json:"path_match"`
				Type    string  `json:"match_mapping_type"`
				Mapping keyword `json:"mapping"`
			} `json:"dynamic_templates"`
		} `json:"mappings"`
	}
	if !strict(s.t, body, &in) {
		return
	}
	if s.dimension != 0 {
		answer(400, `{"error":{"root_cause":[],"type":"resource_already_exists_exception","reason":"index [manga/x] already exists"},"status":400}`)(w, r)
		return
	}
	p := in.Mappings.Properties
	assert.True(s.t, in.Settings.KNN)
	assert.Equal(s.t, []string{"keyword", "text", "knn_vector"}, []string{p.ID.Type, p.Text.Type, p.Vector.Type})
	assert.Equal(s.t, "keyword", in.Mappings.Templates[0]["fields"].Mapping.Type)
	assert.Equal(s.t, "fields.*", in.Mappings.Templates[0]["fields"].Path)
	if s.generation == retrieve.NextGen {
		assert.Nil(s.t, p.Vector.Method, "the next generation chooses the engine")
		assert.Equal(s.t, "cosinesimil", p.Vector.Space)
	} else if assert.NotNil(s.t, p.Vector.Method) {
		assert.Equal(s.t, "hnsw faiss l2", p.Vector.Method.Name+" "+p.Vector.Method.Engine+" "+p.Vector.Method.Space)
	}
	s.dimension = p.Vector.Dimension
	answer(200, `{"acknowledged":true,"shards_acknowledged":true,"index":"manga"}`)(w, r)
}

func (s *openSearchStub) bulk(w http.ResponseWriter, r *http.Request, body []byte) {
	assert.True(s.t, bytes.HasSuffix(body, []byte("\n")))
	lines := bufio.NewScanner(bytes.NewReader(body))
	lines.Buffer(nil, len(body)+1)
	items, failed := []any{}, false
	result := func(action, id string, status int, kind string) {
		item := map[string]any{"_index": "manga", "_id": id, "status": status}
		if status >= 300 && kind != "" {
			item["error"] = map[string]any{"type": kind, "reason": "quotes the document"}
			failed = true
		}
		items = append(items, map[string]any{action: item})
	}
	for lines.Scan() {
		var action struct {
			Index *struct {
				ID string `json:"_id"`
			} `json:"index"`
			Delete *struct {
				ID string `json:"_id"`
			} `json:"delete"`
		}
		if !strict(s.t, lines.Bytes(), &action) {
			return
		}
		if action.Delete != nil {
			status := 404
			if _, there := s.written[action.Delete.ID]; there {
				status = 200
			}
			delete(s.written, action.Delete.ID)
			result("delete", action.Delete.ID, status, "")
			continue
		}
		require.True(s.t, lines.Scan())
		var d osDocument
		if !strict(s.t, lines.Bytes(), &d) {
			return
		}
		id := action.Index.ID
		switch {
		case s.generation == retrieve.Classic && id != "":
			result("index", id, 400, "illegal_argument_exception")
			continue
		case len(d.Vector) != s.dimension:
			result("index", id, 400, "mapper_parsing_exception")
			continue
		case s.generation == retrieve.Classic:
			s.next++
			id = fmt.Sprintf("1%%3A0%%3A%d", s.next)
		}
		assert.NotEmpty(s.t, id)
		s.written[id] = d
		result("index", id, 201, "")
	}
	if !s.lag {
		s.refresh()
	}
	answer(200, string(mustJSON(s.t, map[string]any{"took": 1, "errors": failed, "items": items})))(w, r)
}

func (s *openSearchStub) search(w http.ResponseWriter, r *http.Request, body []byte) {
	type terms map[string][]string
	var in struct {
		Size   int             `json:"size"`
		Source json.RawMessage `json:"_source"`
		Query  struct {
			Terms terms `json:"terms"`
			KNN   *struct {
				Vector struct {
					Vector []float64 `json:"vector"`
					K      int       `json:"k"`
					Filter *struct {
						Bool struct {
							Filter []struct {
								Terms terms `json:"terms"`
							} `json:"filter"`
						} `json:"bool"`
					} `json:"filter"`
				} `json:"vector"`
			} `json:"knn"`
		} `json:"query"`
	}
	if !strict(s.t, body, &in) {
		return
	}
	type hit struct {
		ID     string      `json:"_id"`
		Score  float64     `json:"_score"`
		Source *osDocument `json:"_source,omitempty"`
	}
	hits := []hit{}
	if in.Query.KNN == nil {
		assert.Equal(s.t, "false", string(in.Source))
		assert.LessOrEqual(s.t, in.Size, 10_000)
		for id, d := range s.visible {
			if slices.Contains(in.Query.Terms["id"], d.ID) {
				hits = append(hits, hit{ID: id, Score: 1})
			}
		}
	} else {
		knn := in.Query.KNN.Vector
		assert.JSONEq(s.t, `{"excludes":["vector"]}`, string(in.Source))
		assert.Equal(s.t, knn.K, in.Size)
		if len(knn.Vector) != s.dimension {
			answer(400, `{"error":{"type":"search_phase_execution_exception","reason":"Query vector has invalid dimension"},"status":400}`)(w, r)
			return
		}
		for id, d := range s.visible {
			if knn.Filter != nil && slices.ContainsFunc(knn.Filter.Bool.Filter, func(one struct {
				Terms terms `json:"terms"`
			}) bool {
				for name, wanted := range one.Terms {
					if !intersects(d.Fields[name[len("fields."):]], wanted) {
						return true
					}
				}
				return false
			}) {
				continue
			}
			cosine := cosineOf(d.Vector, knn.Vector)
			score := (1 + cosine) / 2
			if s.generation == retrieve.Classic {
				score = 1 / (1 + (2 - 2*cosine)) // l2 of vectors of the length 1
			}
			shown := d
			shown.Vector = nil
			hits = append(hits, hit{id, score, &shown})
		}
		slices.SortFunc(hits, func(a, b hit) int { return cmp.Compare(b.Score, a.Score) })
		hits = hits[:min(len(hits), in.Size)]
	}
	answer(200, string(mustJSON(s.t, map[string]any{"took": 1, "timed_out": false, "hits": map[string]any{"hits": hits}})))(w, r)
}

func openOpenSearch(t *testing.T, s *openSearchStub, generation retrieve.Generation) *retrieve.OpenSearch {
	t.Helper()
	store, err := retrieve.NewOpenSearch(testConfig(), s.URL+"/", "manga", func(o *retrieve.OpenSearchOptions) {
		o.Generation, o.Retryer = generation, impatient{retry.NewStandard()}
	})
	require.NoError(t, err)
	return store
}

var generations = map[string]retrieve.Generation{"NextGen": retrieve.NextGen, "Classic": retrieve.Classic}

func TestOpenSearch(t *testing.T) {
	for name, generation := range generations {
		t.Run(name, func(t *testing.T) {
			retrievetest.Run(t, func(t *testing.T) retrieve.Store {
				store := openOpenSearch(t, newOpenSearchStub(t, generation), generation)
				require.NoError(t, store.Create(t.Context(), retrievetest.Dimensions))
				return store
			})
		})
	}
}

// The requests are those of the documentation, byte for byte.
func TestOpenSearchRequests(t *testing.T) {
	stub := newOpenSearchStub(t, retrieve.NextGen)
	store := openOpenSearch(t, stub, retrieve.NextGen)
	require.NoError(t, store.Create(t.Context(), 2))
	require.NoError(t, store.Create(t.Context(), 2), "it is there already")

	entry := retrieve.Entry{Document: retrieve.Document{ID: "MNG-1", Text: "Titans", Fields: map[string][]string{"genre": {"action"}}}, Vector: retrieve.Vector{0, 2}}
	require.NoError(t, store.Put(t.Context(), []retrieve.Entry{entry}))
	assert.Equal(t, `POST /manga/_bulk {"index":{"_id":"MNG-1"}}`+"\n"+`{"id":"MNG-1","text":"Titans","fields":{"genre":["action"]},"vector":[0,1]}`+"\n", stub.last())

	_, err := store.Search(t.Context(), retrieve.Query{Vector: retrieve.Vector{3, 0}, K: 4, Filter: map[string][]string{"status": {"finished"}, "genre": {"action", "horror"}}})
	require.NoError(t, err)
	assert.Equal(t, `POST /manga/_search {"_source":{"excludes":["vector"]},"query":{"knn":{"vector":{"filter":{"bool":{"filter":[{"terms":{"fields.genre":["action","horror"]}},{"terms":{"fields.status":["finished"]}}]}},"k":4,"vector":[1,0]}}},"size":4}`, stub.last())

	require.NoError(t, store.Delete(t.Context(), "MNG-1"))
	assert.Equal(t, "POST /manga/_bulk {\"delete\":{\"_id\":\"MNG-1\"}}\n", stub.last())
}

// A Classic collection shows a document late. One that is put twice before is
// found once.
func TestClassicBeforeRefresh(t *testing.T) {
	stub := newOpenSearchStub(t, retrieve.Classic)
	store := openOpenSearch(t, stub, retrieve.Classic)
	require.NoError(t, store.Create(t.Context(), 1))
	stub.lag = true
	entries := []retrieve.Entry{{Document: retrieve.Document{ID: "a", Text: "a"}, Vector: retrieve.Vector{1}}}
	require.NoError(t, store.Put(t.Context(), entries))
	require.NoError(t, store.Put(t.Context(), entries))
	require.Len(t, stub.written, 2)
	stub.refresh()
	found, err := store.Search(t.Context(), retrieve.Query{Vector: retrieve.Vector{1}, K: 5})
	require.NoError(t, err)
	assert.Len(t, found, 1)

	require.NoError(t, store.Put(t.Context(), entries))
	assert.Len(t, stub.written, 1, "both old ones are gone")
	stub.refresh()
	require.NoError(t, store.Delete(t.Context(), "a"))
	assert.Empty(t, stub.written)
}

func TestBulkError(t *testing.T) {
	entries := []retrieve.Entry{
		{Document: retrieve.Document{ID: "a", Text: "a"}, Vector: retrieve.Vector{1}},
		{Document: retrieve.Document{ID: "b", Text: "b"}, Vector: retrieve.Vector{1}},
	}
	stub := newOpenSearchStub(t, retrieve.Classic)
	store := openOpenSearch(t, stub, retrieve.NextGen) // which it is not
	err := store.Put(t.Context(), entries)
	var bulk *retrieve.BulkError
	require.ErrorAs(t, err, &bulk)
	assert.Equal(t, 2, bulk.Failed)
	assert.Equal(t, "quotes the document", bulk.First.Message)
	assert.EqualError(t, err, "2 of 2 parts failed, the first with: retrieve: POST /manga/_bulk: HTTP 400 illegal_argument_exception; if the collection takes no ids of documents, set Generation to Classic")
}

// An answer that does not account for each part is not taken for a success.
func TestBulkAnswerIsShort(t *testing.T) {
	stub := newOpenSearchStub(t, retrieve.NextGen)
	store := openOpenSearch(t, stub, retrieve.NextGen)
	stub.fail = []http.HandlerFunc{answer(200, `{}`)}
	assert.EqualError(t, store.Delete(t.Context(), "a"), "retrieve: POST /manga/_bulk: the response has 0 results for 1 parts")
}

func TestOpenSearchForbidden(t *testing.T) {
	stub := newOpenSearchStub(t, retrieve.NextGen)
	store := openOpenSearch(t, stub, retrieve.NextGen)
	stub.fail = []http.HandlerFunc{answer(403, `{"status":403,"error":{"reason":"403 Forbidden","type":"Forbidden"}}`, "X-Request-Id", "req-2")}
	err := store.Create(t.Context(), 3)
	assert.EqualError(t, err, "retrieve: PUT /manga: HTTP 403 Forbidden (request req-2); check the IAM policy of the caller and the data access policy of the collection")

	_, err = retrieve.NewOpenSearch(testConfig(), stub.URL, "../manga")
	assert.ErrorIs(t, err, retrieve.ErrInvalid)
	_, err = retrieve.NewOpenSearch(testConfig(), stub.URL+"/path", "manga")
	assert.ErrorIs(t, err, retrieve.ErrInvalid)
	assert.ErrorIs(t, store.Create(t.Context(), 5000), retrieve.ErrInvalid)
}
