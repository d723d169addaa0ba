// Package dynamowebhook keeps the deliveries of webhooks in a table of Amazon
// DynamoDB, so that none is lost with the process that was to send it.
//
//	store := dynamowebhook.New(dynamodb.NewFromConfig(cfg), "manga-fm-webhooks")
//	deliverer, err := webhook.New(store, []string{secret})
//
// # The table
//
// Its partition key is a string named "id"; an index named "due" finds what is to
// be sent, and holds pending deliveries only:
//
//	aws dynamodb create-table --table-name manga-fm-webhooks --billing-mode PAY_PER_REQUEST \
//	    --attribute-definitions AttributeName=id,AttributeType=S \
//	        AttributeName=pending,AttributeType=S AttributeName=next_attempt,AttributeType=N \
//	    --key-schema AttributeName=id,KeyType=HASH \
//	    --global-secondary-indexes 'IndexName=due,Projection={ProjectionType=ALL},KeySchema=[{AttributeName=pending,KeyType=HASH},{AttributeName=next_attempt,KeyType=RANGE}]'
//	aws dynamodb update-time-to-live --table-name manga-fm-webhooks \
//	    --time-to-live-specification Enabled=true,AttributeName=expires_at
//
// Deliveries that have ended are kept for Options.Retention. The index is read
// eventually consistent: what it shows too late is sent a moment late, and what it
// shows too long is not sent again, as each attempt begins with a conditional
// write. All pending deliveries share one partition of the index, which takes a
// thousand writes a second.
//
// The IAM actions are dynamodb:GetItem and PutItem on the table, and Query on the
// index.
package dynamowebhook
