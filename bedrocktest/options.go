package bedrocktest

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/mangaassist/bedrockkit"
)

// Options configure a [Server].
type Options struct {
	// Addr is the address to listen on. It must be a loopback address. The
	// default is 127.0.0.1:0, a free port. It is not used with InProcess.
	Addr string

	// InProcess makes the server listen on no socket: only the clients that it
	// hands out reach it. It can then live in a testing/synctest bubble. Create
	// the server inside of the bubble.
	InProcess bool

	// HTTP2 makes the clients that the server hands out speak HTTP/2 without
	// TLS and with prior knowledge. The default is HTTP/1.1. The server itself
	// always takes both.
	HTTP2 bool

	// Responder answers the inference requests that no script answers. The
	// default is none: such a request gets status 501 and fails the test.
	Responder Responder

	// Region is that of the clients. The default is us-east-1.
	Region string

	// AccessKeyID and Secret are what requests must be signed with. The
	// default secret is none: any well-formed signature is taken. The clients
	// that the server hands out use them, or dummies.
	AccessKeyID, Secret string

	// BearerToken is the API key that is taken as Bearer token. The default is
	// none: any is taken.
	BearerToken string

	// Models are further ids that are known, beside those of the table of models
	// ([bedrockkit.Models]): each also with every profile prefix and inside of an
	// ARN. Nothing is refused for what such a model is.
	Models []bedrockkit.ModelID

	// AnyModel takes every model id.
	AnyModel bool

	// AllowEnded lets models answer that have reached the end of their life. The
	// default is that they get 404 ResourceNotFoundException: those that had ended
	// by the date of the table of models or, if Now is set, by that clock.
	AllowEnded bool

	// Ignore are rules that are not enforced. The default is none.
	Ignore []Rule

	// Profiles says which model is behind an id that does not name it, such as
	// the ARN of an application inference profile. The default is none: such
	// ids are taken, and InvokeModel looks at the body.
	Profiles map[bedrockkit.ModelID]bedrockkit.ModelID

	// CacheMinTokens is the shortest prompt prefix that is cached. The default
	// is the model's, 1,024 for most.
	CacheMinTokens int64

	// Pace is how fast streams are sent, in output tokens a second. The
	// default is 0: as fast as they are read.
	Pace float64

	// MaxBody bounds a request's body in bytes. The default is 25,000,000.
	// More gets status 413.
	MaxBody int64

	// KeepRequests is how many requests [Server.Requests] remembers, the newest
	// ones. The default is 1,000 for [New], so that a program can run for long,
	// and all for [NewServer]. Negative means none.
	KeepRequests int

	// KeepBytes bounds what is remembered of requests, by the size of their
	// bodies: the oldest are forgotten first. The default is 64 MiB for [New]
	// and no bound for [NewServer].
	KeepBytes int64

	// MaxInFlight bounds the bodies of the requests that are served at once, in
	// bytes; a request that does not fit waits. It is at least MaxBody. The
	// default is 0: no bound.
	MaxInFlight int64

	// Guardrails that requests may name. The default is none.
	Guardrails []Guardrail

	// JobDuration is how long asynchronous invocations and batch jobs take by
	// the clock Now. The default is 0: they are done when they are asked for.
	JobDuration time.Duration

	// Batch says how batch jobs run: where they read and write, and what goes
	// wrong. By default they only pass through their statuses.
	Batch Batch

	// Faults make some of the requests go wrong. See [Fault] and [ParseFault].
	Faults []Fault

	// Seed is what the chances of Faults are drawn from. The same seed and
	// the same requests give the same faults.
	Seed uint64

	// Quotas by model: the id that is called or the base model behind it. The
	// default is none.
	Quotas map[bedrockkit.ModelID]Quota

	// Now is the clock of quotas, prompt caches, jobs and request times. It must
	// not call the server. The default is time.Now, which inside of a synctest
	// bubble is the bubble's clock.
	Now func() time.Time

	ownClock bool // Now was set
}

const (
	defaultMaxBody   = 25_000_000
	defaultKeep      = 1000
	defaultKeepBytes = 64 << 20
)

// resolve fills in the defaults, or says which option cannot be.
func (o *Options) resolve() error {
	if o.Pace < 0 || math.IsNaN(o.Pace) {
		return fmt.Errorf("bedrocktest: a pace of %v tokens a second; it is 0 or more", o.Pace)
	}
	for i, f := range o.Faults {
		if err := f.check(); err != nil {
			return fmt.Errorf("bedrocktest: fault %d: %w", i+1, err)
		}
	}
	for _, g := range o.Guardrails {
		if err := g.check(); err != nil {
			return fmt.Errorf("bedrocktest: guardrail %q: %w", g.ID, err)
		}
	}
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	if o.Region == "" {
		o.Region = "us-east-1"
	}
	if o.AccessKeyID == "" {
		o.AccessKeyID = "AKIDEXAMPLE"
	}
	if o.MaxBody <= 0 {
		o.MaxBody = defaultMaxBody
	}
	o.Batch = o.Batch.resolved()
	if o.KeepRequests == 0 {
		o.KeepRequests = defaultKeep
	}
	if o.KeepBytes == 0 {
		o.KeepBytes = defaultKeepBytes
	}
	if o.MaxInFlight != 0 {
		o.MaxInFlight = max(o.MaxInFlight, o.MaxBody)
	}
	for _, r := range o.Ignore {
		if !slices.Contains(Rules(), r) {
			return fmt.Errorf("bedrocktest: there is no rule %q; the rules are %v", r, Rules())
		}
	}
	o.ownClock = o.Now != nil
	if o.Now == nil {
		o.Now = time.Now
	}
	return nil
}
