package s3blobs_test

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/asyncq"
	"github.com/mangaassist/bedrockkit/asyncq/queuetest"
	"github.com/mangaassist/bedrockkit/asyncq/s3blobs"
)

const bucket = "manga-batch-results"

// client is that of an S3 that nobody here wrote, with one empty bucket.
func client(t *testing.T) *s3.Client {
	backend := s3mem.New()
	require.NoError(t, backend.CreateBucket(bucket))
	srv := httptest.NewServer(gofakes3.New(backend, gofakes3.WithLogger(gofakes3.DiscardLog())).Server())
	t.Cleanup(srv.Close)
	return s3.NewFromConfig(aws.Config{
		Region: "us-east-1", BaseEndpoint: &srv.URL, HTTPClient: srv.Client(),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
		}),
	}, func(o *s3.Options) { o.UsePathStyle = true })
}

func TestConformance(t *testing.T) {
	queuetest.TestBlobStore(t, func(t *testing.T) asyncq.BlobStore { return s3blobs.New(client(t), bucket) })
}

func TestPrefix(t *testing.T) {
	c := client(t)
	a := s3blobs.New(c, bucket, func(o *s3blobs.Options) { o.Prefix = "a/" })
	b := s3blobs.New(c, bucket, func(o *s3blobs.Options) { o.Prefix = "b/" })
	require.NoError(t, a.Put(t.Context(), "k", []byte(`{}`)))
	_, err := b.Get(t.Context(), "k")
	require.ErrorIs(t, err, asyncq.ErrNotFound)
	out, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("a/k")})
	require.NoError(t, err)
	defer out.Body.Close()
	assert.Equal(t, "application/json", *out.ContentType)
}

func TestMaxBytes(t *testing.T) {
	c := client(t)
	require.NoError(t, s3blobs.New(c, bucket).Put(t.Context(), "a", make([]byte, 11)))
	s := s3blobs.New(c, bucket, func(o *s3blobs.Options) { o.MaxBytes = 10 })
	_, err := s.Get(t.Context(), "a")
	require.ErrorContains(t, err, "more than 10 bytes")
	require.ErrorContains(t, s.Put(t.Context(), "b", make([]byte, 11)), "more than 10")
}

func TestErrors(t *testing.T) {
	s := s3blobs.New(client(t), "no-such-bucket")
	err := s.Put(t.Context(), "a", nil)
	require.ErrorContains(t, err, "s3blobs: storing a: ")
	require.NotErrorIs(t, err, asyncq.ErrExists)
	_, err = s.Get(t.Context(), "a")
	require.ErrorContains(t, err, "s3blobs: reading a: ")
	assert.NotErrorIs(t, err, asyncq.ErrNotFound, "a wrong bucket is not a missing result")
}

// busy says a few times that another writes the object.
type busy struct {
	s3blobs.API
	times, calls int
}

func (b *busy) PutObject(context.Context, *s3.PutObjectInput, ...func(*s3.Options)) (*s3.PutObjectOutput, error) {
	b.calls++
	if b.times--; b.times >= 0 {
		return nil, &smithy.GenericAPIError{Code: "ConditionalRequestConflict", Message: strings.Repeat("x", 3)}
	}
	return &s3.PutObjectOutput{}, nil
}

// Between the attempts there is time for the other to end.
func TestConflict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		require.NoError(t, s3blobs.New(&busy{times: 6}, bucket).Put(t.Context(), "a", []byte("1")))
		took := time.Since(began)
		assert.True(t, took >= 3*time.Second && took < 7*time.Second, took)
		all := &busy{times: 1000}
		require.ErrorContains(t, s3blobs.New(all, bucket).Put(t.Context(), "b", []byte("1")), "ConditionalRequestConflict")
		assert.Equal(t, 7, all.calls)

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began = time.Now()
		require.Error(t, s3blobs.New(&busy{times: 1000}, bucket).Put(ctx, "c", []byte("1")))
		assert.Equal(t, time.Second, time.Since(began))
	})
}
