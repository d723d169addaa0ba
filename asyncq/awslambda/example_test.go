package awslambda_test

import (
	"context"
	"log"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/mangaassist/bedrockkit/asyncq"
	"github.com/mangaassist/bedrockkit/asyncq/awslambda"
	"github.com/mangaassist/bedrockkit/asyncq/dynamostatus"
	"github.com/mangaassist/bedrockkit/asyncq/s3blobs"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/converse"
)

// The main function of a Lambda function that asks a model.
func Example() {
	cfg, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	chat := converse.New(bedrockx.NewFromConfig(cfg, bedrockx.Lambda), func(o *converse.Options) {
		o.Model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
	})
	lambda.Start(awslambda.New(sqs.NewFromConfig(cfg), asyncq.Infer(chat), func(o *awslambda.Options) {
		o.DeadLetter = "analyses-dead"
		o.Status = dynamostatus.New(dynamodb.NewFromConfig(cfg), "manga-fm-request-status")
		o.Results = s3blobs.New(s3.NewFromConfig(cfg), "manga-batch-results")
	}))
}
