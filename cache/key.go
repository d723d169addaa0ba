package cache

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"net/url"
	"slices"
	"sync"

	"github.com/mangaassist/bedrockkit"
)

// schema opens every pre-image. It changes with the form of the pre-image, so
// that entries of another form are never found.
const schema = "bedrockkit/cache/key/1"

// A Key names an entry. Two keys are the same only if all their fields are, so
// namespaces and tenants are apart whatever Sum is. It is comparable.
//
// A [Keyer] makes the keys of requests. For entries of another kind, fill the
// fields: Sum is best a SHA-256 of what the entry depends on, because stores
// spread their entries by it.
type Key struct {
	Namespace string   // whose cache it is, such as an application and its stage; may be empty
	Tenant    string   // whose entry it is; may be empty
	Sum       [32]byte // what is asked for
}

// String returns the key as "namespace/tenant/sum" for stores that name their
// entries by a string. It is unique and holds printable ASCII only: the
// namespace is path-escaped, the tenant is a SHA-256 of 128 bits, since it may
// be personal data, the sum is in hexadecimal. Everything of a namespace, or of
// a tenant in it, has a common prefix ([Key.Prefix]).
func (k Key) String() string { return k.Prefix() + hex.EncodeToString(k.Sum[:]) }

// Prefix is the part of [Key.String] that all keys of the same namespace and
// tenant have in common, with the slash at its end.
func (k Key) Prefix() string {
	tenant := sha256.Sum256([]byte(k.Tenant))
	return url.PathEscape(k.Namespace) + "/" + hex.EncodeToString(tenant[:16]) + "/"
}

// A Class is the form of request and response. An answer is an answer, streamed
// or not: Converse and ConverseStream are of one class, so that one entry
// serves both.
type Class string

// The classes.
const (
	ClassConverse    Class = "converse"     // Converse, ConverseStream
	ClassInvokeModel Class = "invoke-model" // InvokeModel, InvokeModelWithResponseStream
)

// A Request is all that an answer depends on.
type Request struct {
	// Namespace and Tenant are those of the [Key].
	Namespace string
	Tenant    string

	Class Class // required

	// Account is the AWS account and Region the region that is called. Custom
	// models, prompts and guardrails are named within them.
	Account string
	Region  string

	// Model is what the request is sent to, aliases resolved. It is required.
	Model bedrockkit.ModelID

	// Params are what the request has beside its body. For InvokeModel those
	// are its headers: guardrail, performance, service tier. Their order does
	// not matter. A parameter that is empty is not the same as none.
	Params []Param

	// Body is the JSON body: messages, system, tools, inference parameters and
	// all else. Equal JSON gives equal keys: see the package comment.
	Body []byte

	// Ignore names members of the body's outermost object that the answer does
	// not depend on, such as "requestMetadata" of Converse. The key is that of
	// a body without them.
	Ignore []string

	// Repeatable says that only a request whose answer can be expected to come
	// out the same again has a key: one whose temperature is 0. The
	// temperature is what has this name in the body's outermost object or in
	// an object that is a member of it, as inferenceConfig of Converse. The
	// error is [ErrTemperature].
	Repeatable bool
}

// ErrTemperature is the error of a [Request] that must be repeatable and whose
// temperature is above 0, or unset, which is the model's own default.
var ErrTemperature = errors.New("the temperature is not 0")

// A Param is a named parameter of a [Request].
type Param struct{ Name, Value string }

// Keyer makes keys of requests. It is safe for concurrent use.
type Keyer struct {
	secret []byte
	macs   sync.Pool
}

// NewKeyer returns a Keyer that takes the SHA-256 of a request or, with a
// secret, its HMAC-SHA-256: then who can read the keys of a store cannot try
// out which prompts are in it. All who share a store share the secret, which
// should have 32 random bytes; another secret is an empty cache.
func NewKeyer(secret []byte) *Keyer {
	k := &Keyer{secret: slices.Clone(secret)}
	k.macs.New = func() any { return hmac.New(sha256.New, k.secret) }
	return k
}

// Key returns the key of a request. It is an error if Class or Model is
// missing, or if Body is not JSON that has one meaning only; no error repeats
// any of it. Such a request is best sent past the cache.
func (k *Keyer) Key(r Request) (Key, error) {
	e := encoders.Get().(*encoder)
	defer e.release()
	if err := e.request(&r); err != nil {
		return Key{}, fmt.Errorf("cache: key: %w", err)
	}
	key := Key{Namespace: r.Namespace, Tenant: r.Tenant}
	if len(k.secret) == 0 {
		key.Sum = sha256.Sum256(e.out)
		return key, nil
	}
	mac := k.macs.Get().(hash.Hash)
	mac.Reset()
	mac.Write(e.out)
	e.out = mac.Sum(e.out[:0])
	copy(key.Sum[:], e.out)
	k.macs.Put(mac)
	return key, nil
}

// request writes the pre-image of a request.
func (e *encoder) request(r *Request) error {
	switch {
	case r.Class == "":
		return fmt.Errorf("the request has no class; give %q or %q", ClassConverse, ClassInvokeModel)
	case r.Model == "":
		return fmt.Errorf("the request has no model")
	case len(r.Body) > maxBody:
		return fmt.Errorf("the body has %d bytes; the most is %d", len(r.Body), maxBody)
	}
	e.out = append(e.out[:0], schema...)
	e.text(r.Namespace)
	e.text(r.Tenant)
	e.text(string(r.Class))
	e.text(r.Account)
	e.text(r.Region)
	e.text(string(r.Model))
	params := r.Params
	compare := func(a, b Param) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Value, b.Value))
	}
	if !slices.IsSortedFunc(params, compare) {
		params = slices.Clone(params)
		slices.SortFunc(params, compare)
	}
	e.out = binary.BigEndian.AppendUint64(e.out, uint64(len(params)))
	for _, p := range params {
		e.text(p.Name)
		e.text(p.Value)
	}
	e.ignore = r.Ignore
	if err := e.json(r.Body); err != nil {
		return err
	}
	if r.Repeatable && (e.warm || !e.cold) {
		return ErrTemperature
	}
	return nil
}

// text writes a string after its length.
func (e *encoder) text(s string) {
	e.out = binary.BigEndian.AppendUint64(e.out, uint64(len(s)))
	e.out = append(e.out, s...)
}
