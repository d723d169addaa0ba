package redistickets_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/examples/chatserver/auth"
	"github.com/mangaassist/bedrockkit/examples/chatserver/auth/redistickets"
	"github.com/mangaassist/bedrockkit/internal/servertest"
)

func TestTickets(t *testing.T) {
	addr, kill := servertest.Redis(t)
	client := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1})
	defer client.Close()
	tickets := redistickets.New(client)
	who := auth.Caller{ID: "key A", Name: "漫画", Expires: time.Now().Add(time.Hour).UTC().Truncate(time.Second)}
	id, err := tickets.Issue(t.Context(), who)
	require.NoError(t, err)
	life, err := client.TTL(t.Context(), "manga:ticket:"+id).Result()
	require.NoError(t, err)
	assert.LessOrEqual(t, life, auth.TicketLife)
	assert.Positive(t, life)
	got, err := redistickets.New(client).Check(t.Context(), id)
	require.NoError(t, err)
	assert.Equal(t, who, got)
	for _, id := range []string{id, "", "*", "other"} {
		_, err = tickets.Check(t.Context(), id)
		require.ErrorIs(t, err, auth.ErrDenied, "it is good once")
	}
	id, err = tickets.Issue(t.Context(), who)
	require.NoError(t, err)
	kill()
	_, err = tickets.Check(t.Context(), id)
	require.Error(t, err)
	assert.NotErrorIs(t, err, auth.ErrDenied, "it is not known if it is good")
	_, err = tickets.Issue(t.Context(), who)
	require.Error(t, err)
}
