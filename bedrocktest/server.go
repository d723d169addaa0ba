package bedrocktest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"

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

	// Models are the ids that are known, each also with every profile prefix
	// and inside of an ARN. The default is those that Bedrock has.
	Models []bedrockkit.ModelID

	// AnyModel takes every model id.
	AnyModel bool

	// Profiles says which model is behind an id that does not tell, such as
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
	// and all for [NewServer]; negative means all.
	KeepRequests int

	// Guardrails that requests may name. The default is none.
	Guardrails []Guardrail

	// JobDuration is how long asynchronous invocations and batch jobs take by
	// the clock Now. The default is 0: they are done when they are asked for.
	JobDuration time.Duration

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
}

const defaultMaxBody = 25_000_000

// A Server is a fake Bedrock. Its methods may be called by many goroutines.
type Server struct {
	opts Options
	ln   net.Listener
	mem  *memListener // with InProcess
	http *http.Server
	rt   *http.Transport
	done chan struct{} // closed when Serve has returned

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	active sync.WaitGroup // requests, and connections

	mu          sync.Mutex
	closed      bool
	queue       []*Reply
	scripted    int // replies that were queued
	hooks       []*Hook
	requests    []*Request
	received    int // requests, those that were forgotten included
	unexpected  []string
	cache       map[uint64]cacheEntry
	accounts    map[bedrockkit.ModelID]*account
	invocations []*job // asynchronous ones
	batches     []*job
	faultCount  []int // the requests that each fault has seen
}

// New starts a server for a program. It must be closed.
func New(optFns ...func(*Options)) (*Server, error) {
	var opts Options
	for _, fn := range optFns {
		fn(&opts)
	}
	if opts.Addr == "" {
		opts.Addr = "127.0.0.1:0"
	}
	if opts.Region == "" {
		opts.Region = "us-east-1"
	}
	if opts.AccessKeyID == "" {
		opts.AccessKeyID = "AKIDEXAMPLE"
	}
	if opts.Pace < 0 || math.IsNaN(opts.Pace) {
		return nil, fmt.Errorf("bedrocktest: a pace of %v tokens a second; it is 0 or more", opts.Pace)
	}
	for i, f := range opts.Faults {
		if err := f.check(); err != nil {
			return nil, fmt.Errorf("bedrocktest: fault %d: %w", i+1, err)
		}
	}
	for _, g := range opts.Guardrails {
		if err := g.check(); err != nil {
			return nil, fmt.Errorf("bedrocktest: guardrail %q: %w", g.ID, err)
		}
	}
	if opts.MaxBody <= 0 {
		opts.MaxBody = defaultMaxBody
	}
	if opts.KeepRequests == 0 {
		opts.KeepRequests = 1000
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	s := &Server{opts: opts, done: make(chan struct{}), cache: make(map[uint64]cacheEntry),
		accounts: make(map[bedrockkit.ModelID]*account), faultCount: make([]int, len(opts.Faults))}
	if err := s.listen(); err != nil {
		return nil, err
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.rt = newTransport(s.DialContext, opts.HTTP2)
	var both http.Protocols
	both.SetHTTP1(true)
	both.SetUnencryptedHTTP2(true)
	s.http = &http.Server{
		Handler:           s,
		Protocols:         &both,
		ReadHeaderTimeout: 30 * time.Second,
		ConnContext:       func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) },
		ConnState:         s.connState,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: 10_000},
		ErrorLog:          discardLog,
	}
	go func() {
		defer close(s.done)
		s.http.Serve(s.ln)
	}()
	return s, nil
}

func (s *Server) listen() error {
	if s.opts.InProcess {
		s.mem = newMemListener()
		s.ln = s.mem
		return nil
	}
	host, _, err := net.SplitHostPort(s.opts.Addr)
	if err != nil {
		return fmt.Errorf("bedrocktest: the address %q: %w", s.opts.Addr, err)
	}
	// Only loopback: the server answers anyone who can reach it.
	ip, err := netip.ParseAddr(host)
	if host != "localhost" && (err != nil || !ip.IsLoopback()) {
		return fmt.Errorf("bedrocktest: the address %q is not on the loopback interface; use 127.0.0.1, [::1] or localhost", s.opts.Addr)
	}
	s.ln, err = net.Listen("tcp", s.opts.Addr)
	if err != nil {
		return fmt.Errorf("bedrocktest: %w", err)
	}
	return nil
}

// NewServer starts a server for a test and closes it when the test ends. It
// then fails the test if a scripted reply or a hook was not used, or if a
// request came that nothing answered; if the test has failed, it logs what was
// asked and answered.
func NewServer(tb testing.TB, optFns ...func(*Options)) *Server {
	tb.Helper()
	s, err := New(append([]func(*Options){func(o *Options) { o.KeepRequests = -1 }}, optFns...)...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		s.Close()
		for _, problem := range s.problems() {
			tb.Error("bedrocktest: " + problem)
		}
		if tb.Failed() {
			tb.Log(s.Log())
		}
	})
	return s
}

// problems are what a script and the requests that came differ in.
func (s *Server) problems() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	problems := slices.Clone(s.unexpected)
	if n := len(s.queue); n > 0 {
		problems = append(problems, fmt.Sprintf("%d of %d scripted replies were not used; %d requests came", n, s.scripted, s.received))
	}
	for _, h := range s.hooks {
		if !h.kept && h.calls == 0 {
			problems = append(problems, fmt.Sprintf("a Control hook of %s was never called", h.op.orAny()))
		}
	}
	return problems
}

func (op Op) orAny() string {
	if op == AnyOp {
		return "any operation"
	}
	return string(op)
}

// connState counts the connections, so that Close leaves none of net/http's
// goroutines behind.
func (s *Server) connState(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.active.Add(1)
	case http.StateClosed, http.StateHijacked:
		s.active.Done()
	}
}

// Close stops the server: it breaks all connections and returns when no
// request is being served any more: so a hook or a Responder, which it waits
// for, must not call it. It may be called more than once.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	err := s.http.Close()
	<-s.done
	s.rt.CloseIdleConnections()
	s.active.Wait()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	return err
}

// URL is the server's endpoint, as "http://127.0.0.1:43121".
func (s *Server) URL() string {
	if s.mem != nil {
		return "http://bedrock-runtime.test"
	}
	return "http://" + s.ln.Addr().String()
}

// DialContext connects to the server, whatever the address says. It is that of
// an [http.Transport], for clients of your own.
func (s *Server) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	if s.mem != nil {
		return s.mem.dial(ctx)
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", s.ln.Addr().String())
}

// HTTPClient returns an HTTP client that reaches the server. It hides a defect
// of the AWS SDK (smithy-go v1.28.8): on HTTP/1.1 its request bodies fail after
// they were sent, and net/http then breaks the connection under the response.
func (s *Server) HTTPClient() *http.Client {
	return &http.Client{Transport: plainBody{s.rt}}
}

func newTransport(dial func(context.Context, string, string) (net.Conn, error), http2 bool) *http.Transport {
	var p http.Protocols
	p.SetHTTP1(!http2)
	p.SetUnencryptedHTTP2(http2)
	return &http.Transport{
		DialContext:         dial,
		Protocols:           &p,
		MaxIdleConnsPerHost: 1024,
		DisableCompression:  true,
	}
}

// plainBody hides the WriteTo method of request bodies.
type plainBody struct{ next http.RoundTripper }

func (t plainBody) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody {
		r = r.Clone(r.Context())
		r.Body = struct{ readCloser }{r.Body}
	}
	return t.next.RoundTrip(r)
}

func (t plainBody) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

type readCloser interface {
	Read([]byte) (int, error)
	Close() error
}

// Config returns an AWS configuration for the server: its endpoint, region,
// HTTP client and credentials. All else is the SDK's default, its retries
// included.
func (s *Server) Config() aws.Config {
	return aws.Config{
		Region:       s.opts.Region,
		BaseEndpoint: aws.String(s.URL()),
		HTTPClient:   s.HTTPClient(),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			secret := s.opts.Secret
			if secret == "" {
				secret = "no-secret-at-all"
			}
			return aws.Credentials{AccessKeyID: s.opts.AccessKeyID, SecretAccessKey: secret, Source: "bedrocktest"}, nil
		}),
	}
}

// Client returns a client of Bedrock Runtime for the server.
func (s *Server) Client(optFns ...func(*bedrockruntime.Options)) *bedrockruntime.Client {
	return bedrockruntime.NewFromConfig(s.Config(), optFns...)
}

// Reply queues replies for the next inference requests, whatever their
// operation: first in, first out. A request that the server refuses, as
// Bedrock would, takes none.
func (s *Server) Reply(replies ...*Reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, replies...)
	s.scripted += len(replies)
}

// A Hook is a function that was registered with [Server.Control].
type Hook struct {
	s     *Server
	op    Op
	fn    Responder
	kept  bool
	busy  bool // it is being called
	spent bool // it has answered and was dropped
	calls int
}

// Control runs fn on the next request of an operation, before the server looks
// at it: it may look, wait, or answer by returning a Reply, an error included.
// A hook that has answered is dropped; one that returned nil stays, and the
// request goes on to the next hook. Hooks run in the order in which they were
// registered, before scripted replies. A hook serves one request at a time:
// others that come meanwhile pass it by, unless it is kept.
func (s *Server) Control(op Op, fn Responder) *Hook {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := &Hook{s: s, op: op, fn: fn}
	s.hooks = append(s.hooks, h)
	return h
}

// Keep makes the hook stay after it has answered. It then need not be called
// at all.
func (h *Hook) Keep() *Hook {
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	h.kept = true
	if h.spent { // a request came between Control and Keep
		h.spent = false
		h.s.hooks = append(h.s.hooks, h)
	}
	return h
}

// Remove drops the hook.
func (h *Hook) Remove() {
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	h.spent = false
	h.remove()
}

// remove is called with the server's lock.
func (h *Hook) remove() {
	h.s.hooks = slices.DeleteFunc(h.s.hooks, func(o *Hook) bool { return o == h })
}

// control asks the hooks. A hook that is not kept serves one request at a time:
// another that comes meanwhile passes it by, and it is dropped in the moment in
// which it is free again, or a third would find it.
func (s *Server) control(ctx context.Context, req *Request) *Reply {
	s.mu.Lock()
	hooks := slices.Clone(s.hooks)
	s.mu.Unlock()
	for _, h := range hooks {
		if !h.claim(req.Op) {
			continue
		}
		if r := h.call(ctx, req); r != nil {
			return r
		}
	}
	return nil
}

// call releases the hook in any case, also if its function panics.
func (h *Hook) call(ctx context.Context, req *Request) (r *Reply) {
	defer func() { h.release(r != nil) }()
	return h.fn(ctx, req)
}

func (h *Hook) claim(op Op) bool {
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	if h.op != AnyOp && h.op != op || h.busy && !h.kept || !slices.Contains(h.s.hooks, h) {
		return false
	}
	h.busy = true
	h.calls++
	return true
}

func (h *Hook) release(answered bool) {
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	h.busy = false
	if answered && !h.kept {
		h.remove()
		h.spent = true
	}
}

// next takes a scripted reply.
func (s *Server) next() *Reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return nil
	}
	r := s.queue[0]
	s.queue = s.queue[1:]
	return r
}

// Requests returns what was received so far, in order of arrival. The values
// are copies; their headers and bodies must not be changed.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	requests := make([]Request, len(s.requests))
	for i, r := range s.requests {
		requests[i] = *r
	}
	return requests
}

// Reset forgets the requests, the scripted replies, the hooks, the jobs,
// the prompt caches and what was used of the quotas.
func (s *Server) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue, s.scripted, s.hooks, s.requests, s.received, s.unexpected = nil, 0, nil, nil, 0, nil
	s.invocations, s.batches = nil, nil
	clear(s.cache)
	clear(s.accounts)
	clear(s.faultCount)
}

// Log is the conversation so far, for people: what was asked and how it was
// answered, texts cut to a line.
func (s *Server) Log() string {
	var b strings.Builder
	requests := s.Requests()
	fmt.Fprintf(&b, "bedrocktest: %d requests", len(requests))
	for _, r := range requests {
		name := string(r.Op)
		if name == "" {
			name = r.Method + " " + r.Path
		}
		fmt.Fprintf(&b, "\n#%d %s %s (%s)", r.N, name, r.Model, r.Proto)
		for _, t := range r.System {
			fmt.Fprintf(&b, "\n     system: %s", line(t))
		}
		for _, m := range r.Messages {
			for _, blk := range m.Blocks {
				fmt.Fprintf(&b, "\n     %s: %s", m.Role, blk.describe())
			}
		}
		o := r.Outcome
		fmt.Fprintf(&b, "\n  -> %d", o.Status)
		if o.Code != "" {
			b.WriteString(" " + o.Code)
		}
		if o.Events > 0 {
			fmt.Fprintf(&b, ", %d events", o.Events)
		}
		fmt.Fprintf(&b, ", %d bytes", o.Bytes)
		if o.End != "" {
			fmt.Fprintf(&b, ", %s", o.End)
		}
		if !o.Done {
			b.WriteString(", not finished")
		}
	}
	return b.String()
}

func (b Block) describe() string {
	switch {
	case b.ToolUse != nil:
		return fmt.Sprintf("calls %s(%s) %s", b.ToolUse.Name, line(string(b.ToolUse.Input)), b.ToolUse.ID)
	case b.ToolResult != nil:
		status := ""
		if b.ToolResult.Error {
			status = "error "
		}
		return fmt.Sprintf("result of %s: %s%s", b.ToolResult.ID, status, line(b.ToolResult.Text()))
	case b.Reasoning != nil:
		return "reasoning: " + line(b.Reasoning.Text)
	case b.Text != "":
		return line(b.Text)
	}
	return line(string(b.Raw))
}

func line(s string) string {
	const limit = 200
	s = strings.Join(strings.Fields(s), " ")
	if runes := []rune(s); len(runes) > limit {
		s = string(runes[:limit]) + "…"
	}
	return s
}
