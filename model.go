package bedrockkit

import (
	"fmt"
	"strings"
)

// ModelID names what a request is sent to: a foundation model
// ("amazon.nova-lite-v1:0"), an inference profile
// ("us.amazon.nova-lite-v1:0", "global.anthropic.claude-haiku-4-5-20251001-v1:0")
// or an ARN of a model, a profile, a provisioned or an imported model.
//
// It is a plain string, so it can be stored and compared like one. [ModelID.Parse]
// says what it names.
type ModelID string

// Scope says where the requests of an id may be processed. Prices and quotas
// depend on it.
type Scope string

// The scopes. ScopeUnknown is the scope of an ARN that does not name its model, such
// as the ARN of an application inference profile.
const (
	ScopeUnknown    Scope = ""
	ScopeRegion     Scope = "region"     // the one region that was called
	ScopeGeographic Scope = "geographic" // a system profile of one geography: "us.", "eu.", "jp."…
	ScopeGlobal     Scope = "global"     // the system profile of all commercial regions: "global."
)

// Kind is the kind of resource that a [ModelID] names.
type Kind string

// The kinds, each with the ARN resource type that stands for it.
const (
	KindFoundationModel    Kind = "foundation-model"
	KindInferenceProfile   Kind = "inference-profile"
	KindApplicationProfile Kind = "application-inference-profile"
	KindProvisionedModel   Kind = "provisioned-model"
	KindImportedModel      Kind = "imported-model"
	KindCustomModel        Kind = "custom-model"
	KindCustomDeployment   Kind = "custom-model-deployment"
	KindPromptRouter       Kind = "default-prompt-router"
	KindOwnPromptRouter    Kind = "prompt-router"
	KindPrompt             Kind = "prompt"   // of Prompt management; it names its model
	KindMarketplace        Kind = "endpoint" // a SageMaker endpoint registered with Bedrock Marketplace
)

// Identity is what a [ModelID] says about itself.
type Identity struct {
	ID   ModelID // as it was given
	Kind Kind

	// Base is the foundation model of the id, without the prefix of a profile and
	// without an ARN. It is empty if the id does not name it, as for application
	// profiles, provisioned and imported models and prompt routers. Resolve those with
	// GetInferenceProfile, or in another way.
	Base ModelID

	Scope  Scope
	Prefix string // the profile's prefix: "us", "eu", "global"…; empty for a bare model

	// Partition, Region and Account are the parts of an ARN; otherwise they are empty.
	Partition string
	Region    string
	Account   string
}

// profileScope is the scope of the system-defined inference profiles with a
// prefix. Source: "Supported Regions and models for inference profiles", Amazon
// Bedrock User Guide. An id with another first label is a model of a provider of
// that name.
func profileScope(prefix string) (scope Scope, known bool) {
	switch prefix { // every call asks some times, and a map is slower
	case "us", "us-gov", "eu", "apac", "jp", "au", "ca", "in", "amer":
		return ScopeGeographic, true
	case "global":
		return ScopeGlobal, true
	}
	return ScopeUnknown, false
}

// Bedrock's own bound on a modelId (API reference, InvokeModel).
const maxModelID = 2048

// InvalidModelIDError says why a [ModelID] cannot be sent. Find it with errors.As.
type InvalidModelIDError struct {
	ID     ModelID
	Reason string
}

func (e *InvalidModelIDError) Error() string {
	return fmt.Sprintf("invalid model id %q: %s", clip(string(e.ID), 80), e.Reason)
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n] + "…"
}

// Parse returns what the id names. It checks only the form and sends no request; only
// Bedrock knows whether the model exists, and in which regions. The error is an
// [*InvalidModelIDError].
func (id ModelID) Parse() (Identity, error) {
	fail := func(format string, args ...any) (Identity, error) {
		return Identity{}, &InvalidModelIDError{ID: id, Reason: fmt.Sprintf(format, args...)}
	}
	s := string(id)
	switch {
	case s == "":
		return fail("it is empty; give a model id such as %q, an inference profile or an ARN", "amazon.nova-lite-v1:0")
	case len(s) > maxModelID:
		return fail("it has %d bytes, Bedrock takes at most %d", len(s), maxModelID)
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; !idBytes[c] {
			return fail("the byte %q at offset %d is not allowed; letters, digits and . - _ : / are", c, i)
		}
	}
	if strings.HasPrefix(s, "arn:") {
		return parseARN(id, fail)
	}
	if strings.Contains(s, "/") {
		return fail("it has a slash but is no ARN; an ARN starts with %q", "arn:")
	}
	ident := Identity{ID: id}
	if err := ident.setModel(s); err != "" {
		return fail("%s", err)
	}
	ident.Kind = KindFoundationModel
	if ident.Prefix != "" {
		ident.Kind = KindInferenceProfile
	}
	return ident, nil
}

// idBytes are those that an id may have.
var idBytes = func() (allowed [256]bool) {
	for c := range allowed {
		allowed[c] = 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte(".-_:/", byte(c)) >= 0
	}
	return allowed
}()

// setModel reads "[prefix.]provider.model" and returns what is wrong with it.
func (ident *Identity) setModel(s string) string {
	ident.Scope = ScopeRegion
	first, rest, ok := strings.Cut(s, ".")
	if scope, known := profileScope(first); known && ok {
		ident.Scope, ident.Prefix = scope, first
		s = rest
		first, rest, ok = strings.Cut(s, ".")
	}
	if !ok || first == "" || rest == "" || strings.Contains(s, "/") || strings.Contains(first, ":") {
		return "it does not name a provider and a model; an id has the form provider.model, as in amazon.nova-lite-v1:0"
	}
	if _, twice := profileScope(first); twice {
		return fmt.Sprintf("it has two profile prefixes, %q and %q", ident.Prefix, first)
	}
	ident.Base = ModelID(s)
	return ""
}

func parseARN(id ModelID, fail func(string, ...any) (Identity, error)) (Identity, error) {
	parts := strings.SplitN(string(id), ":", 6)
	if len(parts) < 6 {
		return fail("an ARN has six parts: arn:partition:bedrock:region:account:resource")
	}
	service, resource := parts[2], parts[5]
	if service != "bedrock" && service != "sagemaker" {
		return fail("it is an ARN of the service %q, not of bedrock", service)
	}
	kind, name, ok := strings.Cut(resource, "/")
	if !ok || name == "" {
		return fail("its resource %q has no name; expected kind/name", resource)
	}
	ident := Identity{ID: id, Kind: Kind(kind), Partition: parts[1], Region: parts[3], Account: parts[4]}
	switch ident.Kind {
	case KindFoundationModel, KindInferenceProfile:
		if err := ident.setModel(name); err != "" {
			return fail("%s", err)
		}
		if ident.Kind == KindFoundationModel && ident.Prefix != "" {
			return fail("%q is an inference profile, but the ARN says foundation-model", name)
		}
		if ident.Kind == KindInferenceProfile && ident.Prefix == "" {
			return fail("%q has no profile prefix, but the ARN says inference-profile", name)
		}
	case KindApplicationProfile, KindProvisionedModel, KindImportedModel,
		KindCustomModel, KindCustomDeployment, KindPromptRouter, KindOwnPromptRouter, KindPrompt, KindMarketplace:
	default:
		return fail("%q is not a kind of model that Bedrock Runtime takes", kind)
	}
	return ident, nil
}

// Validate returns the error of [ModelID.Parse].
func (id ModelID) Validate() error {
	_, err := id.Parse()
	return err
}

// Base returns the foundation model of the id. It is empty if the id does not name it
// or is not valid.
func (id ModelID) Base() ModelID {
	ident, err := id.Parse()
	if err != nil {
		return ""
	}
	return ident.Base
}

// Provider returns the first label of the base model: "anthropic", "amazon", "meta"….
// It is empty if [ModelID.Base] is empty.
func (id ModelID) Provider() string {
	provider, _, _ := strings.Cut(string(id.Base()), ".")
	return provider
}
