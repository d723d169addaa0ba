// Package compat holds no code: its tests read the OpenAPI document of the REST API
// with kin-openapi, a library of others, as tools of partners do. The document is
// valid, its examples are, and so are the requests and the responses of a running
// server.
//
//	go test ./...
//
// It is a module of its own, so that users of bedrockkit do not depend on the library;
// it builds and runs the chat server, and imports nothing of it.
package compat
