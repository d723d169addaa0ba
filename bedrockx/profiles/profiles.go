package profiles

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"

	"github.com/mangaassist/bedrockkit"
)

// API is what a [Resolver] calls. [*bedrock.Client] implements it.
type API interface {
	GetInferenceProfile(context.Context, *bedrock.GetInferenceProfileInput, ...func(*bedrock.Options)) (*bedrock.GetInferenceProfileOutput, error)
}

// Options are the options of a [Resolver]. The zero value of a field means its
// default.
type Options struct {
	// TTL is how long an answer is kept; the default is one hour. ErrorTTL is how long
	// an error is kept; the default is one minute.
	TTL      time.Duration
	ErrorTTL time.Duration

	// Timeout bounds a request, including retries of the SDK. The default is two
	// seconds, because a call to a model may wait for it.
	Timeout time.Duration

	// MaxEntries bounds the profiles that are kept. The default is 1,000. If there are
	// more, all are dropped and requested again.
	MaxEntries int

	// Now is the clock; the default is time.Now.
	Now func() time.Time
}

// A Resolver keeps the models of inference profiles. It is safe for concurrent use.
type Resolver struct {
	api API
	o   Options

	mu      sync.Mutex
	entries map[bedrockkit.ModelID]*entry
}

type entry struct {
	done    chan struct{} // closed when the rest is set
	expires time.Time
	model   bedrockkit.ModelID
	err     error
}

// ErrNoModel is the error of an id if the control plane does not know its model.
var ErrNoModel = errors.New("the model behind it is not known")

// New returns a resolver that asks api.
func New(api API, optFns ...func(*Options)) *Resolver {
	var o Options
	for _, fn := range optFns {
		fn(&o)
	}
	setDefault(&o.TTL, time.Hour)
	setDefault(&o.ErrorTTL, time.Minute)
	setDefault(&o.Timeout, 2*time.Second)
	setDefault(&o.MaxEntries, 1000)
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Resolver{api: api, o: o, entries: map[bedrockkit.ModelID]*entry{}}
}

func setDefault[T ~int | ~int64](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}

// Resolve returns the id of the model of an application inference profile. If the
// profile has one region, it is the id of a foundation model. If it has several, it is
// the id of the system profile, such as "us.anthropic.…", because prices depend on the
// scope. Another id is returned unchanged if it names its model, otherwise the error
// is [ErrNoModel].
//
// A caller that waits for the request of another caller stops waiting when its ctx
// ends. The request itself does not depend on ctx.
func (r *Resolver) Resolve(ctx context.Context, id bedrockkit.ModelID) (bedrockkit.ModelID, error) {
	ident, err := id.Parse()
	if err != nil {
		return "", err
	}
	if ident.Base != "" {
		return id, nil
	}
	if ident.Kind != bedrockkit.KindApplicationProfile {
		return "", fmt.Errorf("resolving %s: %w: it is a %s", id, ErrNoModel, ident.Kind)
	}

	r.mu.Lock()
	e := r.entries[id]
	if e == nil || e.expired(r.o.Now()) {
		if len(r.entries) >= r.o.MaxEntries {
			clear(r.entries)
		}
		e = &entry{done: make(chan struct{})}
		r.entries[id] = e
		r.mu.Unlock()
		r.fill(context.WithoutCancel(ctx), id, e)
		return e.model, e.err
	}
	r.mu.Unlock()
	select {
	case <-e.done:
		return e.model, e.err
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// expired reports whether an entry that is complete has become too old.
func (e *entry) expired(now time.Time) bool {
	select {
	case <-e.done:
		return now.After(e.expires)
	default:
		return false
	}
}

// fill asks the service, in the goroutine of the first caller.
func (r *Resolver) fill(ctx context.Context, id bedrockkit.ModelID, e *entry) {
	defer close(e.done)
	// A panic of the API must not leave the others waiting, or with nothing.
	e.err, e.expires = fmt.Errorf("resolving %s: %w", id, ErrNoModel), r.o.Now().Add(r.o.ErrorTTL)
	ctx, cancel := context.WithTimeout(ctx, r.o.Timeout)
	defer cancel()
	out, err := r.api.GetInferenceProfile(ctx, &bedrock.GetInferenceProfileInput{InferenceProfileIdentifier: aws.String(string(id))})
	if err != nil {
		e.err = fmt.Errorf("resolving %s by GetInferenceProfile: %w", id, err)
		return
	}
	var arns []string
	for _, m := range out.Models {
		arns = append(arns, aws.ToString(m.ModelArn))
	}
	if e.model, err = modelOf(arns); err != nil {
		e.err = fmt.Errorf("resolving %s: %w", id, err)
		return
	}
	e.err, e.expires = nil, r.o.Now().Add(r.o.TTL)
}

// modelOf is the id that stands for the models of a profile, which are the same
// one in each of its regions.
func modelOf(arns []string) (bedrockkit.ModelID, error) {
	var base bedrockkit.ModelID
	var regions []string
	for _, arn := range arns {
		ident, err := bedrockkit.ModelID(arn).Parse()
		switch {
		case err != nil:
			return "", err
		case ident.Base == "" || base != "" && ident.Base != base:
			return "", fmt.Errorf("%w: the profile names %q beside %q", ErrNoModel, arn, base)
		}
		base = ident.Base
		regions = append(regions, ident.Region)
	}
	switch {
	case base == "":
		return "", fmt.Errorf("%w: the profile names no model", ErrNoModel)
	case len(regions) == 1 && regions[0] != "":
		return base, nil
	}
	if prefix := geography(regions); prefix != "" {
		return bedrockkit.ModelID(prefix) + "." + base, nil
	}
	return base, nil
}

// geographies are the beginnings of the regions of system profiles, the smaller
// ones first. Source: "Supported cross-Region inference profiles", Amazon Bedrock
// User Guide, and the names of regions.
var geographies = []struct {
	prefix  string
	regions []string
}{
	{"us-gov", []string{"us-gov-"}},
	{"us", []string{"us-"}},
	{"eu", []string{"eu-"}},
	{"ca", []string{"ca-"}},
	{"jp", []string{"ap-northeast-1", "ap-northeast-3"}},
	{"au", []string{"ap-southeast-2", "ap-southeast-4", "ap-southeast-6"}},
	{"in", []string{"ap-south-1", "ap-south-2"}},
	{"apac", []string{"ap-"}},
	{"amer", []string{"us-", "ca-", "mx-", "sa-"}},
}

// geography is the prefix of the system profile that routes to these regions: of
// the smallest one that has them all, or else of the first region that one has.
// Only an ARN without a region stands for any region, "global". It is empty if no
// profile has any of them.
func geography(regions []string) string {
	if slices.Contains(regions, "") { // "arn:aws:bedrock:::foundation-model/…"
		return "global"
	}
	of := func(regions ...string) string {
		for _, g := range geographies {
			outside := func(region string) bool {
				return !slices.ContainsFunc(g.regions, func(begin string) bool { return strings.HasPrefix(region, begin) })
			}
			if !slices.ContainsFunc(regions, outside) {
				return g.prefix
			}
		}
		return ""
	}
	if all := of(regions...); all != "" {
		return all
	}
	for _, region := range regions {
		if one := of(region); one != "" {
			return one
		}
	}
	return ""
}
