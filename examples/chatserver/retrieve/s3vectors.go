package retrieve

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// S3VectorsOptions are those of [NewS3Vectors]. The zero value of a field means
// its default.
type S3VectorsOptions struct {
	ConnOptions

	// Endpoint is where the service is. The default is
	// https://s3vectors.REGION.api.aws.
	Endpoint string
}

// S3Vectors is a [Store] in an index of Amazon S3 Vectors whose metric is cosine.
// It reads its own writes. The caller needs s3vectors:PutVectors, QueryVectors,
// GetVectors (for what is stored beside a vector, and for filters) and
// DeleteVectors. Source: Amazon S3 API Reference, "Amazon S3 Vectors", and
// "Limitations and restrictions", Amazon S3 User Guide.
type S3Vectors struct {
	conn          *conn
	bucket, index string
}

const (
	s3VectorsService = "s3vectors"

	// The bounds of one request: 500 vectors and 20 MiB, less what is around
	// them.
	s3VectorsBatch = 500
	s3VectorsBytes = 16 << 20
)

var s3VectorsName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// NewS3Vectors returns a store in an index of a vector bucket. It sends nothing.
func NewS3Vectors(cfg aws.Config, bucket, index string, optFns ...func(*S3VectorsOptions)) (*S3Vectors, error) {
	var o S3VectorsOptions
	for _, fn := range optFns {
		fn(&o)
	}
	if !s3VectorsName.MatchString(bucket) || !s3VectorsName.MatchString(index) {
		return nil, invalid("the bucket is %.80q and the index %.80q; a name has 3 to 63 lower-case letters, digits, dots and hyphens", bucket, index)
	}
	if o.Endpoint == "" {
		o.Endpoint = "https://s3vectors." + cfg.Region + ".api.aws"
	}
	c, err := newConn(cfg, s3VectorsService, o.Endpoint, o.ConnOptions)
	if err != nil {
		return nil, err
	}
	return &S3Vectors{c, bucket, index}, nil
}

// s3VectorsIndex is in every request.
type s3VectorsIndex struct {
	Bucket string `json:"vectorBucketName"`
	Index  string `json:"indexName"`
}

type s3VectorsData struct {
	Float32 Vector `json:"float32"`
}

func (s *S3Vectors) name() s3VectorsIndex { return s3VectorsIndex{s.bucket, s.index} }

func (s *S3Vectors) post(ctx context.Context, operation string, in, out any) error {
	body, err := plainJSON(in)
	if err != nil {
		return fmt.Errorf("retrieve: %s: %w", operation, err)
	}
	return s.conn.do(ctx, "POST", "/"+operation, "application/json", body, out)
}

// Create makes the index, for vectors of a length of 1 to 4,096. One that is
// there already is left as it is. The bucket must exist.
func (s *S3Vectors) Create(ctx context.Context, dimensions int) error {
	if dimensions < 1 || dimensions > maxDimensions {
		return invalid("dimensions is %d; it must be 1 to %d", dimensions, maxDimensions)
	}
	type metadata struct {
		NonFilterable []string `json:"nonFilterableMetadataKeys"`
	}
	err := s.post(ctx, "CreateIndex", struct {
		s3VectorsIndex
		DataType  string   `json:"dataType"`
		Dimension int      `json:"dimension"`
		Metric    string   `json:"distanceMetric"`
		Metadata  metadata `json:"metadataConfiguration"`
	}{s.name(), "float32", dimensions, "cosine", metadata{[]string{"text"}}}, nil)
	if hasCode(err, "ConflictException") {
		return nil
	}
	return err
}

// Put implements [Store].
func (s *S3Vectors) Put(ctx context.Context, entries []Entry) error {
	entries, err := CheckEntries(entries)
	if err != nil {
		return err
	}
	parts := make([][]byte, len(entries))
	for i, e := range entries {
		metadata := map[string]any{"text": e.Text}
		for name, values := range e.Fields {
			metadata[name] = values
		}
		if parts[i], err = plainJSON(struct {
			Key      string         `json:"key"`
			Data     s3VectorsData  `json:"data"`
			Metadata map[string]any `json:"metadata"`
		}{e.ID, s3VectorsData{e.Vector}, metadata}); err != nil {
			return fmt.Errorf("retrieve: PutVectors: %w", err)
		}
	}
	for _, some := range chunk(parts, s3VectorsBatch, s3VectorsBytes) {
		vectors := slices.Concat([]byte{'['}, bytes.Join(some, []byte{','}), []byte{']'})
		if err := s.post(ctx, "PutVectors", struct {
			s3VectorsIndex
			Vectors json.RawMessage `json:"vectors"`
		}{s.name(), vectors}, nil); err != nil {
			return err
		}
	}
	return nil
}

// Search implements [Store].
func (s *S3Vectors) Search(ctx context.Context, q Query) ([]Match, error) {
	q, err := CheckQuery(q)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Metric  string `json:"distanceMetric"`
		Vectors []struct {
			Key      string                     `json:"key"`
			Distance *float64                   `json:"distance"`
			Metadata map[string]json.RawMessage `json:"metadata"`
		} `json:"vectors"`
	}
	if err := s.post(ctx, "QueryVectors", struct {
		s3VectorsIndex
		Vector   s3VectorsData  `json:"queryVector"`
		K        int            `json:"topK"`
		Filter   map[string]any `json:"filter,omitempty"`
		Metadata bool           `json:"returnMetadata"`
		Distance bool           `json:"returnDistance"`
	}{s.name(), s3VectorsData{q.Vector}, q.K, s3VectorsFilter(q.Filter), true, true}, &answer); err != nil {
		return nil, err
	}
	if answer.Metric != "" && answer.Metric != "cosine" {
		return nil, fmt.Errorf("retrieve: QueryVectors: the metric of the index is %.40q; it must be cosine", answer.Metric)
	}
	var found []Match
	for _, v := range answer.Vectors {
		if v.Distance == nil {
			return nil, errors.New("retrieve: QueryVectors: a vector of the response has no distance")
		}
		m := Match{Document{ID: v.Key}, clampCosine(1 - *v.Distance)}
		if err := m.readMetadata(v.Metadata); err != nil {
			return nil, fmt.Errorf("retrieve: QueryVectors: the metadata of a vector is not what Put writes: %w", err)
		}
		found = append(found, m)
	}
	return nearest(found, q.K), nil
}

// readMetadata reads what Put wrote. A list with one value may come as the value.
func (m *Match) readMetadata(metadata map[string]json.RawMessage) error {
	for name, raw := range metadata {
		if name == "text" {
			if err := json.Unmarshal(raw, &m.Text); err != nil {
				return err
			}
			continue
		}
		var values []string
		if len(raw) > 0 && raw[0] == '[' {
			if err := json.Unmarshal(raw, &values); err != nil {
				return err
			}
		} else {
			values = make([]string, 1)
			if err := json.Unmarshal(raw, &values[0]); err != nil {
				return err
			}
		}
		if m.Fields == nil {
			m.Fields = map[string][]string{}
		}
		m.Fields[name] = values
	}
	return nil
}

// s3VectorsFilter writes a filter in the service's language: $in is true of a
// list if it is of one of its values. Source: "Metadata filtering", Amazon S3
// User Guide.
func s3VectorsFilter(filter map[string][]string) map[string]any {
	var all []any
	for name, values := range sorted(filter) {
		all = append(all, map[string]any{name: map[string]any{"$in": values}})
	}
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0].(map[string]any)
	}
	return map[string]any{"$and": all}
}

// Delete implements [Store].
func (s *S3Vectors) Delete(ctx context.Context, ids ...string) error {
	if err := CheckIDs(ids); err != nil {
		return err
	}
	for keys := range slices.Chunk(ids, s3VectorsBatch) {
		if err := s.post(ctx, "DeleteVectors", struct {
			s3VectorsIndex
			Keys []string `json:"keys"`
		}{s.name(), keys}, nil); err != nil {
			return err
		}
	}
	return nil
}
