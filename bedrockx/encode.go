package bedrockx

import (
	"encoding/json"
	"fmt"

	"github.com/mangaassist/bedrockkit"
)

// Encoded is the request for one model.
type Encoded struct {
	Body      json.RawMessage     // see Call.Body
	SDKInput  func() (any, error) // see Call.SDKInput
	MaxTokens int                 // see Call.MaxTokens

	// Skipped is what was left out for the model. It is reported when the call is sent
	// to the model.
	Skipped []Skipped
}

// ModelRules is an optional interface of a [Payload]: it checks the request against
// what is known of a model. It is called before anything is sent, for the call's own
// model and for each target of Options.Fallback. An error says what the model does not
// take. It should not refuse what is not known.
type ModelRules interface {
	CheckModel(bedrockkit.Capability) error
}

// SetPayload makes the call send a typed body, in the form of a model family. It sets
// Encode.
func (c *Call) SetPayload(in interface {
	EncodeInvoke(bedrockkit.ModelID) (json.RawMessage, error)
}) {
	op := c.Op
	c.Encode = func(model bedrockkit.ModelID, known bedrockkit.Capability) (Encoded, error) {
		if rules, ok := in.(ModelRules); ok {
			if err := rules.CheckModel(known); err != nil {
				return Encoded{}, err
			}
		}
		body, err := in.EncodeInvoke(model)
		e := Encoded{Body: body, SDKInput: func() (any, error) { return invokeInput(op, body), nil }}
		if b, ok := in.(OutputBound); ok {
			e.MaxTokens = b.MaxOutputTokens()
		}
		return e, err
	}
}

// encode makes what goes out for the call's own model, once.
func (c *Call) encode() error {
	if c.Encode == nil || c.own != nil {
		return nil
	}
	e, err := c.encodeFor(c.Model)
	if err != nil {
		return err
	}
	c.own, c.encodedFor = e, c.Model
	c.use(e)
	return nil
}

func (c *Call) encodeFor(model bedrockkit.ModelID) (*Encoded, error) {
	id := c.resolved(model)
	known, _ := c.Options.Capabilities(id)
	e, err := c.Encode(id, known)
	if err != nil {
		return nil, invalid(err)
	}
	return &e, checkMaxTokens(e.MaxTokens, known)
}

// invalid is an error of a request that is not right.
func invalid(err error) *Error {
	if e, ok := err.(*Error); ok {
		return e
	}
	return &Error{Kind: KindValidation, Err: err}
}

// checkMaxTokens refuses what the model never gives.
func checkMaxTokens(n int, c bedrockkit.Capability) error {
	if c.MaxOutput > 0 && n > c.MaxOutput {
		return &Error{Kind: KindValidation, Err: fmt.Errorf("max tokens is %d; %s answers with at most %d", n, c.ID, c.MaxOutput)}
	}
	return nil
}

// use makes the call send what was made for a model.
func (c *Call) use(e *Encoded) {
	if e == nil {
		return
	}
	if e.MaxTokens != c.MaxTokens || !sameBytes(e.Body, c.Body) {
		c.input, c.most = 0, 0 // as measured for another body
	}
	c.Body, c.SDKInput, c.MaxTokens = e.Body, e.SDKInput, e.MaxTokens
	for _, s := range e.Skipped {
		setDefault(&s.Model, c.Model)
		c.Skip(s)
	}
}

// forTarget is what goes to a target, nil for what the call has. A body that a
// middleware has changed goes to all targets as it is.
func (c *Call) forTarget(t Target) (*Encoded, error) {
	if c.Encode == nil || !c.untouched() {
		known, _ := c.Options.Capabilities(c.resolved(t.Model))
		return nil, checkMaxTokens(c.MaxTokens, known)
	}
	if c.sameModel(t.Model, c.encodedFor) {
		return c.own, nil
	}
	if e := c.variants[t.Model]; e != nil {
		return e, nil
	}
	e, err := c.encodeFor(t.Model)
	if err != nil {
		return nil, err
	}
	if c.variants == nil {
		c.variants = map[bedrockkit.ModelID]*Encoded{}
	}
	c.variants[t.Model] = e
	return e, nil
}

// untouched reports whether the body is still one that Encode has made.
func (c *Call) untouched() bool {
	if c.own == nil || sameBytes(c.Body, c.own.Body) && c.MaxTokens == c.own.MaxTokens {
		return c.own != nil
	}
	for _, e := range c.variants {
		if sameBytes(c.Body, e.Body) && c.MaxTokens == e.MaxTokens {
			return true
		}
	}
	return false
}

// sameModel reports whether two ids are of one model, such as profiles of it.
func (c *Call) sameModel(a, b bedrockkit.ModelID) bool {
	if a == b {
		return true
	}
	base := c.resolved(a).Base()
	return base != "" && base == c.resolved(b).Base()
}

// sameBytes reports whether two slices are the same memory.
func sameBytes(a, b []byte) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}
