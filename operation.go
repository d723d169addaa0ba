package bedrockkit

// An Operation is an operation of Bedrock, named as in its API reference.
type Operation string

// The operations of Bedrock Runtime that this module knows.
const (
	OpConverse                           Operation = "Converse"
	OpConverseStream                     Operation = "ConverseStream"
	OpInvokeModel                        Operation = "InvokeModel"
	OpInvokeModelWithResponseStream      Operation = "InvokeModelWithResponseStream"
	OpInvokeModelWithBidirectionalStream Operation = "InvokeModelWithBidirectionalStream"
	OpCountTokens                        Operation = "CountTokens"
	OpApplyGuardrail                     Operation = "ApplyGuardrail"
	OpInvokeGuardrailChecks              Operation = "InvokeGuardrailChecks"
	OpStartAsyncInvoke                   Operation = "StartAsyncInvoke"
	OpGetAsyncInvoke                     Operation = "GetAsyncInvoke"
	OpListAsyncInvokes                   Operation = "ListAsyncInvokes"
)

// The operations of Bedrock's control plane that this module knows. Bedrock
// serves them at another endpoint.
const (
	OpCreateModelInvocationJob Operation = "CreateModelInvocationJob"
	OpGetModelInvocationJob    Operation = "GetModelInvocationJob"
	OpListModelInvocationJobs  Operation = "ListModelInvocationJobs"
	OpStopModelInvocationJob   Operation = "StopModelInvocationJob"
	OpGetInferenceProfile      Operation = "GetInferenceProfile"
	OpListInferenceProfiles    Operation = "ListInferenceProfiles"
	OpGetFoundationModel       Operation = "GetFoundationModel"
	OpListFoundationModels     Operation = "ListFoundationModels"
)

// Inference reports whether the operation is Converse or InvokeModel, unary or
// streamed: one request for an answer of a model.
func (op Operation) Inference() bool {
	return op == OpConverse || op == OpInvokeModel || op.Streaming()
}

// Streaming reports whether the answer is an event stream in one direction.
func (op Operation) Streaming() bool {
	return op == OpConverseStream || op == OpInvokeModelWithResponseStream
}
