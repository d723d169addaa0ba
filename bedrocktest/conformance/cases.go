package conformance

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"github.com/mangaassist/bedrockkit"
)

// A Case is a request and what Bedrock answers to it.
type Case struct {
	Name string `json:"name"`

	// Op is the operation. Model is called, for those that have a model in their
	// path; Path is the path of the others, with its query.
	Op    bedrockkit.Operation `json:"op"`
	Model bedrockkit.ModelID   `json:"model,omitempty"`
	Path  string               `json:"path,omitempty"`

	Body    json.RawMessage   `json:"body,omitempty"`
	Headers map[string]string `json:"headers,omitempty"`

	// Status and, of an error, Code are what is answered; the message contains
	// Message.
	Status  int    `json:"status"`
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`

	// Has are the paths of members that the body has, such as
	// output.message.content.0.text. Events are the types of events that a stream
	// has, in this order, with others between them; of InvokeModel, Has is for
	// the members of any chunk.
	Has    []string `json:"has,omitempty"`
	Events []string `json:"events,omitempty"`

	// Local says why the case is not for an account: it needs something that an
	// account may not have, leaves something behind, or has no known price.
	Local string `json:"local,omitempty"`

	// Source is where the answer is known from. Confidence is "documented",
	// "peer" (seen in another program or in a public report) or "inferred".
	Source     string `json:"source"`
	Confidence string `json:"confidence"`
}

//go:embed cases.json
var casesJSON []byte

var cases = sync.OnceValue(func() []Case {
	var list []Case
	if err := json.Unmarshal(casesJSON, &list); err != nil {
		panic(fmt.Sprintf("conformance: cases.json: %v", err)) // a test reads it
	}
	return list
})

// Cases returns all cases. They are shared: do not change what they hold.
func Cases() []Case { return append([]Case(nil), cases()...) }

// operations are the paths of those that name a model.
var operations = map[bedrockkit.Operation]string{
	bedrockkit.OpConverse:                      "converse",
	bedrockkit.OpConverseStream:                "converse-stream",
	bedrockkit.OpInvokeModel:                   "invoke",
	bedrockkit.OpInvokeModelWithResponseStream: "invoke-with-response-stream",
	bedrockkit.OpCountTokens:                   "count-tokens",
}

// control reports whether the case is for the control plane's endpoint.
func (c Case) control() bool {
	for _, prefix := range []string{"/foundation-models", "/inference-profiles", "/model-invocation-job"} {
		if strings.HasPrefix(c.Path, prefix) {
			return true
		}
	}
	return false
}

// asks reports whether a model is asked, which costs money.
func (c Case) asks() bool { return c.Op.Inference() }

func (c Case) streams() bool {
	return c.Op == bedrockkit.OpConverseStream || c.Op == bedrockkit.OpInvokeModelWithResponseStream
}
