package fakes3_test

import (
	"io"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrocktest/fakes3"
)

// What a client writes the store reads, and the other way round.
func TestStores(t *testing.T) {
	memory, err := fakes3.Memory("shelf")
	require.NoError(t, err)
	dir := t.TempDir()
	folder, err := fakes3.Folder(dir, "shelf")
	require.NoError(t, err)
	for name, store := range map[string]*fakes3.Store{"memory": memory, "folder": folder} {
		t.Run(name, func(t *testing.T) {
			ctx, client := t.Context(), store.Client()
			_, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String("shelf"), Key: aws.String("in/set/a.jsonl"), Body: strings.NewReader("berserk")})
			require.NoError(t, err)
			r, err := store.Open(ctx, "shelf", "in/set/a.jsonl")
			require.NoError(t, err)
			data, err := io.ReadAll(r)
			require.NoError(t, err)
			assert.Equal(t, "berserk", string(data))
			require.NoError(t, r.Close())

			w, err := store.Create(ctx, "shelf", "out/b.jsonl.out")
			require.NoError(t, err)
			_, err = io.WriteString(w, "0123456789")
			require.NoError(t, err)
			require.NoError(t, w.Close())
			got, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String("shelf"), Key: aws.String("out/b.jsonl.out"), Range: aws.String("bytes=2-4")})
			require.NoError(t, err)
			data, err = io.ReadAll(got.Body)
			require.NoError(t, err)
			assert.Equal(t, "234", string(data))
			assert.Equal(t, "bytes 2-4/10", aws.ToString(got.ContentRange))

			objects, err := store.List(ctx, "shelf", "in/set/")
			require.NoError(t, err)
			assert.Equal(t, []bedrocktest.StoredObject{{Key: "in/set/a.jsonl", Size: 7}}, objects)
			listed, err := client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String("shelf"), Prefix: aws.String("out/")})
			require.NoError(t, err)
			require.Len(t, listed.Contents, 1)
			assert.Equal(t, "out/b.jsonl.out", *listed.Contents[0].Key)

			_, err = client.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String("shelf"), Key: aws.String("in/set/a.jsonl"), Body: strings.NewReader("other"), IfNoneMatch: aws.String("*")})
			assert.ErrorContains(t, err, "PreconditionFailed")
		})
	}
	again, err := fakes3.Folder(dir, "shelf")
	require.NoError(t, err)
	objects, err := again.List(t.Context(), "shelf", "")
	require.NoError(t, err)
	assert.Len(t, objects, 2)
}
