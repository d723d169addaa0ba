package main

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/asyncq"
	"github.com/mangaassist/bedrockkit/asyncq/queuetest"
)

// The program starts itself as a worker, and here that is the test's binary.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "-work" {
		main()
		return
	}
	os.Exit(m.Run())
}

// Processes are killed (SIGKILL) while they work.
func TestKilledWorkers(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	var out strings.Builder
	require.NoError(t, run(ctx, &out, 100, 2))
	assert.Equal(t, `submitted 100 analyses
started a worker
killed the worker in the middle of its work
started another worker
killed the worker in the middle of its work
started another worker
100 accepted = 100 completed + 0 dead letters; 100 results
the first one: Pirates, friendship and a very long voyage: volume 1 of One Piece.
`, out.String())
}

func TestRemoteStatus(t *testing.T) {
	queuetest.TestStatusStore(t, func(t *testing.T) asyncq.StatusStore {
		url, stop, err := serve(t.Context())
		require.NoError(t, err)
		t.Cleanup(stop)
		return remoteStatus(url + "/status/")
	})
}
