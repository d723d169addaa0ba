package pgvector_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mangaassist/bedrockkit/examples/chatserver/retrieve"
	"github.com/mangaassist/bedrockkit/examples/chatserver/retrieve/pgvector"
	"github.com/mangaassist/bedrockkit/examples/chatserver/retrieve/retrievetest"
	"github.com/mangaassist/bedrockkit/internal/servertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open starts a PostgreSQL and returns a function that opens a table in it.
func open(t *testing.T) opener {
	dsn, ok := servertest.PostgreSQL(t)
	if !ok {
		t.Skip("PGlite is not installed: npm ci --prefix internal/servertest/node")
	}
	return func(t *testing.T, table string) *pgvector.Store {
		store, err := pgvector.Open(dsn, table)
		require.NoError(t, err)
		t.Cleanup(store.Close)
		return store
	}
}

func TestStore(t *testing.T) {
	table := open(t) // which takes a while
	t.Run("conformance", func(t *testing.T) { conformance(t, table) })
	t.Run("mistakes", func(t *testing.T) { mistakes(t, table) })
}

type opener func(t *testing.T, table string) *pgvector.Store

func conformance(t *testing.T, table opener) {
	n := 0
	retrievetest.Run(t, func(t *testing.T) retrieve.Store {
		n++
		store := table(t, fmt.Sprint("documents_", n))
		require.NoError(t, store.Create(t.Context(), retrievetest.Dimensions))
		require.NoError(t, store.Create(t.Context(), retrievetest.Dimensions), "what is there stays")
		return store
	})
}

func mistakes(t *testing.T, table opener) {
	store := table(t, "select") // a word of SQL
	entry := retrieve.Entry{Document: retrieve.Document{ID: "a", Text: "a secret"}, Vector: retrieve.Vector{1, 0, 0}}
	err := store.Put(t.Context(), []retrieve.Entry{entry})
	assert.ErrorContains(t, err, "make the table with Create")
	assert.NotContains(t, err.Error(), "a secret")
	_, err = store.Search(t.Context(), retrieve.Query{Vector: retrieve.Vector{1, 0, 0}, K: 1})
	assert.ErrorContains(t, err, "make the table with Create")

	require.NoError(t, store.Create(t.Context(), 3))
	require.NoError(t, store.Put(t.Context(), []retrieve.Entry{entry}))
	_, err = store.Search(t.Context(), retrieve.Query{Vector: retrieve.Vector{1, 0}, K: 1})
	assert.ErrorContains(t, err, "the length that it was made for")

	entry.Text = "a\x00b"
	assert.ErrorIs(t, store.Put(t.Context(), []retrieve.Entry{entry}), retrieve.ErrInvalid)
	assert.ErrorIs(t, store.Create(t.Context(), 0), retrieve.ErrInvalid)

	_, err = pgvector.Open("postgres://localhost/shop", `manga"; DROP TABLE manga; --`)
	assert.ErrorIs(t, err, retrieve.ErrInvalid)
	_, err = pgvector.Open("postgres://user:hunter2@localhost:port/shop", "manga")
	if assert.Error(t, err) {
		assert.NotContains(t, err.Error(), "hunter2")
	}
	lost, err := pgvector.Open("postgres://user:hunter2@127.0.0.1:1/shop", "manga")
	require.NoError(t, err, "it connects when it is used")
	defer lost.Close()
	err = lost.Delete(t.Context(), "a")
	if assert.Error(t, err) {
		assert.False(t, errors.Is(err, retrieve.ErrInvalid))
		assert.NotContains(t, err.Error(), "hunter2")
	}
}
