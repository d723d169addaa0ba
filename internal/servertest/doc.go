// Package servertest starts servers of other projects, for tests: SQS and SNS
// (fauxqs), DynamoDB (dynalite), PostgreSQL with pgvector (PGlite) and the Model
// Context Protocol (server-everything). They are npm packages; install them with
//
//	npm ci --prefix internal/servertest/node
//
// If they or Node are missing, [SQS], [DynamoDB], [PostgreSQL] and [MCP] return false and log
// that, and the test goes on with what is embedded:
//
//	if cfg, ok := servertest.DynamoDB(t); ok {
//		client := dynamodb.NewFromConfig(cfg)
//		…
//	}
package servertest
