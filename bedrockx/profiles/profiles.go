package profiles

import (
	"context"
	"errors"
	"fmt"
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

// Options are those of a [Resolver]. The zero value of a field means its
// default.
type Options struct {
	// TTL is how long an answer is kept; the default is an hour. ErrorTTL is
	// how long an error is; the default is a minute.
	TTL      time.Duration
	ErrorTTL time.Duration

	// Timeout bounds a request, retries of the SDK included; the default is
	// two seconds, as a call to a model may wait for it.
	Timeout time.Duration

	// MaxEntries bounds the profiles that are kept; the default is 1,000. All
	// are asked for anew when there are more.
	MaxEntries int

	// Now is the clock; the default is time.Now.
	Now func() time.Time
}

// A Resolver remembers the models of inference profiles. It is safe for
// concurrent use.
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

// ErrNoModel is the error of an id whose model the control plane does not tell.
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

// Resolve returns the id of the model behind an application inference profile:
// that of a foundation model where the profile has one region, and that of the
// system profile where it has several, such as "us.anthropic.…"; so the scope
// that prices depend on is kept. Another id is returned as it is, if it names
// its model; the error of one that does not is [ErrNoModel].
//
// Who waits for somebody else's request stops waiting when ctx ends; the request
// itself does not depend on it.
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
	// A panic of the API must not leave the others waiting, nor with nothing.
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
	return bedrockkit.ModelID(geography(regions)) + "." + base, nil
}

// geography is the prefix of the system profile that routes to these regions.
// Of prices only the scope matters, which is the same for all but "global".
func geography(regions []string) string {
	all := func(prefixes ...string) bool {
		for _, region := range regions {
			found := false
			for _, prefix := range prefixes {
				found = found || strings.HasPrefix(region, prefix)
			}
			if !found {
				return false
			}
		}
		return true
	}
	for _, region := range regions {
		if region == "" { // "arn:aws:bedrock:::foundation-model/…": any region
			return "global"
		}
	}
	switch {
	case all("us-gov-"):
		return "us-gov"
	case all("us-"):
		return "us"
	case all("eu-"):
		return "eu"
	case all("ca-"):
		return "ca"
	case all("ap-northeast-1", "ap-northeast-3"):
		return "jp"
	case all("ap-southeast-2", "ap-southeast-4"):
		return "au"
	case all("ap-"):
		return "apac"
	case all("us-", "ca-", "sa-"):
		return "amer"
	}
	return "global"
}
