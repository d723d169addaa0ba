// Package batch is for batch inference on Amazon Bedrock: records written as
// JSONL to S3, a job that works them off at a lower price, and results that
// are found by their record id.
//
// Nothing is in it yet.
package batch
