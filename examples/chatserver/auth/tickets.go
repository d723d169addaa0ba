package auth

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"time"
)

// TicketLife is how long a ticket is good.
const TicketLife = 30 * time.Second

const mostTickets = 10_000

// A TicketStore keeps tickets: in this process ([Tickets]), or for all of them
// (package redistickets). It is safe for concurrent use.
type TicketStore interface {
	// Issue gives a caller a ticket.
	Issue(ctx context.Context, c Caller) (string, error)

	// Checker takes a ticket, which is then used up.
	Checker
}

// Tickets let a caller open one connection without a header: the ticket is in the
// URL, where it may be logged, so it is good once and for half a minute. It is a
// [Checker], and safe for concurrent use.
type Tickets struct {
	mu   sync.Mutex
	out  map[string]ticket
	next time.Time // when those that have expired are looked for
}

type ticket struct {
	caller  Caller
	expires time.Time
}

// NewTickets returns a box without tickets.
func NewTickets() *Tickets { return &Tickets{out: map[string]ticket{}} }

// errTickets is the error of a ticket too many.
var errTickets = errors.New("too many tickets are out")

// Issue implements [TicketStore]. It fails if 10,000 tickets are out.
func (t *Tickets) Issue(_ context.Context, c Caller) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if now.After(t.next) || len(t.out) >= mostTickets {
		for id, ticket := range t.out {
			if now.After(ticket.expires) {
				delete(t.out, id)
			}
		}
		t.next = now.Add(TicketLife)
	}
	if len(t.out) >= mostTickets {
		return "", errTickets
	}
	id := rand.Text()
	t.out[id] = ticket{c, now.Add(TicketLife)}
	return id, nil
}

// Check implements [Checker]. The ticket is used up.
func (t *Tickets) Check(_ context.Context, id string) (Caller, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	found, ok := t.out[id]
	delete(t.out, id)
	if !ok || time.Now().After(found.expires) {
		return Caller{}, ErrDenied
	}
	return found.caller, nil
}
