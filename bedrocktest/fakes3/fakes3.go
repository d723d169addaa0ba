// Package fakes3 is an S3 for tests of batch inference: gofakes3, in memory or over
// the files of a folder.
//
//	store, err := fakes3.Memory("manga-batch")
//	…
//	srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) {
//		o.Responder, o.Batch.Store = bedrocktest.Echo, store
//	})
//	client := batch.New(bedrock.NewFromConfig(srv.Config()), store.Client())
//
// It is a package of its own, so that [bedrocktest] needs no S3.
package fakes3

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3afero"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/mangaassist/bedrockkit/bedrocktest"
)

// A Store is an S3. It is a [bedrocktest.ObjectStore], and serves the same objects
// over HTTP. It is safe for concurrent use.
type Store struct {
	backend gofakes3.Backend
	handler http.Handler
}

var _ bedrocktest.ObjectStore = (*Store)(nil)

// Memory returns an S3 in memory that has these buckets.
func Memory(buckets ...string) (*Store, error) { return with(s3mem.New(), buckets) }

// Folder returns an S3 over the files of a folder, which exists. The buckets that
// are not there yet are made.
func Folder(dir string, buckets ...string) (*Store, error) {
	fs, err := s3afero.FsPath(dir, 0)
	if err != nil {
		return nil, fmt.Errorf("fakes3: %w", err)
	}
	backend, err := s3afero.MultiBucket(fs)
	if err != nil {
		return nil, fmt.Errorf("fakes3: %w", err)
	}
	return with(backend, buckets)
}

func with(backend gofakes3.Backend, buckets []string) (*Store, error) {
	for _, name := range buckets {
		if there, err := backend.BucketExists(name); err == nil && there {
			continue
		}
		if err := backend.CreateBucket(name); err != nil {
			return nil, fmt.Errorf("fakes3: %s: %w", name, err)
		}
	}
	return &Store{backend: backend, handler: gofakes3.New(backend, gofakes3.WithLogger(gofakes3.DiscardLog())).Server()}, nil
}

// ServeHTTP serves the API of S3, buckets in the path.
func (s *Store) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Client returns a client of the store that needs no socket, so it works inside of
// a testing/synctest bubble. Each request runs in the goroutine of its caller.
func (s *Store) Client(optFns ...func(*s3.Options)) *s3.Client {
	return s3.New(s3.Options{
		Region: "us-east-1", BaseEndpoint: aws.String("http://s3.test"), UsePathStyle: true,
		HTTPClient: &http.Client{Transport: direct{s.handler}},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "no-secret-at-all"}, nil
		}),
	}, optFns...)
}

// direct is a transport that calls a handler.
type direct struct{ handler http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	if r.Body == nil {
		r.Body = http.NoBody
	}
	defer r.Body.Close()
	r.Header.Set("Content-Length", strconv.FormatInt(r.ContentLength, 10)) // as net/http would
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, r)
	response := w.Result()
	response.Request = r
	return response, nil
}

// List implements [bedrocktest.ObjectStore].
func (s *Store) List(_ context.Context, bucket, prefix string) ([]bedrocktest.StoredObject, error) {
	found, err := s.backend.ListBucket(bucket, &gofakes3.Prefix{HasPrefix: prefix != "", Prefix: prefix}, gofakes3.ListBucketPage{})
	if err != nil {
		return nil, err
	}
	var objects []bedrocktest.StoredObject
	for _, o := range found.Contents {
		objects = append(objects, bedrocktest.StoredObject{Key: o.Key, Size: o.Size})
	}
	slices.SortFunc(objects, func(a, b bedrocktest.StoredObject) int { return strings.Compare(a.Key, b.Key) })
	return objects, nil
}

// Open implements [bedrocktest.ObjectStore].
func (s *Store) Open(_ context.Context, bucket, key string) (io.ReadCloser, error) {
	o, err := s.backend.GetObject(bucket, key, nil)
	if err != nil {
		return nil, err
	}
	return o.Contents, nil
}

// Create implements [bedrocktest.ObjectStore]. The object is held in memory until
// it is closed.
func (s *Store) Create(_ context.Context, bucket, key string) (io.WriteCloser, error) {
	return &object{s: s, bucket: bucket, key: key}, nil
}

type object struct {
	bytes.Buffer
	s           *Store
	bucket, key string
}

func (o *object) Close() error {
	_, err := o.s.backend.PutObject(o.bucket, o.key, map[string]string{}, &o.Buffer, int64(o.Len()), nil)
	return err
}
