// Package servertest starts servers that nobody here wrote, for tests: SQS and
// SNS (fauxqs) and DynamoDB (dynalite). They are npm packages; install them
// with
//
//	npm ci --prefix internal/servertest/node
//
// Where they or Node are missing, [SQS] and [DynamoDB] return false and log that,
// and the test goes on with what is embedded:
//
//	if cfg, ok := servertest.DynamoDB(t); ok {
//		client := dynamodb.NewFromConfig(cfg)
//		…
//	}
package servertest
