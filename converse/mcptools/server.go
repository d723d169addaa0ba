package mcptools

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mangaassist/bedrockkit/converse"
)

// ErrClosed is the error of a [Server] that was closed.
var ErrClosed = errors.New("mcptools: the server is closed")

// Options are the options of a [Server].
type Options struct {
	// Name is the name of the server in errors, and before the names of tools that
	// [Join] must distinguish. The default is the name that the server reports.
	Name string

	// Client is how the client introduces itself to the server. The default is
	// "bedrockkit".
	Client mcp.Implementation

	// ClientOptions are the options of the MCP client: handlers for elicitation,
	// logging and progress, capabilities. The handlers run in addition to the Server's
	// own.
	ClientOptions mcp.ClientOptions

	// ConnectTimeout bounds starting the server and its handshake, and then each
	// reading of its list of tools. The default is 30 seconds; negative means
	// none.
	ConnectTimeout time.Duration

	// Select reports whether a tool is offered. Nil offers all.
	Select func(*mcp.Tool) bool

	// Approval reports whether each call of a tool needs the consent of
	// converse.Options.Approve. Nil asks for every tool that the server does not
	// declare read-only.
	Approval func(*mcp.Tool) bool

	// ToolTimeout bounds each call of a tool. Zero leaves it to
	// converse.Options.ToolTimeout; negative means none.
	ToolTimeout time.Duration

	// MaxTools is how many tools a server may list, including tools that Select leaves
	// out. More are an error. The default is 1,000.
	MaxTools int

	// Resources also offers a tool named "read_resource", which reads a resource
	// by its URI, if the server has resources. The model needs it to follow the
	// links that tools return.
	Resources bool

	// OnError is called with errors that do not end the request: of a tool that
	// cannot be offered and is left out (a [*ToolError]), and of a list that could
	// not be read again, so that the last one stays in use. If it is nil, a tool
	// that cannot be offered is the error of [Server.Tools]. It may be called by
	// several goroutines at once.
	OnError func(ctx context.Context, err error)
}

// A ToolError says why a tool cannot be offered to a model.
type ToolError struct {
	Server string
	Tool   string
	Err    error
}

// Error names the server and the tool.
func (e *ToolError) Error() string {
	return fmt.Sprintf("mcptools: server %q, tool %q: %v", e.Server, e.Tool, e.Err)
}

// Unwrap returns the cause.
func (e *ToolError) Unwrap() error { return e.Err }

// A Server is the connection of a conversation to an MCP server. It connects when it
// is first used, and again after its connection has ended. It is safe for concurrent
// use.
type Server struct {
	dial   Dial
	o      Options
	client *mcp.Client

	connecting chan struct{} // holds a token while one goroutine connects
	watchers   sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	session *mcp.ClientSession // nil: not connected
	called  string             // what the server calls itself
	changes int                // counts what makes a list old: a notice or another session
	tools   []converse.Tool
	listed  int  // the changes that tools is of
	ever    bool // whether tools was ever listed
	names   namer[string]
}

// New returns a Server that connects over what dial returns.
func New(dial Dial, optFns ...func(*Options)) *Server {
	s := &Server{dial: dial, connecting: make(chan struct{}, 1)}
	for _, option := range optFns {
		option(&s.o)
	}
	s.o.Client.Name = cmp.Or(s.o.Client.Name, "bedrockkit")
	s.o.Client.Version = cmp.Or(s.o.Client.Version, "v0")
	s.o.ConnectTimeout = cmp.Or(s.o.ConnectTimeout, 30*time.Second)
	s.o.MaxTools = cmp.Or(s.o.MaxTools, 1000)

	options := s.o.ClientOptions
	changed := options.ToolListChangedHandler
	options.ToolListChangedHandler = func(ctx context.Context, req *mcp.ToolListChangedRequest) {
		s.mu.Lock()
		s.changes++
		s.mu.Unlock()
		if changed != nil {
			changed(ctx, req)
		}
	}
	implementation := s.o.Client
	s.client = mcp.NewClient(&implementation, &options)
	return s
}

// Session returns the session with the server, for operations that this package does
// not have. It connects if there is none. The session belongs to the Server: do not
// close it.
func (s *Server) Session(ctx context.Context) (*mcp.ClientSession, error) {
	if session, err := s.current(); session != nil || err != nil {
		return session, err
	}
	select {
	case s.connecting <- struct{}{}:
		defer func() { <-s.connecting }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	// Another goroutine may have connected meanwhile.
	if session, err := s.current(); session != nil || err != nil {
		return session, err
	}
	session, err := s.connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("mcptools: connecting to %s: %w", s.label(), err)
	}
	if !s.keep(session) {
		_ = session.Close()
		return nil, ErrClosed
	}
	return session, nil
}

// keep makes a new session the current one, unless the Server was closed.
func (s *Server) keep(session *mcp.ClientSession) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.session = session
	if result := session.InitializeResult(); result != nil && result.ServerInfo != nil {
		s.called = result.ServerInfo.Name
	}
	s.changes++
	s.watchers.Go(func() {
		_ = session.Wait()
		s.drop(session)
	})
	return true
}

func (s *Server) connect(ctx context.Context) (*mcp.ClientSession, error) {
	if s.o.ConnectTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, s.o.ConnectTimeout, fmt.Errorf("no handshake within %s", s.o.ConnectTimeout))
		defer cancel()
	}
	transport, err := s.dial(ctx)
	if err != nil {
		return nil, err
	}
	kept := &keptTransport{Transport: transport}
	stop := context.AfterFunc(ctx, kept.close) // a write that nobody reads does not end with its context
	session, err := s.client.Connect(ctx, kept, nil)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil && ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return session, err
}

// A keptTransport keeps the connection that it has made, so that it can be
// closed while the client still waits for the handshake.
type keptTransport struct {
	mcp.Transport
	mu     sync.Mutex
	conn   mcp.Connection
	closed bool
}

func (t *keptTransport) Connect(ctx context.Context) (mcp.Connection, error) {
	conn, err := t.Transport.Connect(ctx)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.conn = conn
	if t.closed {
		_ = conn.Close()
	}
	return conn, nil
}

func (t *keptTransport) close() {
	t.mu.Lock()
	conn := t.conn
	t.closed = true
	t.mu.Unlock()
	if conn != nil {
		_ = conn.Close()
	}
}

func (s *Server) current() (*mcp.ClientSession, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	return s.session, nil
}

// drop forgets a session that has ended and closes what is left of it.
func (s *Server) drop(session *mcp.ClientSession) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.session == session {
		s.session = nil
		s.watchers.Go(func() { _ = session.Close() })
	}
}

// label is how errors name the server.
func (s *Server) label() string {
	if s.o.Name != "" {
		return fmt.Sprintf("server %q", s.o.Name)
	}
	return "the server"
}

// name is what tools of this server are told apart by.
func (s *Server) name() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return cmp.Or(s.o.Name, s.called)
}

// Close ends the connection and, with [Command], the process. Running calls fail. It
// returns when the goroutines of the connection have ended. How the process exits is
// not an error.
func (s *Server) Close() error {
	s.mu.Lock()
	session := s.session
	s.closed, s.session = true, nil
	s.mu.Unlock()
	var err error
	if session != nil {
		err = session.Close()
	}
	s.watchers.Wait()
	if _, exited := errors.AsType[*exec.ExitError](err); exited {
		return nil
	}
	return err
}

// unreachableError is the error of a call whose server is not there. The model
// reads that, and no more: the cause may name hosts and files.
type unreachableError struct{ err error }

func (e *unreachableError) Error() string   { return e.err.Error() }
func (e *unreachableError) Unwrap() error   { return e.err }
func (*unreachableError) ModelText() string { return "the tool's server cannot be reached now" }

// do makes one request of the current session.
func do[R any](ctx context.Context, s *Server, send func(*mcp.ClientSession) (R, error)) (R, error) {
	session, err := s.Session(ctx)
	if err != nil {
		var none R
		return none, &unreachableError{err}
	}
	result, err := send(session)
	if err != nil && ctx.Err() == nil && isLost(err) {
		s.drop(session)
		err = &unreachableError{err}
	}
	return result, err
}

// isLost reports whether the connection has ended, rather than that the server
// has refused the request.
func isLost(err error) bool {
	for _, end := range []error{mcp.ErrConnectionClosed, mcp.ErrSessionMissing, io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, os.ErrClosed, net.ErrClosed} {
		if errors.Is(err, end) {
			return true
		}
	}
	_, network := errors.AsType[*net.OpError](err)
	return network
}
