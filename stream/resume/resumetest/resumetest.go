package resumetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/stream"
	"github.com/mangaassist/bedrockkit/stream/resume"
)

// Options are the options of [Run]. The zero value of a field means its default.
type Options struct {
	// Advance lets time pass for the log that was opened last. The default is
	// time.Sleep.
	Advance func(time.Duration)

	// In runs a check, such as synctest.Test does. The default runs it as it is.
	In func(*testing.T, func(*testing.T))
}

// Run runs the checks as subtests, each with a log of its own from open. The logs
// may share what they store: each check has ids of its own. Without a clock of
// its own, a run takes some seconds.
func Run(t *testing.T, open func(t *testing.T) resume.Log, optFns ...func(*Options)) {
	t.Helper()
	var o Options
	for _, fn := range optFns {
		fn(&o)
	}
	if o.In == nil {
		o.In = func(t *testing.T, fn func(*testing.T)) { fn(t) }
	}
	if o.Advance == nil {
		o.Advance = time.Sleep
	}
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			o.In(t, func(t *testing.T) {
				if err := c.fn(newRun(t.Context(), open(t), o)); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// checks return what is wrong with a log.
var checks = []struct {
	name string
	fn   func(*run) error
}{
	{"an id has one answer", checkBegin},
	{"one of many begins", checkBeginAtOnce},
	{"messages in their order", checkOrder},
	{"messages as they were", checkWhole},
	{"a reader waits", checkWait},
	{"an answer ends", checkEnd},
	{"an Append again", checkRepeat},
	{"a sequence is missing", checkMissing},
	{"the owner alone appends", checkOwner},
	{"no answer", checkUnknown},
	{"a stop is heard", checkStop},
	{"whether someone reads", checkUnread},
	{"a lease runs out", checkLease},
	{"a lease is renewed", checkRenewed},
	{"an answer is kept for its time", checkKeep},
	{"ids are apart", checkApart},
	{"context is done", checkContext},
	{"a reader leaves", checkLeave},
	{"many readers", checkReaders},
}

// run is one run of a check.
type run struct {
	ctx     context.Context
	log     resume.Log
	options Options
	claim   resume.Claim
}

var unique atomic.Int64

func newRun(ctx context.Context, log resume.Log, o Options) *run {
	id := fmt.Sprintf("resumetest-%d-%d", time.Now().UnixNano(), unique.Add(1))
	return &run{ctx, log, o, resume.Claim{ID: id, Owner: "owner", Lease: time.Minute, Keep: time.Minute}}
}

// text returns tokens of the sequences from first to last.
func text(first, last int64) []stream.Message {
	var messages []stream.Message
	for ; first <= last; first++ {
		messages = append(messages, stream.Message{Type: stream.TypeToken, Data: fmt.Sprint("piece ", first), Sequence: first})
	}
	return messages
}

func complete(sequence int64) stream.Message {
	return stream.Message{Type: stream.TypeComplete, Sequence: sequence}
}

// steps returns the first error.
func steps(fns ...func() error) error {
	for _, fn := range fns {
		if err := fn(); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) begin() error { return want("Begin", r.log.Begin(r.ctx, r.claim), nil) }

func (r *run) append(messages ...stream.Message) error {
	_, err := r.log.Append(r.ctx, r.claim, messages...)
	return want(fmt.Sprintf("Append of %d messages", len(messages)), err, nil)
}

// reads checks what can be read at once after a sequence.
func (r *run) reads(after int64, ended bool, messages ...stream.Message) error {
	return r.readsOf(r.claim.ID, after, ended, messages...)
}

func (r *run) readsOf(id string, after int64, ended bool, messages ...stream.Message) error {
	var got []stream.Message
	for at := after; ; {
		p, err := r.log.Read(r.ctx, id, at, 0)
		if err != nil {
			return fmt.Errorf("a Read after %d returned the error %w", at, err)
		}
		got = append(got, p.Messages...)
		if len(got) > len(messages) {
			return fmt.Errorf("a Read after %d returned %d messages or more; want %d", after, len(got), len(messages))
		}
		if len(p.Messages) > 0 {
			at = p.Messages[len(p.Messages)-1].Sequence
		}
		if p.Ended || len(p.Messages) == 0 {
			if p.Ended != ended {
				return fmt.Errorf("a Read after %d returned Ended %t; want %t", at, p.Ended, ended)
			}
			break
		}
	}
	if !same(got, messages) {
		return fmt.Errorf("a Read after %d returned %v; want %v", after, got, messages)
	}
	return nil
}

// same compares messages as JSON: an empty slice and none are one.
func same(a, b []stream.Message) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		x, err := json.Marshal(a[i])
		y, failed := json.Marshal(b[i])
		if err != nil || failed != nil || !reflect.DeepEqual(x, y) {
			return false
		}
	}
	return true
}

func want(what string, err, wanted error) error {
	if wanted == nil && err != nil || !errors.Is(err, wanted) {
		return fmt.Errorf("%s returned the error %v; want %v", what, err, wanted)
	}
	return nil
}

func checkBegin(r *run) error {
	other := r.claim
	other.Owner = "another"
	return steps(
		r.begin,
		func() error { return want("Begin of another owner", r.log.Begin(r.ctx, other), resume.ErrExists) },
		func() error { return want("Begin again", r.log.Begin(r.ctx, r.claim), nil) },
		func() error { return r.append(text(1, 1)...) },
		func() error { return r.append(complete(2)) },
		func() error {
			return want("Begin after the end", r.log.Begin(r.ctx, other), resume.ErrExists)
		},
		func() error { return r.reads(0, true, append(text(1, 1), complete(2))...) },
	)
}

func checkBeginAtOnce(r *run) error {
	errs := make([]error, 16)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			c := r.claim
			c.Owner = fmt.Sprint("owner ", i)
			errs[i] = r.log.Begin(r.ctx, c)
		})
	}
	wg.Wait()
	begun := 0
	for _, err := range errs {
		if err == nil {
			begun++
		} else if !errors.Is(err, resume.ErrExists) {
			return want("Begin", err, resume.ErrExists)
		}
	}
	if begun != 1 {
		return fmt.Errorf("%d of %d calls of Begin succeeded; want 1", begun, len(errs))
	}
	return nil
}

func checkOrder(r *run) error {
	return steps(
		r.begin,
		func() error { return r.reads(0, false) },
		func() error { return r.append(text(1, 2)...) },
		func() error { return r.append(text(3, 300)...) },
		func() error { return r.reads(0, false, text(1, 300)...) },
		func() error { return r.reads(1, false, text(2, 300)...) },
		func() error { return r.reads(299, false, text(300, 300)...) },
		func() error { return r.reads(300, false) },
		func() error {
			_, err := r.log.Read(r.ctx, r.claim.ID, 301, 0)
			return want("Read after what there is not yet", err, stream.ErrGap)
		},
	)
}

func checkWhole(r *run) error {
	messages := []stream.Message{
		{Type: stream.TypeReasoning, Data: "漫画 \x00 \U0001F389 \"quoted\" \\ \n", Sequence: 1},
		{Type: stream.TypeToolUse, Sequence: 2, Round: 1, ToolUseID: "t1", ToolName: "find", Input: json.RawMessage(`{"n":12345678901234567890}`)},
		{Type: stream.TypeToolResult, Sequence: 3, Round: 1, ToolUseID: "t1", ToolName: "find", Status: stream.StatusError, Truncated: true},
		{Type: stream.TypeComplete, Sequence: 4, Usage: &bedrockkit.Usage{InputTokens: 3, OutputTokens: 5}, StopReason: bedrockkit.StopEndTurn, Cost: "0.0012"},
	}
	return steps(
		r.begin,
		func() error { return r.append(messages...) },
		func() error { return r.reads(0, true, messages...) },
	)
}

func checkWait(r *run) error {
	if err := r.begin(); err != nil {
		return err
	}
	began := time.Now()
	p, err := r.log.Read(r.ctx, r.claim.ID, 0, 50*time.Millisecond)
	if err != nil || len(p.Messages) > 0 || p.Ended {
		return fmt.Errorf("a Read of nothing returned %v and the error %v", p, err)
	}
	if waited := time.Since(began); waited < 40*time.Millisecond {
		return fmt.Errorf("a Read waited %s; want 50 ms", waited)
	}
	for n := int64(1); n <= 3; n++ {
		var failed error
		var wg sync.WaitGroup
		wg.Go(func() {
			time.Sleep(50 * time.Millisecond)
			failed = r.append(text(n, n)...)
		})
		began := time.Now()
		p, err := r.log.Read(r.ctx, r.claim.ID, n-1, 20*time.Second)
		wg.Wait()
		if err != nil || failed != nil || !same(p.Messages, text(n, n)) {
			return fmt.Errorf("a Read that waits returned %v and the error %v; want message %d", p, errors.Join(err, failed), n)
		}
		if waited := time.Since(began); waited > 10*time.Second {
			return fmt.Errorf("a Read waited %s for a message that came after 50 ms", waited)
		}
	}
	return nil
}

func checkEnd(r *run) error {
	return steps(
		r.begin,
		func() error { return r.append(text(1, 1)...) },
		func() error { return r.append(complete(2)) },
		func() error { return r.reads(1, true, complete(2)) },
		func() error { return r.reads(2, true) },
		func() error {
			began := time.Now()
			_, err := r.log.Read(r.ctx, r.claim.ID, 2, 20*time.Second)
			if time.Since(began) > 10*time.Second {
				return errors.New("a Read waited after the end")
			}
			return want("Read after the end", err, nil)
		},
		func() error {
			_, err := r.log.Append(r.ctx, r.claim, text(3, 3)...)
			return want("Append after the end", err, resume.ErrLost)
		},
		func() error {
			_, err := r.log.Append(r.ctx, r.claim)
			return want("Append of nothing after the end", err, resume.ErrLost)
		},
	)
}

func checkRepeat(r *run) error {
	return steps(
		r.begin,
		func() error { return r.append(text(1, 2)...) },
		func() error { return r.append(text(1, 2)...) },
		func() error { return r.append(text(2, 3)...) },
		func() error { return r.append(complete(4)) },
		func() error { return r.append(complete(4)) },
		func() error { return r.reads(0, true, append(text(1, 3), complete(4))...) },
	)
}

func checkMissing(r *run) error {
	if err := steps(r.begin, func() error { return r.append(text(1, 1)...) }); err != nil {
		return err
	}
	if _, err := r.log.Append(r.ctx, r.claim, text(3, 3)...); err == nil {
		return errors.New("an Append of message 3 after message 1 succeeded")
	}
	return r.reads(0, false, text(1, 1)...)
}

func checkOwner(r *run) error {
	other := r.claim
	other.Owner = "another"
	return steps(
		r.begin,
		func() error {
			_, err := r.log.Append(r.ctx, other, text(1, 1)...)
			return want("Append of another owner", err, resume.ErrLost)
		},
		func() error { return r.reads(0, false) },
	)
}
