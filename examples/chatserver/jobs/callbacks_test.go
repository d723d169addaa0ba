package jobs_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/asyncq/webhook"
	"github.com/mangaassist/bedrockkit/examples/chatserver/jobs"
	"github.com/mangaassist/bedrockkit/examples/chatserver/rest"
)

// From a batch to the caller's receiver, which verifies, fails twice and then
// accepts. The secret of another caller is no good there.
func TestCallbacks(t *testing.T) {
	secrets, err := jobs.NewSecrets(webhook.NewSecret())
	require.NoError(t, err)
	type call struct {
		id    string
		event webhook.Event
	}
	var mu sync.Mutex
	var calls []call
	accepted := make(chan struct{})
	receive := func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		var c call
		c.id = webhook.ID(r.Context())
		assert.NoError(t, json.NewDecoder(r.Body).Decode(&c.event))
		calls = append(calls, c)
		if len(calls) < 3 {
			http.Error(w, "not now", http.StatusServiceUnavailable)
			return
		}
		close(accepted)
	}
	receiver, err := webhook.NewReceiver(http.HandlerFunc(receive), secrets.Of("alice"))
	require.NoError(t, err)
	site := httptest.NewServer(receiver)
	defer site.Close()
	policy := jobs.ToThisMachine(netip.MustParseAddrPort(strings.TrimPrefix(site.URL, "http://")).Port())
	s, _ := start(t, func(b *jobs.Backend) {
		b.Callbacks, b.Secrets = &policy, secrets
		b.Webhooks, err = jobs.NewWebhooks(webhook.NewMemoryStore(), secrets, policy, func(o *webhook.Options) {
			o.Schedule, o.PollInterval = []time.Duration{0, 0, 0, 0}, 10*time.Millisecond
		})
		require.NoError(t, err)
		t.Cleanup(b.Webhooks.Close)
	})
	known, err := s.CallbackSecret(as(t, "alice"))
	require.NoError(t, err)
	assert.Equal(t, secrets.Of("alice")[0], known, "the caller can ask for its secret")
	other, err := s.CallbackSecret(as(t, "bob"))
	require.NoError(t, err)
	assert.NotEqual(t, known, other)

	b := batchOf(jobs.ReadingLevel)
	b.CallbackURL = site.URL + "/done"
	ids, err := s.Submit(as(t, "alice"), b)
	require.NoError(t, err)
	select {
	case <-accepted:
	case <-time.After(30 * time.Second):
		t.Fatal("no callback was accepted")
	}
	mu.Lock()
	defer mu.Unlock()
	require.Len(t, calls, 3)
	assert.Equal(t, calls[0].id, calls[2].id, "by its id a receiver knows what it has seen")
	assert.Equal(t, "job.completed", calls[2].event.Type)
	assert.Equal(t, ids[0], calls[2].event.Data.RequestID)
	status, err := s.Status(as(t, "alice"), ids[0])
	require.NoError(t, err)
	assert.Equal(t, "completed", status.State)
}

// What the server must not call is refused when the batch is submitted.
func TestCallbackURLs(t *testing.T) {
	policy := jobs.ToThisMachine(9000)
	s, fake := start(t, func(b *jobs.Backend) { b.Callbacks = &policy })
	for _, url := range []string{"https://10.0.0.1/", "https://169.254.169.254/latest/meta-data", "http://127.0.0.1:9001/", "http://10.0.0.1:9000/", "https://user:pw@shop.example/"} {
		b := batchOf(jobs.ReadingLevel)
		b.CallbackURL = url
		_, err := s.Submit(t.Context(), b)
		var invalid *rest.InvalidError
		require.ErrorAs(t, err, &invalid, url)
		assert.Equal(t, "/callback_url", invalid.Details[0].Path)
		assert.NotContains(t, err.Error(), "pw@")
	}
	assert.Empty(t, fake.Requests())
	_, err := s.CallbackSecret(t.Context())
	assert.ErrorIs(t, err, rest.ErrNotFound, "there is none")
}

func TestSecrets(t *testing.T) {
	newer, older := webhook.NewSecret(), webhook.NewSecret()
	s, err := jobs.NewSecrets(newer + "\n" + older)
	require.NoError(t, err)
	alone, err := jobs.NewSecrets(newer)
	require.NoError(t, err)
	require.Len(t, s.Of("a"), 2)
	assert.Equal(t, alone.Of("a")[0], s.Of("a")[0], "the first one signs first")
	assert.NotEqual(t, s.Of("a"), s.Of("b"))
	for _, text := range []string{fmt.Sprint(s), fmt.Sprintf("%+v %#v", s, s)} {
		assert.NotContains(t, text, "whsec_")
		assert.Contains(t, text, "2 secrets")
	}
	for _, bad := range []string{"", "whsec_short", "canary", strings.Repeat(newer+" ", 5)} {
		_, err := jobs.NewSecrets(bad)
		require.ErrorIs(t, err, webhook.ErrSecret)
		assert.NotContains(t, err.Error(), "canary")
	}
}
