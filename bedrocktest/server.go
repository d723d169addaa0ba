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
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"

	"github.com/mangaassist/bedrockkit"
)

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
	gate   gate           // of Options.MaxInFlight

	mu          sync.Mutex
	closed      bool
	queue       []*Reply
	scripted    int // replies that were queued
	hooks       []*Hook
	requests    []*Request
	kept        int64 // bytes of the bodies of requests
	received    int   // requests, those that were forgotten included
	unexpected  []string
	cache       map[uint64]cacheEntry
	accounts    map[bedrockkit.ModelID]*account
	invocations []*job // asynchronous ones
	batches     []*job
	jobCount    int   // jobs of both kinds, those that were forgotten included
	faultCount  []int // the requests that each fault has seen
}

// New starts a server for a program. It must be closed.
func New(optFns ...func(*Options)) (*Server, error) {
	var opts Options
	for _, fn := range optFns {
		fn(&opts)
	}
	if err := opts.resolve(); err != nil {
		return nil, err
	}
	s := &Server{opts: opts, gate: gate{free: opts.MaxInFlight}, done: make(chan struct{}), cache: make(map[uint64]cacheEntry),
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
	s, err := New(append([]func(*Options){func(o *Options) { o.KeepRequests, o.KeepBytes = math.MaxInt, math.MaxInt64 }}, optFns...)...)
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
			problems = append(problems, fmt.Sprintf("a Control hook of %s was never called", orAny(h.op)))
		}
	}
	return problems
}

func orAny(op bedrockkit.Operation) string {
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
	s.queue, s.scripted, s.hooks, s.requests, s.kept, s.received, s.unexpected = nil, 0, nil, nil, 0, 0, nil
	s.invocations, s.batches, s.jobCount = nil, nil, 0
	clear(s.cache)
	clear(s.accounts)
	clear(s.faultCount)
}
