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

// A Key names an entry. Two keys are equal only if all their fields are equal, so
// namespaces and tenants are always separate. It is comparable.
//
// A [Keyer] makes the keys of requests. For other entries, set the fields yourself.
// Sum should be a SHA-256 of what the entry depends on, because stores distribute
// their entries by it.
type Key struct {
	Namespace string   // the owner of the cache, such as an application and its stage; may be empty
	Tenant    string   // the owner of the entry; may be empty
	Sum       [32]byte // the hash of the request
}

// String returns the key as "namespace/tenant/sum" for stores that name their entries
// by a string. It is unique and has only printable ASCII. The namespace is
// path-escaped. The tenant is 128 bits of a SHA-256, because it may be personal data.
// The sum is hexadecimal. All keys of a namespace, or of a tenant in it, have the same
// prefix ([Key.Prefix]).
func (k Key) String() string { return k.Prefix() + hex.EncodeToString(k.Sum[:]) }

// Prefix returns the beginning of [Key.String] that all keys of the same namespace and
// tenant share, with the slash at its end.
func (k Key) Prefix() string {
	tenant := sha256.Sum256([]byte(k.Tenant))
	return url.PathEscape(k.Namespace) + "/" + hex.EncodeToString(tenant[:16]) + "/"
}

// A Class is the form of request and response. Streamed and unary answers have the
// same class, so that Converse and ConverseStream share their entries.
type Class string

// The classes.
const (
	ClassConverse    Class = "converse"     // Converse, ConverseStream
	ClassInvokeModel Class = "invoke-model" // InvokeModel, InvokeModelWithResponseStream
)

// A Request is everything that an answer depends on.
type Request struct {
	// Namespace and Tenant are copied to the [Key].
	Namespace string
	Tenant    string

	Class Class // required

	// Account is the AWS account and Region the region that is called. The names of
	// custom models, prompts and guardrails are unique only there.
	Account string
	Region  string

	// Model is the model that the request is sent to, with aliases resolved. It is
	// required.
	Model bedrockkit.ModelID

	// Params are the parameters of the request outside its body. For InvokeModel they
	// are its headers: guardrail, performance, service tier. Their order does not
	// matter. An empty parameter is not the same as no parameter.
	Params []Param

	// Body is the JSON body: messages, system, tools, inference parameters and
	// everything else. Equal JSON gives equal keys; see the package documentation.
	Body []byte

	// Ignore names members of the body's outermost object that the answer does not
	// depend on, such as "requestMetadata" of Converse. They are not part of the key.
	Ignore []string

	// Repeatable requires that the answer is likely to be the same again: the
	// temperature must be 0. Otherwise the error is [ErrTemperature]. The temperature
	// is the member with this name in the body's outermost object, or in an object
	// that is a member of it, such as inferenceConfig of Converse.
	Repeatable bool
}

// ErrTemperature is the error of a [Request] with Repeatable whose temperature is
// above 0 or not set. If it is not set, the model uses its own default.
var ErrTemperature = errors.New("the temperature is not 0")

// A Param is a named parameter of a [Request].
type Param struct{ Name, Value string }

// Keyer makes keys of requests. It is safe for concurrent use.
type Keyer struct {
	secret []byte
	macs   sync.Pool
}

// NewKeyer returns a Keyer that uses the SHA-256 of a request or, with a secret, its
// HMAC-SHA-256. With a secret, someone who can read the keys of a store cannot find
// out by trying which prompts are in it. All programs that share a store must use the
// same secret, which should be 32 random bytes. With another secret, the cache is
// empty.
func NewKeyer(secret []byte) *Keyer {
	k := &Keyer{secret: slices.Clone(secret)}
	k.macs.New = func() any { return hmac.New(sha256.New, k.secret) }
	return k
}

// Key returns the key of a request. It returns an error if Class or Model is missing,
// or if Body is ambiguous or not JSON. No error repeats the request. Send such a
// request without the cache.
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
