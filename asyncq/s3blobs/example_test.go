package s3blobs_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http/httptest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/mangaassist/bedrockkit/asyncq"
	"github.com/mangaassist/bedrockkit/asyncq/s3blobs"
)

func Example() {
	backend := s3mem.New()
	if err := backend.CreateBucket("manga-batch-results"); err != nil {
		log.Fatal(err)
	}
	srv := httptest.NewServer(gofakes3.New(backend, gofakes3.WithLogger(gofakes3.DiscardLog())).Server())
	defer srv.Close()
	cfg := aws.Config{ // config.LoadDefaultConfig(ctx)
		Region: "us-east-1", BaseEndpoint: &srv.URL, HTTPClient: srv.Client(),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
		}),
	}

	ctx := context.Background()
	results := s3blobs.New(s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true }), "manga-batch-results", func(o *s3blobs.Options) {
		o.Prefix = "fm/"
	})
	fmt.Println(results.Put(ctx, "job-1", []byte(`"the first result"`)))
	err := results.Put(ctx, "job-1", []byte(`"another one"`))
	fmt.Println(errors.Is(err, asyncq.ErrExists))
	stored, err := results.Get(ctx, "job-1")
	fmt.Println(string(stored), err)
	// Output:
	// <nil>
	// true
	// "the first result" <nil>
}
