// Package compat holds no code: its tests are clients of Amazon Bedrock that
// others wrote, as they are, against the fake of package bedrocktest. They know
// its endpoint and dummy credentials, and nothing else of it. sdk_defects_test.go
// shows what the newest AWS SDK does wrong, and fails when it is fixed.
//
//	go test ./...                  clients in Go
//	cd js && npm ci && npm test  clients in JavaScript, against cmd/bedrockfake
//
// It is a module of its own, so that users of bedrockkit do not depend on these
// clients.
package compat
