// Package connections is what the functions of the WebSocket API share: who is
// connected, and how to reach them.
package connections

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/mangaassist/bedrockkit/examples/chatserver/socket/dynamoconnections"
)

// Open returns the management API at MANGA_CONNECTIONS_URL, such as
// https://abc123.execute-api.us-east-1.amazonaws.com/prod, and the table
// MANGA_CONNECTIONS_TABLE.
func Open(ctx context.Context, getenv func(string) string) (*apigatewaymanagementapi.Client, *dynamoconnections.Store, error) {
	url, table := getenv("MANGA_CONNECTIONS_URL"), getenv("MANGA_CONNECTIONS_TABLE")
	if url == "" || table == "" {
		return nil, nil, errors.New("MANGA_CONNECTIONS_URL and MANGA_CONNECTIONS_TABLE must be set: the https URL of the WebSocket API's stage, and a table in DynamoDB")
	}
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the AWS configuration: %w", err)
	}
	api := apigatewaymanagementapi.NewFromConfig(cfg, func(o *apigatewaymanagementapi.Options) { o.BaseEndpoint = &url })
	return api, dynamoconnections.New(dynamodb.NewFromConfig(cfg), table), nil
}
