package s3blobs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"github.com/mangaassist/bedrockkit/asyncq"
)

// API is what a [Store] calls of an *s3.Client.
type API interface {
	GetObject(context.Context, *s3.GetObjectInput, ...func(*s3.Options)) (*s3.GetObjectOutput, error)
	PutObject(context.Context, *s3.PutObjectInput, ...func(*s3.Options)) (*s3.PutObjectOutput, error)
	DeleteObject(context.Context, *s3.DeleteObjectInput, ...func(*s3.Options)) (*s3.DeleteObjectOutput, error)
}

// Options are the options of [New]. The zero value of a field means its default.
type Options struct {
	// Prefix comes before each key, such as "results/". There is none by
	// default.
	Prefix string

	// ContentType is that of the objects. The default is application/json,
	// which results and payloads are.
	ContentType string

	// MaxBytes bounds what is stored and what is read. The default is 64 MiB.
	MaxBytes int64
}

// Store is an [asyncq.BlobStore] in S3. It is safe for concurrent use.
type Store struct {
	api    API
	bucket string
	o      Options
}

var _ asyncq.BlobStore = (*Store)(nil)

// New returns a store in a bucket.
func New(api API, bucket string, optFns ...func(*Options)) *Store {
	var o Options
	for _, fn := range optFns {
		fn(&o)
	}
	if o.ContentType == "" {
		o.ContentType = "application/json"
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 64 << 20
	}
	return &Store{api: api, bucket: bucket, o: o}
}

// object is the key of an object. A segment that is . or .. would be taken for a
// path by what stands between here and S3.
func (s *Store) object(key string) *string {
	segments := strings.Split(strings.ReplaceAll(key, "%", "%25"), "/")
	for i, segment := range segments {
		if segment == "." || segment == ".." {
			segments[i] = strings.ReplaceAll(segment, ".", "%2E")
		}
	}
	return aws.String(s.o.Prefix + strings.Join(segments, "/"))
}

// Put implements [asyncq.BlobStore]. Where the answer of S3 was lost and the SDK
// has sent the request again, the error is ErrExists as well.
func (s *Store) Put(ctx context.Context, key string, data []byte) error {
	if int64(len(data)) > s.o.MaxBytes {
		return fail("storing", key, fmt.Errorf("%d bytes are more than %d", len(data), s.o.MaxBytes))
	}
	for wait := 50 * time.Millisecond; ; wait *= 2 {
		_, err := s.api.PutObject(ctx, &s3.PutObjectInput{
			Bucket: &s.bucket, Key: s.object(key), Body: bytes.NewReader(data), ContentLength: aws.Int64(int64(len(data))),
			ContentType: &s.o.ContentType, IfNoneMatch: aws.String("*"),
		})
		switch code(err) {
		case "PreconditionFailed":
			err = asyncq.ErrExists
		case "ConditionalRequestConflict":
			// Another writes this object now, and has not ended; S3 asks for
			// another attempt. There are seven, in 3 s to 6 s.
			if wait <= maxConflictWait && pause(ctx, wait+rand.N(wait)) {
				continue
			}
		}
		return fail("storing", key, err)
	}
}

// maxConflictWait bounds the wait between two attempts.
const maxConflictWait = 1600 * time.Millisecond

// pause waits, and reports whether ctx has not ended meanwhile.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Get implements [asyncq.BlobStore].
func (s *Store) Get(ctx context.Context, key string) ([]byte, error) {
	out, err := s.api.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: s.object(key)})
	if err != nil {
		if c := code(err); c == "NoSuchKey" || c == "NotFound" {
			err = asyncq.ErrNotFound
		}
		return nil, fail("reading", key, err)
	}
	defer out.Body.Close()
	data, err := io.ReadAll(io.LimitReader(out.Body, s.o.MaxBytes+1))
	if err == nil && int64(len(data)) > s.o.MaxBytes {
		err = fmt.Errorf("the object has more than %d bytes", s.o.MaxBytes)
	}
	if err != nil {
		return nil, fail("reading", key, err)
	}
	return data, nil
}

// Delete implements [asyncq.BlobStore].
func (s *Store) Delete(ctx context.Context, key string) error {
	_, err := s.api.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.bucket, Key: s.object(key)})
	return fail("deleting", key, err)
}

// code is the error code of the service.
func code(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return ""
}

func fail(what, key string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("s3blobs: %s %s: %w", what, key, err)
}
