// Package asyncq is for calls that nobody waits for on an open connection: a
// job is queued, a worker makes the call through package bedrockx, and its
// status and result are asked for, or sent, later.
package asyncq
