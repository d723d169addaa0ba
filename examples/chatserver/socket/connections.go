package socket

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/mangaassist/bedrockkit/examples/chatserver/auth"
)

// connectionLife is how long an API Gateway keeps a connection (API Gateway quotas,
// WebSocket APIs: connection duration, 2 hours), and a little more.
const connectionLife = 2*time.Hour + 5*time.Minute

// A Connection is what must be known of an API Gateway's connection after $connect,
// as the messages that follow come without headers.
type Connection struct {
	ID      string
	Caller  auth.Caller
	Address string    // for the limits of an address
	Expires time.Time // when the connection is gone, if $disconnect does not come
}

// ErrNoConnection is the error of a connection that the store does not know.
var ErrNoConnection = errors.New("there is no such connection")

// Connections keep what is known of an API Gateway's connections, in this process or
// for all. They are safe for concurrent use.
type Connections interface {
	// Put adds a connection.
	Put(ctx context.Context, c Connection) error

	// Get returns a connection, or [ErrNoConnection] if it was not put, was deleted,
	// or has expired.
	Get(ctx context.Context, id string) (Connection, error)

	// Delete forgets a connection. One that is not there is no error.
	Delete(ctx context.Context, id string) error
}

// MemoryConnections are those of one process. They hold 100,000 at most: then the
// ones that were put first are forgotten.
type MemoryConnections struct {
	mu    sync.Mutex
	known map[string]*list.Element // of Connection
	order *list.List               // the one put last is at the back
}

const mostConnections = 100_000

// NewMemoryConnections returns a store that knows no connection.
func NewMemoryConnections() *MemoryConnections {
	return &MemoryConnections{known: map[string]*list.Element{}, order: list.New()}
}

// Put implements [Connections].
func (m *MemoryConnections) Put(_ context.Context, c Connection) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget(c.ID)
	m.known[c.ID] = m.order.PushBack(c)
	for oldest := m.order.Front(); oldest != nil; oldest = m.order.Front() {
		first := oldest.Value.(Connection)
		if len(m.known) <= mostConnections && time.Now().Before(first.Expires) {
			break
		}
		m.forget(first.ID)
	}
	return nil
}

// Get implements [Connections].
func (m *MemoryConnections) Get(_ context.Context, id string) (Connection, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.known[id]; e != nil && time.Now().Before(e.Value.(Connection).Expires) {
		return e.Value.(Connection), nil
	}
	return Connection{}, ErrNoConnection
}

// Delete implements [Connections].
func (m *MemoryConnections) Delete(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget(id)
	return nil
}

func (m *MemoryConnections) forget(id string) {
	if e := m.known[id]; e != nil {
		m.order.Remove(e)
		delete(m.known, id)
	}
}
