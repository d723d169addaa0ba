package bedrockkit

// StopReason says why a model stopped, in the words of the Converse API. A reason of
// an InvokeModel body is translated if it means the same. A reason that is not listed
// here is kept unchanged.
type StopReason string

// The stop reasons of the Converse API (API reference, StopReason).
const (
	StopEndTurn               StopReason = "end_turn"                      // the answer is complete
	StopToolUse               StopReason = "tool_use"                      // the model waits for tool results
	StopMaxTokens             StopReason = "max_tokens"                    // cut by the caller's bound
	StopSequence              StopReason = "stop_sequence"                 // the model wrote one of the request's stop sequences
	StopGuardrailIntervened   StopReason = "guardrail_intervened"          // a guardrail replaced the answer
	StopContentFiltered       StopReason = "content_filtered"              // the provider's filter stopped the answer
	StopMalformedModelOutput  StopReason = "malformed_model_output"        // the model's output could not be read
	StopMalformedToolUse      StopReason = "malformed_tool_use"            // a tool call could not be read
	StopContextWindowExceeded StopReason = "model_context_window_exceeded" // cut by the model's context window
)

// Complete reports whether the answer is complete: the model ended its turn or wrote a
// stop sequence. Only complete answers may be cached.
func (r StopReason) Complete() bool {
	return r == StopEndTurn || r == StopSequence
}

// Length reports whether the answer was cut by a bound on its length.
func (r StopReason) Length() bool {
	return r == StopMaxTokens || r == StopContextWindowExceeded
}

// Malformed reports whether the model's output could not be read. Do not act on such
// an answer.
func (r StopReason) Malformed() bool {
	return r == StopMalformedModelOutput || r == StopMalformedToolUse
}
