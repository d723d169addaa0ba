package memqueue_test

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/mangaassist/bedrockkit/asyncq/memqueue"
)

func Example() {
	ctx := context.Background()
	queues := memqueue.New()
	created, err := queues.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("manga-fm-normal")})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = queues.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: created.QueueUrl, MessageBody: aws.String("Analyze ワンピース")})
	if err != nil {
		fmt.Println(err)
		return
	}
	received, err := queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: created.QueueUrl, WaitTimeSeconds: 20})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range received.Messages {
		fmt.Println(*m.Body)
	}
	// Output: Analyze ワンピース
}
