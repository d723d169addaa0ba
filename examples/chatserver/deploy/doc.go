// Package deploy is how the chat server comes to AWS: templates of CloudFormation,
// mapping templates of API Gateway, policies and state machines, and the checks of
// all of them that need no account. It has no code of its own but its tests; the
// entry points are in the folders below. README.md says what is where.
package deploy
