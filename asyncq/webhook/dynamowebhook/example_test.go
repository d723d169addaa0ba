package dynamowebhook_test

import (
	"context"
	"log"
	"os"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/mangaassist/bedrockkit/asyncq/webhook"
	"github.com/mangaassist/bedrockkit/asyncq/webhook/dynamowebhook"
)

// A process of its own sends what workers have stored with Notify.
func Example() {
	ctx := context.Background()
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		log.Fatal(err)
	}
	store := dynamowebhook.New(dynamodb.NewFromConfig(cfg), "manga-fm-webhooks")
	deliverer, err := webhook.New(store, []string{os.Getenv("WEBHOOK_SECRET")})
	if err != nil {
		log.Fatal(err)
	}
	defer deliverer.Close()
	if err := deliverer.Run(ctx); err != nil {
		log.Println(err)
	}
}
