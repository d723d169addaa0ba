package jobs_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/asyncq"
	"github.com/mangaassist/bedrockkit/examples/chatserver/jobs"
	"github.com/mangaassist/bedrockkit/examples/chatserver/rest"
)

const forwardedBy = "5b4c1c1e-8b0a-4c39-9d35-0d2f4d1a9c11"

func forwardedMessage(first int, callback, items string) string {
	return fmt.Sprintf(`{"batch":1,"request_id":%q,"caller":"key-1","first":%d,"priority":"high","callback_url":%q,"items":[%s]}`, forwardedBy, first, callback, items)
}

// A batch of API Gateway is done under the ids that it has given out, once.
func TestForwarded(t *testing.T) {
	s, fake := start(t, nil)
	message := forwardedMessage(20, "", `{"manga_id":"MNG-ONEPIECE","analysis_type":"reading_level","additional_context":"a\u0000b"},
		{"manga_id":"MNG-ZZZZZZZZ","analysis_type":"reading_level"},{"manga_id":"MNG-ONEPIECE","analysis_type":"sales"}`)
	ctx := as(t, "key-1")
	require.NoError(t, s.SubmitForwarded(ctx, message))
	var status rest.Status
	require.Eventually(t, func() bool {
		var err error
		status, err = s.Status(ctx, forwardedBy[:33]+"020")
		return assert.NoError(t, err) && !status.CompletedAt.IsZero()
	}, 30*time.Second, 5*time.Millisecond)
	assert.Equal(t, "completed", status.State, status.Error)
	assert.Equal(t, "high", status.Priority)
	unknown, err := s.Status(ctx, forwardedBy[:33]+"021")
	require.NoError(t, err)
	assert.Equal(t, "failed", unknown.State)
	assert.Equal(t, "The catalogue has no such manga.", unknown.Error)
	invalid, err := s.Status(ctx, forwardedBy[:33]+"022")
	require.NoError(t, err)
	assert.Equal(t, "failed", invalid.State)
	_, err = s.Status(as(t, "key-2"), forwardedBy[:33]+"020")
	require.Error(t, err, "it is somebody else's")

	asked := len(fake.Requests())
	require.NoError(t, s.SubmitForwarded(ctx, message), "SQS has given it out again")
	assert.Equal(t, asked, len(fake.Requests()))

	require.NoError(t, s.SubmitForwarded(ctx, strings.ReplaceAll(forwardedMessage(30, "https://127.0.0.1/", `{"manga_id":"MNG-ONEPIECE","analysis_type":"reading_level"}`), "5b4c", "6b4c")))
	refused, err := s.Status(ctx, "6"+forwardedBy[1:33]+"030")
	require.NoError(t, err)
	assert.Equal(t, "The callback_url is not one that this server calls.", refused.Error)
}

func TestForwardedRefused(t *testing.T) {
	s, _ := start(t, nil)
	item := `{"manga_id":"MNG-ONEPIECE","analysis_type":"reading_level"}`
	good := forwardedMessage(0, "", item)
	for name, message := range map[string]string{
		"no JSON":   "x",
		"version":   strings.Replace(good, `"batch":1`, `"batch":2`, 1),
		"id":        strings.Replace(good, forwardedBy, "test-invoke-request", 1),
		"priority":  strings.Replace(good, "high", "highest", 1),
		"caller":    strings.Replace(good, `"key-1"`, `""`, 1),
		"no items":  forwardedMessage(0, "", ""),
		"too many":  forwardedMessage(0, "", strings.Repeat(item+",", 10)+item),
		"too late":  forwardedMessage(100, "", item),
		"too early": forwardedMessage(-1, "", item),
	} {
		require.ErrorIs(t, s.SubmitForwarded(t.Context(), message), jobs.ErrForwarded, name)
	}
}

// downStatus is a store of statuses that does not answer.
type downStatus struct{ asyncq.StatusStore }

func (downStatus) Create(context.Context, asyncq.Status) error { return assert.AnError }

// A store that is down makes SQS give the message out again.
func TestForwardedAgain(t *testing.T) {
	s, _ := start(t, func(b *jobs.Backend) { b.Status = downStatus{b.Status} })
	for _, manga := range []string{"MNG-ONEPIECE", "MNG-ZZZZZZZZ"} {
		err := s.SubmitForwarded(t.Context(), forwardedMessage(0, "", `{"manga_id":"`+manga+`","analysis_type":"reading_level"}`))
		require.ErrorIs(t, err, assert.AnError, manga)
		require.NotErrorIs(t, err, jobs.ErrForwarded)
	}
}
