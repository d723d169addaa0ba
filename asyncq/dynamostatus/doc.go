// Package dynamostatus keeps the statuses of jobs in a table of Amazon DynamoDB.
//
//	status := dynamostatus.New(dynamodb.NewFromConfig(cfg), "manga-fm-request-status")
//
// # The table
//
// Its partition key is a string named "request_id"; it has no sort key:
//
//	aws dynamodb create-table --table-name manga-fm-request-status --billing-mode PAY_PER_REQUEST \
//	    --attribute-definitions AttributeName=request_id,AttributeType=S \
//	    --key-schema AttributeName=request_id,KeyType=HASH
//	aws dynamodb update-time-to-live --table-name manga-fm-request-status \
//	    --time-to-live-specification Enabled=true,AttributeName=expires_at
//
// An item is one status: request_id, status, version, created_at and expires_at
// (Unix seconds), for those who look at the table, and the whole of it as JSON in
// record. DynamoDB removes an item up to days after its end; until then it is
// taken as not there.
//
// Every write is conditional and every read strongly consistent. The IAM actions
// are dynamodb:GetItem and dynamodb:PutItem on the table.
package dynamostatus
