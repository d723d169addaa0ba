package resumetest

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/mangaassist/bedrockkit/stream"
	"github.com/mangaassist/bedrockkit/stream/resume"
)

func TestMemory(t *testing.T) {
	Run(t, func(*testing.T) resume.Log { return resume.NewMemoryLog() }, func(o *Options) { o.In = synctest.Test })
}

// wrong is a right log with a mistake.
type wrong struct {
	resume.Log
	mistake string
}

func (l *wrong) Begin(ctx context.Context, c resume.Claim) error {
	switch l.mistake {
	case "ignores contexts":
		ctx = context.WithoutCancel(ctx)
	case "lets all begin":
		_ = l.Log.Begin(ctx, c)
		return nil
	case "refuses a Begin again":
		if _, err := l.Log.Read(ctx, c.ID, 0, 0); err == nil {
			return resume.ErrExists
		}
	case "has no lease":
		c.Lease = time.Hour
	}
	return l.Log.Begin(ctx, c)
}

func (l *wrong) Append(ctx context.Context, c resume.Claim, messages ...stream.Message) (resume.Status, error) {
	messages = slices.Clone(messages)
	switch l.mistake {
	case "ignores contexts":
		ctx = context.WithoutCancel(ctx)
	case "has no owners":
		c.Owner = "owner"
	case "has no lease":
		c.Lease = time.Hour
	case "forgets at once":
		c.Keep = 0
	case "keeps for ever":
		c.Keep = time.Hour
	case "drops fields":
		for i := range messages {
			messages[i].Input = nil
		}
	case "drops one of many":
		if len(messages) > 2 {
			messages = messages[:len(messages)-1]
		}
	case "adds what is there":
		for i := range messages {
			if p, err := l.Log.Read(ctx, c.ID, 0, 0); err == nil {
				messages[i].Sequence = int64(len(p.Messages)) + 1
			}
		}
	case "does not renew":
		if len(messages) == 0 {
			return resume.Status{}, nil
		}
	}
	s, err := l.Log.Append(ctx, c, messages...)
	switch l.mistake {
	case "hides stops":
		s.Stopped = false
	case "sees no readers":
		s.Unread = max(s.Unread, time.Second)
	case "always sees readers":
		s.Unread = 0
	}
	return s, err
}

func (l *wrong) Read(ctx context.Context, id string, after int64, wait time.Duration) (resume.Page, error) {
	switch l.mistake {
	case "ignores contexts", "does not let go":
		ctx = context.WithoutCancel(ctx)
	case "does not wait":
		wait = 0
	case "joins ids":
		id = id[:min(len(id), len(id)-1)]
	case "begins anew":
		after = 0
	case "knows no gap":
		p, err := l.Log.Read(ctx, id, after, wait)
		if err != nil && after > 300 {
			return p, nil
		}
		return p, err
	case "never ends":
		p, err := l.Log.Read(ctx, id, after, wait)
		p.Ended = false
		return p, err
	case "waits all the time":
		<-time.After(wait)
	}
	return l.Log.Read(ctx, id, after, wait)
}

func (l *wrong) Stop(ctx context.Context, id string) error {
	switch l.mistake {
	case "ignores contexts":
		ctx = context.WithoutCancel(ctx)
	case "stops what is not there":
		_ = l.Log.Stop(ctx, id)
		return ctx.Err()
	}
	return l.Log.Stop(ctx, id)
}

// The suite finds each mistake, and none in a right log.
func TestTheSuiteFindsMistakes(t *testing.T) {
	for _, mistake := range []string{
		"", "ignores contexts", "lets all begin", "refuses a Begin again", "has no lease", "forgets at once", "has no owners",
		"keeps for ever", "drops fields", "drops one of many", "does not renew", "hides stops", "sees no readers", "always sees readers",
		"adds what is there", "does not let go", "does not wait", "joins ids", "begins anew", "knows no gap", "never ends", "waits all the time",
		"stops what is not there",
	} {
		t.Run(mistake, func(t *testing.T) {
			var found []string
			for _, c := range checks {
				synctest.Test(t, func(t *testing.T) {
					ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
					defer cancel()
					if c.fn(newRun(ctx, &wrong{resume.NewMemoryLog(), mistake}, Options{Advance: time.Sleep})) != nil {
						found = append(found, c.name)
					}
				})
			}
			assert.Equal(t, mistake == "", len(found) == 0, "%v", found)
		})
	}
}
