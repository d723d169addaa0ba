package bedrocktest

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/mangaassist/bedrockkit"
)

// AnyOp stands for all operations in [Server.Control] and [Fault.Op].
const AnyOp bedrockkit.Operation = ""

// names reports whether the first parameter of the operation's path is a model.
func names(op bedrockkit.Operation) bool {
	return op.Inference() || op == bedrockkit.OpCountTokens || op == bedrockkit.OpInvokeModelWithBidirectionalStream
}

// A Request is what the server received. Its Conversation is the same view of
// the bodies of all operations and model families.
type Request struct {
	N      int                  // its number on this server, from 1
	Op     bedrockkit.Operation // empty for a path that is not an operation
	Model  bedrockkit.ModelID   // as it was sent, unescaped from the path
	Method string
	Path   string // escaped, as it came
	Query  url.Values
	Header http.Header
	Body   []byte
	Proto  string // "HTTP/1.1" or "HTTP/2.0"
	Time   time.Time

	Conversation

	// Outcome says what was sent back. It is complete when it is Done, which may
	// be a moment after the client has the whole response.
	Outcome Outcome

	params  []string // of the path
	family  family   // of an InvokeModel body
	tier    string   // the service tier that was asked for
	latency string   // the performance that was asked for

	fieldPaths []string // of the model's own response, that Converse is to give

	guardrail *Guardrail
	trace     string // of the guardrail: "enabled", "disabled"…

	cachedTools bool // a cache point comes after tools
}

// An Outcome is what the server sent back.
type Outcome struct {
	Done   bool             // the response is over
	Status int              // HTTP status; 0 if none was sent
	Code   string           // the error's code, if it was one
	Bytes  int64            // of the response body, before the transport's framing
	Events int              // messages of the event stream that were sent whole
	Usage  bedrockkit.Usage // of an answer of a model
	End    string           // how it ended, where that is not well: "cut", "aborted", "client left"…
}

// A route is how an operation is found: its method and its path, in which {}
// stands for one escaped segment.
type route struct {
	op     bedrockkit.Operation
	method string
	path   string

	// read reads the request and returns what Bedrock would refuse it with,
	// or nil. It may be nil.
	read func(*Server, *exchange) *Reply

	// run answers it, for an operation that asks no model.
	run func(*Server, *exchange) *Reply
}

var routes = []route{
	{bedrockkit.OpConverse, "POST", "/model/{}/converse", (*Server).converse, nil},
	{bedrockkit.OpConverseStream, "POST", "/model/{}/converse-stream", (*Server).converse, nil},
	{bedrockkit.OpInvokeModel, "POST", "/model/{}/invoke", (*Server).invokeModel, nil},
	{bedrockkit.OpInvokeModelWithResponseStream, "POST", "/model/{}/invoke-with-response-stream", (*Server).invokeModel, nil},
	{bedrockkit.OpInvokeModelWithBidirectionalStream, "POST", "/model/{}/invoke-with-bidirectional-stream", nil, nil},
	{bedrockkit.OpCountTokens, "POST", "/model/{}/count-tokens", (*Server).countTokens, (*Server).countedTokens},
	{bedrockkit.OpApplyGuardrail, "POST", "/guardrail/{}/version/{}/apply", nil, (*Server).applyGuardrail},
	{bedrockkit.OpInvokeGuardrailChecks, "POST", "/guardrail-checks/invoke", nil, (*Server).invokeGuardrailChecks},
	{bedrockkit.OpStartAsyncInvoke, "POST", "/async-invoke", nil, (*Server).startAsyncInvoke},
	{bedrockkit.OpGetAsyncInvoke, "GET", "/async-invoke/{}", nil, (*Server).getAsyncInvoke},
	{bedrockkit.OpListAsyncInvokes, "GET", "/async-invoke", nil, (*Server).listAsyncInvokes},

	{bedrockkit.OpCreateModelInvocationJob, "POST", "/model-invocation-job", nil, (*Server).createModelInvocationJob},
	{bedrockkit.OpGetModelInvocationJob, "GET", "/model-invocation-job/{}", nil, (*Server).getModelInvocationJob},
	{bedrockkit.OpListModelInvocationJobs, "GET", "/model-invocation-jobs", nil, (*Server).listModelInvocationJobs},
	{bedrockkit.OpStopModelInvocationJob, "POST", "/model-invocation-job/{}/stop", nil, (*Server).stopModelInvocationJob},
	{bedrockkit.OpGetInferenceProfile, "GET", "/inference-profiles/{}", nil, (*Server).getInferenceProfile},
	{bedrockkit.OpListInferenceProfiles, "GET", "/inference-profiles", nil, (*Server).listInferenceProfiles},
	{bedrockkit.OpGetFoundationModel, "GET", "/foundation-models/{}", nil, (*Server).getFoundationModel},
	{bedrockkit.OpListFoundationModels, "GET", "/foundation-models", nil, (*Server).listFoundationModels},
}

// match splits the escaped path, so that a model ARN stays one segment.
func match(method, escaped string) (route, []string, bool) {
	segments := strings.Split(escaped, "/")
	for _, r := range routes {
		if r.method != method {
			continue
		}
		if params, ok := r.params(segments); ok {
			return r, params, true
		}
	}
	return route{}, nil, false
}

// params are the segments that stand at {}, unescaped.
func (r route) params(segments []string) (params []string, ok bool) {
	want := strings.Split(r.path, "/")
	if len(want) != len(segments) {
		return nil, false
	}
	for i, w := range want {
		if w != "{}" {
			if w != segments[i] {
				return nil, false
			}
			continue
		}
		p, err := url.PathUnescape(segments[i])
		if err != nil {
			return nil, false
		}
		params = append(params, p)
	}
	return params, true
}
