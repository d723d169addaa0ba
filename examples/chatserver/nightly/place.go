package nightly

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"github.com/mangaassist/bedrockkit/examples/chatserver/catalog"
)

// S3API is what a [Place] in S3 calls of an *s3.Client.
type S3API interface {
	GetObject(context.Context, *s3.GetObjectInput, ...func(*s3.Options)) (*s3.GetObjectOutput, error)
	PutObject(context.Context, *s3.PutObjectInput, ...func(*s3.Options)) (*s3.PutObjectOutput, error)
}

// A Place is where an enrichment is kept: a file, or an object in S3.
type Place struct {
	file        string
	bucket, key string
	api         S3API
}

// InS3 reports whether a text names a place in S3: "s3:BUCKET/KEY". Any other text is
// the path of a file.
func InS3(text string) bool { return strings.HasPrefix(text, "s3:") }

// NewPlace returns the place that a text names. The client is needed for one in S3
// only.
func NewPlace(text string, api S3API) (Place, error) {
	if !InS3(text) {
		return Place{file: text}, nil
	}
	bucket, key, ok := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(text, "s3:"), "//"), "/")
	if !ok || bucket == "" || key == "" {
		return Place{}, fmt.Errorf("the enrichment is %q; it is a file, or s3:BUCKET/KEY", text)
	}
	return Place{bucket: bucket, key: key, api: api}, nil
}

// Load reads the enrichment and returns a tag of what it has read. It is nil if it
// still is what the tag stands for, or if there is none yet.
func (p Place) Load(ctx context.Context, tag string) (*catalog.Enrichment, string, error) {
	if p.api == nil {
		return p.loadFile(tag)
	}
	in := &s3.GetObjectInput{Bucket: &p.bucket, Key: &p.key}
	if tag != "" {
		in.IfNoneMatch = &tag
	}
	out, err := p.api.GetObject(ctx, in)
	var failed smithy.APIError
	if errors.As(err, &failed) && (failed.ErrorCode() == "NoSuchKey" || failed.ErrorCode() == "NotModified") {
		return nil, tag, nil
	}
	if err != nil {
		return nil, tag, err
	}
	defer out.Body.Close()
	if e := aws.ToString(out.ETag); tag != "" && e == tag {
		return nil, tag, nil
	}
	enrichment, err := catalog.ReadEnrichment(out.Body)
	return enrichment, aws.ToString(out.ETag), err
}

func (p Place) loadFile(tag string) (*catalog.Enrichment, string, error) {
	f, err := os.Open(p.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, tag, nil
	}
	if err != nil {
		return nil, tag, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, tag, err
	}
	now := fmt.Sprint(info.ModTime().UnixNano(), "/", info.Size())
	if now == tag {
		return nil, tag, nil
	}
	enrichment, err := catalog.ReadEnrichment(f)
	return enrichment, now, err
}

// Save writes an enrichment in the place of the one before. A reader sees one or the
// other.
func (p Place) Save(ctx context.Context, e *catalog.Enrichment) error {
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if p.api != nil {
		_, err := p.api.PutObject(ctx, &s3.PutObjectInput{Bucket: &p.bucket, Key: &p.key, Body: bytes.NewReader(data), ContentType: aws.String("application/json")})
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(p.file), ".enrichment-*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) // if it is still there
	_, err = temp.Write(data)
	err = errors.Join(err, temp.Chmod(0o644)) // the server may be another user
	if err = errors.Join(err, temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), p.file)
}
