// Package redistickets keeps tickets in Redis, so that a WebSocket may open at another
// process than the one that gave its ticket.
//
//	gate.ShareTickets(redistickets.New(client))
package redistickets

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/mangaassist/bedrockkit/examples/chatserver/auth"
)

const prefix = "manga:ticket:"

// Tickets are tickets in Redis. They are safe for concurrent use.
type Tickets struct{ client redis.Cmdable }

var _ auth.TicketStore = (*Tickets)(nil)

// New returns the tickets of a Redis of version 6.2 or later, or a Valkey.
func New(client redis.Cmdable) *Tickets { return &Tickets{client} }

// Issue implements [auth.TicketStore].
func (t *Tickets) Issue(ctx context.Context, c auth.Caller) (string, error) {
	caller, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	id := rand.Text()
	if err := t.client.Set(ctx, prefix+id, caller, auth.TicketLife).Err(); err != nil {
		return "", fmt.Errorf("keeping a ticket: %w", err)
	}
	return id, nil
}

// Check implements [auth.Checker]. The ticket is used up.
func (t *Tickets) Check(ctx context.Context, id string) (auth.Caller, error) {
	var c auth.Caller
	caller, err := t.client.GetDel(ctx, prefix+id).Bytes()
	switch {
	case errors.Is(err, redis.Nil):
		return c, auth.ErrDenied
	case err != nil:
		return c, fmt.Errorf("looking for a ticket: %w", err)
	}
	if err := json.Unmarshal(caller, &c); err != nil {
		return c, fmt.Errorf("looking for a ticket: %w", err)
	}
	return c, nil
}
