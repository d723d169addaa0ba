package batch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

// location is a place in S3: an object, or a prefix.
type location struct{ bucket, key string }

// parseURI reads s3://bucket/key.
func parseURI(uri string) (location, error) {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(uri, "s3://"), "/")
	if !bucketURI.MatchString(uri) {
		return location{}, fmt.Errorf("batch: %.100q is not as s3://bucket/key", uri)
	}
	return location{bucket, key}, nil
}

func (l location) String() string { return "s3://" + l.bucket + "/" + l.key }

// at is a place below a prefix.
func (l location) at(name string) location {
	if l.key != "" && !strings.HasSuffix(l.key, "/") {
		name = "/" + name
	}
	return location{l.bucket, l.key + name}
}

// partBytes is how much of an upload is held: a part, or a whole small object. It
// is the least that S3 takes as a part, and 10,000 of them are more than a file may
// have.
const partBytes = 5 << 20

// parts are the buffers of uploads that have ended.
var parts = sync.Pool{New: func() any { return new([partBytes]byte) }}

// An upload writes one object. Below partBytes it is one request, otherwise one
// for each part. It is Closed, or Aborted.
type upload struct {
	ctx   context.Context
	api   UploadAPI
	to    location
	owner *string
	buf   []byte // of partBytes, lent by the maker of uploads
	n     int
	id    *string // of a multipart upload
	parts []types.CompletedPart
}

func (u *upload) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 {
		if u.n == len(u.buf) {
			if err := u.part(); err != nil {
				return written, err
			}
		}
		n := copy(u.buf[u.n:], p)
		u.n, written, p = u.n+n, written+n, p[n:]
	}
	return written, nil
}

// part sends what is held as a part.
func (u *upload) part() error {
	if u.id == nil {
		out, err := u.api.CreateMultipartUpload(u.ctx, &s3.CreateMultipartUploadInput{
			Bucket: &u.to.bucket, Key: &u.to.key, ContentType: aws.String(jsonLines), ExpectedBucketOwner: u.owner,
		})
		if err != nil {
			return err
		}
		u.id = out.UploadId
	}
	number := aws.Int32(int32(len(u.parts) + 1))
	out, err := u.api.UploadPart(u.ctx, &s3.UploadPartInput{
		Bucket: &u.to.bucket, Key: &u.to.key, UploadId: u.id, PartNumber: number, ExpectedBucketOwner: u.owner,
		Body: bytes.NewReader(u.buf[:u.n]), ContentLength: aws.Int64(int64(u.n)),
	})
	if err != nil {
		return err
	}
	u.parts, u.n = append(u.parts, types.CompletedPart{
		ETag: out.ETag, PartNumber: number,
		ChecksumCRC32: out.ChecksumCRC32, ChecksumCRC32C: out.ChecksumCRC32C, ChecksumSHA256: out.ChecksumSHA256,
	}), 0
	return nil
}

const jsonLines = "application/jsonl"

// Close completes the object; before that nobody sees it.
func (u *upload) Close() error {
	if u.id == nil {
		_, err := u.api.PutObject(u.ctx, &s3.PutObjectInput{
			Bucket: &u.to.bucket, Key: &u.to.key, ContentType: aws.String(jsonLines), ExpectedBucketOwner: u.owner,
			Body: bytes.NewReader(u.buf[:u.n]), ContentLength: aws.Int64(int64(u.n)),
		})
		return err
	}
	if err := u.part(); err != nil {
		return err
	}
	_, err := u.api.CompleteMultipartUpload(u.ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &u.to.bucket, Key: &u.to.key, UploadId: u.id, ExpectedBucketOwner: u.owner,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: u.parts},
	})
	return err
}

// Abort removes the parts that were sent, also after the context has ended. What
// cannot be removed is left to the bucket's lifecycle rule.
func (u *upload) Abort() {
	if u.id == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(u.ctx), 10*time.Second)
	defer cancel()
	_, _ = u.api.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &u.to.bucket, Key: &u.to.key, UploadId: u.id, ExpectedBucketOwner: u.owner})
}

// rangeBytes is how much of an object one request asks for: what breaks off is
// asked for again from where it broke.
const (
	rangeBytes = 32 << 20
	rangeTries = 4 // without a byte in between
)

// A download reads one object in ranges, one after the other.
type download struct {
	ctx   context.Context
	api   GetObjectAPI
	from  location
	owner *string

	body  io.ReadCloser // of the range that is being read
	at    int64
	end   int64   // of that range
	size  int64   // of the object, once the first answer gave it
	etag  *string // every range is of the same object
	fails int
}

func (d *download) Read(p []byte) (int, error) {
	for {
		if d.body == nil {
			if d.etag != nil && d.at >= d.size {
				return 0, io.EOF
			}
			if err := d.open(); err != nil {
				return 0, err
			}
		}
		n, err := d.body.Read(p)
		if d.at += int64(n); n > 0 {
			d.fails = 0
		}
		if err != nil {
			d.Close()
			if err == io.EOF && d.at < d.end {
				err = io.ErrUnexpectedEOF
			}
			if err != io.EOF {
				if d.fails++; d.fails >= rangeTries || d.ctx.Err() != nil {
					return n, fmt.Errorf("reading %s at %d: %w", d.from, d.at, err)
				}
			}
		}
		if n > 0 {
			return n, nil
		}
	}
}

func (d *download) open() error {
	out, err := d.api.GetObject(d.ctx, &s3.GetObjectInput{
		Bucket: &d.from.bucket, Key: &d.from.key, IfMatch: d.etag, ExpectedBucketOwner: d.owner,
		Range: aws.String(fmt.Sprintf("bytes=%d-%d", d.at, d.at+rangeBytes-1)),
	})
	switch {
	case code(err) == "InvalidRange" && d.at == 0: // an empty object
		d.etag = aws.String("")
		d.size = 0
		d.body = io.NopCloser(strings.NewReader(""))
		return nil
	case err != nil:
		return fmt.Errorf("reading %s: %w", d.from, err)
	}
	d.end = d.at + aws.ToInt64(out.ContentLength)
	d.size = d.end
	if _, total, ok := strings.Cut(aws.ToString(out.ContentRange), "/"); ok {
		if _, err := fmt.Sscan(total, &d.size); err != nil {
			d.size = d.end
		}
	}
	if d.etag = out.ETag; d.etag == nil {
		d.etag = aws.String("")
	}
	d.body = out.Body
	return nil
}

// Close ends the reading.
func (d *download) Close() error {
	if d.body == nil {
		return nil
	}
	err := d.body.Close()
	d.body = nil
	return err
}

// list yields the keys below a prefix and their sizes, in order.
func list(ctx context.Context, api ListObjectsAPI, prefix location, owner *string) iter.Seq2[types.Object, error] {
	return func(yield func(types.Object, error) bool) {
		in := &s3.ListObjectsV2Input{Bucket: &prefix.bucket, Prefix: &prefix.key, ExpectedBucketOwner: owner}
		for {
			out, err := api.ListObjectsV2(ctx, in)
			if err != nil {
				yield(types.Object{}, fmt.Errorf("listing %s: %w", prefix, err))
				return
			}
			for _, object := range out.Contents {
				if !yield(object, nil) {
					return
				}
			}
			if !aws.ToBool(out.IsTruncated) || out.NextContinuationToken == nil {
				return
			}
			in.ContinuationToken = out.NextContinuationToken
		}
	}
}

// code is the code of a service's error, empty if it is none.
func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
