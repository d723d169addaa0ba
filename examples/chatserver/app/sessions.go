package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/mangaassist/bedrockkit/converse/session"
	"github.com/mangaassist/bedrockkit/converse/session/dynamosession"
	"github.com/mangaassist/bedrockkit/examples/chatserver/assistant"
)

// sessionTTL is how long a conversation is kept after its last question.
const sessionTTL = 30 * 24 * time.Hour

// sessions keeps the conversations of the REST API, in memory or in a table of
// DynamoDB; package dynamosession says what the table is.
func (b *builder) sessions(ctx context.Context) (func(*assistant.Options), error) {
	var store session.Store
	table, inDynamoDB := strings.CutPrefix(b.Sessions, "dynamodb:")
	switch {
	case b.Sessions == "memory":
		store = session.NewMemoryStore(func(o *session.MemoryOptions) { o.TTL = sessionTTL })
		b.say("sessions", "memory; they end with the process")
	case inDynamoDB && table != "":
		cfg, err := b.aws(ctx)
		if err != nil {
			return nil, fmt.Errorf("-sessions: %w", err)
		}
		store = dynamosession.New(dynamodb.NewFromConfig(cfg), table, func(o *dynamosession.Options) { o.TTL = sessionTTL })
		b.ready["sessions"] = func(ctx context.Context) error {
			if _, err := store.Load(ctx, "ready"); err != nil && !errors.Is(err, session.ErrNotFound) {
				return err
			}
			return nil
		}
		b.say("sessions", "the DynamoDB table %s", table)
	default:
		return nil, fmt.Errorf("-sessions is %q; it is memory, or dynamodb:TABLE", b.Sessions)
	}
	return func(o *assistant.Options) { o.Sessions, o.Log = store, b.log }, nil
}
