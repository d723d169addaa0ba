// Package dynamosession keeps conversations in a table of Amazon DynamoDB.
//
//	store := dynamosession.New(dynamodb.NewFromConfig(cfg), "chats", func(o *dynamosession.Options) {
//		o.TTL = 30 * 24 * time.Hour
//	})
//	chats := session.New(chat, store)
//
// # The table
//
// Its partition key is a string named "id"; it has no sort key:
//
//	aws dynamodb create-table --table-name chats --billing-mode PAY_PER_REQUEST \
//	    --attribute-definitions AttributeName=id,AttributeType=S \
//	    --key-schema AttributeName=id,KeyType=HASH
//	aws dynamodb update-time-to-live --table-name chats \
//	    --time-to-live-specification Enabled=true,AttributeName=expires_at
//
// A session is one item: version, updated_at (Unix seconds), expires_at with
// Options.TTL, and the messages as the JSON of the Converse API, compressed if it is
// long. An item of DynamoDB has at most 400 KB. A longer history is stored in separate
// items, which the session's item names. They are written before that item, and
// removed after it was replaced, so a reader sees either the old or the new history.
// If a crash leaves such items behind, they expire with the TTL.
//
// The IAM actions are dynamodb:GetItem, PutItem, UpdateItem and DeleteItem on the
// table.
package dynamosession
