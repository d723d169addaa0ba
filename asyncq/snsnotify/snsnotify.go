package snsnotify

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"

	"github.com/mangaassist/bedrockkit/asyncq"
)

// API is what a [Notifier] calls of an *sns.Client.
type API interface {
	Publish(context.Context, *sns.PublishInput, ...func(*sns.Options)) (*sns.PublishOutput, error)
}

// Notifier is an [asyncq.Notifier] to a topic. It is safe for concurrent use.
type Notifier struct {
	api   API
	topic string
}

var _ asyncq.Notifier = (*Notifier)(nil)

// New returns a notifier to the topic of this ARN.
func New(api API, topicARN string) *Notifier { return &Notifier{api: api, topic: topicARN} }

// Notify publishes a notification.
func (n *Notifier) Notify(ctx context.Context, note asyncq.Notification) error {
	note.CallbackURL = "" // it may have a secret in it, and subscribers must not see it
	message, err := json.Marshal(note)
	if err != nil {
		return fmt.Errorf("snsnotify: the notification %s: %w", note.ID, err)
	}
	in := &sns.PublishInput{
		TopicArn: &n.topic, Message: aws.String(string(message)),
		MessageAttributes: map[string]types.MessageAttributeValue{},
	}
	for name, v := range map[string]string{
		"notification_id": note.ID,
		"status":          string(note.Status.State),
		"priority":        string(note.Status.Priority),
	} {
		if v != "" { // SNS refuses an empty value
			in.MessageAttributes[name] = types.MessageAttributeValue{DataType: aws.String("String"), StringValue: aws.String(v)}
		}
	}
	if strings.HasSuffix(n.topic, ".fifo") {
		in.MessageGroupId, in.MessageDeduplicationId = short(note.Status.ID), short(note.ID)
	}
	if _, err := n.api.Publish(ctx, in); err != nil {
		return fmt.Errorf("snsnotify: publishing %s: %w", note.ID, err)
	}
	return nil
}

// short is an id that SNS takes, which has at most 128 characters.
func short(id string) *string {
	if len(id) > 128 {
		id = fmt.Sprintf("%x", sha256.Sum256([]byte(id)))
	}
	return &id
}
