package retrieve_test

import (
	"bytes"
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/examples/chatserver/retrieve"
	"github.com/mangaassist/bedrockkit/examples/chatserver/retrieve/retrievetest"
)

type s3Vector struct {
	Key  string `json:"key"`
	Data struct {
		Float32 []float64 `json:"float32"`
	} `json:"data"`
	Metadata map[string]any `json:"metadata"`
}

// s3VectorsStub stores and searches as the API reference of S3 Vectors says.
type s3VectorsStub struct {
	*serviceStub
	dimension int
	vectors   map[string]s3Vector
}

func newS3VectorsStub(t *testing.T) *s3VectorsStub {
	s := &s3VectorsStub{vectors: map[string]s3Vector{}}
	s.serviceStub = newServiceStub(t, "s3vectors", 20<<20, func(w http.ResponseWriter, r *http.Request, body []byte) {
		assert.Equal(t, "POST", r.Method)
		assert.Equal(t, "application/json", r.Header.Get("Content-Type"))
		var in struct {
			Bucket    string     `json:"vectorBucketName"`
			Index     string     `json:"indexName"`
			DataType  string     `json:"dataType"`
			Dimension int        `json:"dimension"`
			Metric    string     `json:"distanceMetric"`
			Vectors   []s3Vector `json:"vectors"`
			Keys      []string   `json:"keys"`
			Metadata  struct {
				NonFilterable []string `json:"nonFilterableMetadataKeys"`
			} `json:"metadataConfiguration"`
			Query struct {
				Float32 []float64 `json:"float32"`
			} `json:"queryVector"`
			K              int            `json:"topK"`
			Filter         map[string]any `json:"filter"`
			ReturnMetadata bool           `json:"returnMetadata"`
			ReturnDistance bool           `json:"returnDistance"`
		}
		if !strict(t, body, &in) {
			return
		}
		assert.Equal(t, "manga-bucket", in.Bucket)
		assert.Equal(t, "manga", in.Index)
		refuse := func(status int, code string) {
			answer(status, `{"message":"quotes the document"}`, "x-amzn-ErrorType", code+":http://internal.amazon.com/", "x-amzn-RequestId", "req-1")(w, r)
		}
		if r.URL.Path == "/CreateIndex" {
			if s.dimension != 0 {
				refuse(409, "ConflictException")
				return
			}
			assert.Equal(t, []any{"float32", "cosine"}, []any{in.DataType, in.Metric})
			assert.Equal(t, []string{"text"}, in.Metadata.NonFilterable)
			s.dimension = in.Dimension
			answer(200, `{}`)(w, r)
			return
		}
		if s.dimension == 0 {
			refuse(404, "NotFoundException")
			return
		}
		switch r.URL.Path {
		case "/PutVectors":
			assert.Truef(t, len(in.Vectors) >= 1 && len(in.Vectors) <= 500, "%d vectors", len(in.Vectors))
			for _, v := range in.Vectors {
				if len(v.Data.Float32) != s.dimension {
					refuse(400, "ValidationException")
					return
				}
				text, _ := v.Metadata["text"].(string)
				assert.LessOrEqual(t, len(text)+(2<<10), 40<<10)
			}
			for _, v := range in.Vectors {
				s.vectors[v.Key] = v
			}
			answer(200, `{}`)(w, r)
		case "/DeleteVectors":
			assert.Truef(t, len(in.Keys) >= 1 && len(in.Keys) <= 500, "%d keys", len(in.Keys))
			for _, key := range in.Keys {
				delete(s.vectors, key)
			}
			answer(200, `{}`)(w, r)
		case "/QueryVectors":
			if len(in.Query.Float32) != s.dimension || in.K < 1 || in.K > 100 {
				refuse(400, "ValidationException")
				return
			}
			type hit struct {
				Key      string         `json:"key"`
				Distance float64        `json:"distance"`
				Metadata map[string]any `json:"metadata"`
			}
			hits := []hit{}
			for _, v := range s.vectors {
				if in.Filter == nil || s3FilterPasses(t, in.Filter, v.Metadata) {
					hits = append(hits, hit{v.Key, 1 - cosineOf(v.Data.Float32, in.Query.Float32), v.Metadata})
				}
			}
			slices.SortFunc(hits, func(a, b hit) int { return cmp.Compare(a.Distance, b.Distance) })
			hits = hits[:min(len(hits), in.K)]
			assert.True(t, in.ReturnDistance && in.ReturnMetadata)
			answer(200, string(mustJSON(t, map[string]any{"distanceMetric": "cosine", "vectors": hits})))(w, r)
		default:
			assert.Fail(t, "unknown operation", r.URL.Path)
		}
	})
	return s
}

// s3FilterPasses knows $and and $in.
func s3FilterPasses(t *testing.T, filter, metadata map[string]any) bool {
	assert.Len(t, filter, 1)
	for name, raw := range filter {
		if name == "$and" {
			all := raw.([]any)
			assert.NotEmpty(t, all)
			return !slices.ContainsFunc(all, func(one any) bool { return !s3FilterPasses(t, one.(map[string]any), metadata) })
		}
		assert.NotEqual(t, "text", name, "it is not filterable")
		wanted := raw.(map[string]any)["$in"].([]any)
		assert.NotEmpty(t, wanted)
		values, _ := metadata[name].([]any)
		return slices.ContainsFunc(values, func(v any) bool { return slices.Contains(wanted, v) })
	}
	return false
}

func openS3Vectors(t *testing.T, s *s3VectorsStub) *retrieve.S3Vectors {
	t.Helper()
	store, err := retrieve.NewS3Vectors(testConfig(), "manga-bucket", "manga", func(o *retrieve.S3VectorsOptions) {
		o.Endpoint, o.Retryer = s.URL, impatient{retry.NewStandard()}
	})
	require.NoError(t, err)
	return store
}

func TestS3Vectors(t *testing.T) {
	retrievetest.Run(t, func(t *testing.T) retrieve.Store {
		store := openS3Vectors(t, newS3VectorsStub(t))
		require.NoError(t, store.Create(t.Context(), retrievetest.Dimensions))
		return store
	})
}

// The requests are those of the API reference, byte for byte.
func TestS3VectorsRequests(t *testing.T) {
	stub := newS3VectorsStub(t)
	store := openS3Vectors(t, stub)
	require.NoError(t, store.Create(t.Context(), 2))
	assert.Equal(t, `POST /CreateIndex {"vectorBucketName":"manga-bucket","indexName":"manga","dataType":"float32","dimension":2,"distanceMetric":"cosine","metadataConfiguration":{"nonFilterableMetadataKeys":["text"]}}`, stub.last())
	require.NoError(t, store.Create(t.Context(), 2), "it is there already")

	entry := retrieve.Entry{Document: retrieve.Document{ID: "MNG-1", Text: "Titans", Fields: map[string][]string{"genre": {"action"}}}, Vector: retrieve.Vector{0, 2}}
	require.NoError(t, store.Put(t.Context(), []retrieve.Entry{entry}))
	assert.Equal(t, `POST /PutVectors {"vectorBucketName":"manga-bucket","indexName":"manga","vectors":[{"key":"MNG-1","data":{"float32":[0,1]},"metadata":{"genre":["action"],"text":"Titans"}}]}`, stub.last())

	_, err := store.Search(t.Context(), retrieve.Query{Vector: retrieve.Vector{3, 0}, K: 4, Filter: map[string][]string{"status": {"finished"}, "genre": {"action", "horror"}}})
	require.NoError(t, err)
	assert.Equal(t, `POST /QueryVectors {"vectorBucketName":"manga-bucket","indexName":"manga","queryVector":{"float32":[1,0]},"topK":4,"filter":{"$and":[{"genre":{"$in":["action","horror"]}},{"status":{"$in":["finished"]}}]},"returnMetadata":true,"returnDistance":true}`, stub.last())

	require.NoError(t, store.Delete(t.Context(), "MNG-1"))
	assert.Equal(t, `POST /DeleteVectors {"vectorBucketName":"manga-bucket","indexName":"manga","keys":["MNG-1"]}`, stub.last())
}

// Large documents are sent in requests that the service takes.
func TestS3VectorsLargeDocuments(t *testing.T) {
	stub := newS3VectorsStub(t)
	store := openS3Vectors(t, stub)
	require.NoError(t, store.Create(t.Context(), 1024))
	var entries []retrieve.Entry
	for i := range 700 {
		vector := make(retrieve.Vector, 1024)
		for j := range vector {
			vector[j] = 1 / float32(i+j+3)
		}
		entries = append(entries, retrieve.Entry{
			Document: retrieve.Document{ID: string(rune('a'+i%26)) + strings.Repeat("x", i/26), Text: strings.Repeat("<", retrieve.MaxText)}, Vector: vector,
		})
	}
	require.NoError(t, store.Put(t.Context(), entries)) // the stub checks the sizes
	assert.Len(t, stub.vectors, 700)
}

func TestServiceError(t *testing.T) {
	stub := newS3VectorsStub(t)
	store := openS3Vectors(t, stub)
	q := retrieve.Query{Vector: retrieve.Vector{1}, K: 1}

	_, err := store.Search(t.Context(), q)
	var service *retrieve.ServiceError
	require.ErrorAs(t, err, &service)
	assert.Equal(t, retrieve.ServiceError{Operation: "QueryVectors", Status: 404, Code: "NotFoundException", Message: "quotes the document", RequestID: "req-1"}, *service)
	assert.Equal(t, "retrieve: QueryVectors: HTTP 404 NotFoundException (request req-1)", err.Error(), "without the message")
	assert.Len(t, stub.requests, 1, "it is not tried again")

	require.NoError(t, store.Create(t.Context(), 1))
	for _, status := range []int{429, 500, 503} {
		stub.fail = []http.HandlerFunc{answer(status, `not JSON`), answer(status, ``)}
		before := len(stub.requests)
		_, err = store.Search(t.Context(), q)
		assert.NoError(t, err, status)
		assert.Len(t, stub.requests, before+3, "it is tried again after %d", status)
	}
	stub.fail = slices.Repeat([]http.HandlerFunc{answer(503, ``)}, 9)
	_, err = store.Search(t.Context(), q)
	require.ErrorAs(t, err, &service)
	assert.Equal(t, 503, service.Status)
	assert.Len(t, stub.fail, 6, "three attempts")

	stub.fail = []http.HandlerFunc{answer(403, `{"message":"no"}`, "x-amzn-ErrorType", "AccessDeniedException")}
	_, err = store.Search(t.Context(), q)
	assert.EqualError(t, err, "retrieve: QueryVectors: HTTP 403 AccessDeniedException; check the IAM policy of the caller")

	stub.fail = []http.HandlerFunc{answer(307, ``, "Location", stub.URL+"/elsewhere")}
	_, err = store.Search(t.Context(), q)
	require.ErrorAs(t, err, &service)
	assert.Equal(t, 307, service.Status, "a redirect is not followed")

	for _, body := range []string{``, `[]`, `{"vectors":[{"key":1}]}`, `{"vectors":[{"key":"a"}]}`, `{"vectors":[{"key":"a","distance":1,"metadata":{"text":{}}}]}`, `{"vectors":[{"key":"a","distance":1,"metadata":{"genre":[1]}}]}`,
		`{"vectors":[],"distanceMetric":"euclidean"}`} {
		stub.fail = []http.HandlerFunc{answer(200, body)}
		_, err = store.Search(t.Context(), q)
		assert.Error(t, err, body)
	}
	stub.fail = []http.HandlerFunc{func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(bytes.Repeat([]byte(" "), 17<<20))
	}}
	_, err = store.Search(t.Context(), q)
	assert.ErrorContains(t, err, "more than 16777216 bytes")
}

func TestNewS3VectorsRefuses(t *testing.T) {
	good := testConfig()
	noRegion, noCredentials := good, good
	noRegion.Region, noCredentials.Credentials = "", nil
	endpoint := func(s string) func(*retrieve.S3VectorsOptions) {
		return func(o *retrieve.S3VectorsOptions) { o.Endpoint = s }
	}
	none := func(*retrieve.S3VectorsOptions) {}
	_, err := retrieve.NewS3Vectors(good, "bucket", "index")
	assert.NoError(t, err)
	for _, err := range []error{
		second(retrieve.NewS3Vectors(good, "b", "index", none)),
		second(retrieve.NewS3Vectors(good, "bucket", "in/dex", none)),
		second(retrieve.NewS3Vectors(noRegion, "bucket", "index", none)),
		second(retrieve.NewS3Vectors(noCredentials, "bucket", "index", none)),
		second(retrieve.NewS3Vectors(good, "bucket", "index", endpoint("http://s3vectors.example"))),
		second(retrieve.NewS3Vectors(good, "bucket", "index", endpoint("https://user@s3vectors.example"))),
		second(retrieve.NewS3Vectors(good, "bucket", "index", endpoint("s3vectors.example"))),
	} {
		assert.True(t, errors.Is(err, retrieve.ErrInvalid), "%v", err)
	}
}

func second[T any](_ T, err error) error { return err }
