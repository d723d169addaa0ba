package sessiontest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/converse/session"
)

// Options are the options of [Run]. The zero value of a field means its default.
type Options struct {
	// MaxBytes is the size of the largest history that is stored, of text that
	// cannot be compressed. The default is 1 MiB.
	MaxBytes int
}

// Run runs the checks as subtests, each with a store of its own from open, which
// must be empty. It expects that the store loses nothing in so short a time.
func Run(t *testing.T, open func(t *testing.T) session.Store, optFns ...func(*Options)) {
	t.Helper()
	var o Options
	for _, fn := range optFns {
		fn(&o)
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 1 << 20
	}
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			if err := c.fn(t.Context(), open(t), o); err != nil {
				t.Error(err)
			}
		})
	}
}

// A check returns what is wrong with a store.
type check struct {
	name string
	fn   func(context.Context, session.Store, Options) error
}

var checks = []check{
	{"not found", checkNotFound},
	{"save and load", checkSaveAndLoad},
	{"every kind of content", checkContent},
	{"no messages", checkNoMessages},
	{"conflict", checkConflict},
	{"claim", checkClaim},
	{"claim of a session that is not there", checkFirstClaim},
	{"delete", checkDelete},
	{"versions never come again", checkVersions},
	{"ids are apart", checkIDs},
	{"bad ids", checkBadIDs},
	{"no shared memory", checkShared},
	{"large and small again", checkLarge},
	{"one of many wins", checkRace},
	{"readers see one history", checkReaders},
	{"ended context", checkContext},
}

func say(text string) []converse.Message { return []converse.Message{converse.User(text)} }

// expect loads a session and compares it.
func expect(ctx context.Context, s session.Store, id string, want session.History) error {
	got, err := s.Load(ctx, id)
	if err != nil {
		return fmt.Errorf("load: %w", err)
	}
	if got.Version != want.Version {
		return fmt.Errorf("load gave version %d, Save gave %d", got.Version, want.Version)
	}
	return same(got.Messages, want.Messages)
}

// same compares two histories by the JSON that is sent.
func same(got, want []converse.Message) error {
	if len(got) != len(want) {
		return fmt.Errorf("%d messages became %d", len(want), len(got))
	}
	for i := range got {
		a, err := json.Marshal(got[i])
		if err != nil {
			return err
		}
		b, err := json.Marshal(want[i])
		if err != nil {
			return err
		}
		if !bytes.Equal(a, b) {
			return fmt.Errorf("message %d changed: %.200s became %.200s", i, b, a)
		}
	}
	return nil
}

// save saves messages as a new session.
func save(ctx context.Context, s session.Store, id string, messages []converse.Message) (session.History, error) {
	version, err := s.Save(ctx, id, session.History{Messages: messages})
	if err != nil {
		return session.History{}, fmt.Errorf("save: %w", err)
	}
	if version <= 0 {
		return session.History{}, fmt.Errorf("save gave version %d; it must be greater than that of the history", version)
	}
	return session.History{Messages: messages, Version: version}, nil
}

func checkNotFound(ctx context.Context, s session.Store, _ Options) error {
	if _, err := s.Load(ctx, "nobody"); !errors.Is(err, session.ErrNotFound) {
		return fmt.Errorf("load of what is not there gave %v, not ErrNotFound", err)
	}
	return nil
}

func checkSaveAndLoad(ctx context.Context, s session.Store, _ Options) error {
	h, err := save(ctx, s, "a", say("one"))
	if err != nil {
		return err
	}
	if err := expect(ctx, s, "a", h); err != nil {
		return err
	}
	h.Messages = append(h.Messages, converse.Assistant("two"))
	version, err := s.Save(ctx, "a", h)
	if err != nil {
		return fmt.Errorf("the second Save: %w", err)
	}
	if version <= h.Version {
		return fmt.Errorf("the version went from %d to %d", h.Version, version)
	}
	h.Version = version
	return expect(ctx, s, "a", h)
}

// content is a history with all that is easily lost.
var content = []converse.Message{
	{Role: converse.RoleUser, Content: converse.Contents{
		converse.Text("漫画 & <b>\"quoted\"</b> \u2028 \x00 🙂"),
		converse.Image{Format: "png", Bytes: []byte{0, 1, 2, 0xff}},
		converse.Document{Format: "pdf", Name: "an order", Bytes: []byte("%PDF")},
	}},
	{Role: converse.RoleAssistant, Content: converse.Contents{
		converse.Reasoning{Text: "Hm. ", Signature: "c2ln/+bmF0dXJl=="},
		converse.Redacted{0xde, 0xad, 0},
		converse.Text("I look."),
		converse.ToolUse{ID: "1", Name: "look", Input: json.RawMessage(`{"n":12345678901234567890.10,"b":2,"a":1,"s":""}`)},
	}},
	{Role: converse.RoleUser, Content: converse.Contents{
		converse.ToolResult{ToolUseID: "1", Status: converse.ToolSuccess, Content: converse.Contents{converse.JSON(`{"copies":3,"half":0.50}`)}},
		converse.CachePoint{TTL: "1h"},
	}},
	{Role: converse.RoleAssistant, Content: converse.Contents{converse.Raw(`{"newBlock":{"b":1,"a":[1.0,2]}}`)}},
}

func checkContent(ctx context.Context, s session.Store, _ Options) error {
	h, err := save(ctx, s, "a", content)
	if err != nil {
		return err
	}
	return expect(ctx, s, "a", h)
}

func checkNoMessages(ctx context.Context, s session.Store, _ Options) error {
	h, err := save(ctx, s, "a", nil)
	if err != nil {
		return err
	}
	return expect(ctx, s, "a", h)
}

func checkConflict(ctx context.Context, s session.Store, _ Options) error {
	h, err := save(ctx, s, "a", say("one"))
	if err != nil {
		return err
	}
	second := session.History{Messages: say("two"), Version: h.Version}
	if second.Version, err = s.Save(ctx, "a", second); err != nil {
		return fmt.Errorf("save: %w", err)
	}
	for what, version := range map[string]int64{"an old version": h.Version, "no version": 0, "a version of tomorrow": second.Version + 1000} {
		if _, err := s.Save(ctx, "a", session.History{Messages: say("three"), Version: version}); !errors.Is(err, session.ErrConflict) {
			return fmt.Errorf("save with %s gave %v, not ErrConflict", what, err)
		}
	}
	if _, err := s.Save(ctx, "b", session.History{Messages: say("three"), Version: h.Version}); !errors.Is(err, session.ErrConflict) {
		return fmt.Errorf("save with a version where nothing is gave %v, not ErrConflict", err)
	}
	if _, err := s.Load(ctx, "b"); !errors.Is(err, session.ErrNotFound) {
		return fmt.Errorf("a Save that was refused left something: %v", err)
	}
	return expect(ctx, s, "a", second)
}

// A claim changes the version and until when the session is busy, and nothing
// else; a save ends it.
func checkClaim(ctx context.Context, s session.Store, o Options) error {
	h, err := save(ctx, s, "a", say("one "+noise(1, o.MaxBytes/2)))
	if err != nil {
		return err
	}
	until := time.Now().Add(time.Hour).Truncate(time.Millisecond)
	version, err := s.Claim(ctx, "a", h.Version, until)
	if err != nil {
		return fmt.Errorf("claim: %w", err)
	}
	if version <= h.Version {
		return fmt.Errorf("claim gave the version %d after %d", version, h.Version)
	}
	claimed, err := s.Load(ctx, "a")
	if err != nil {
		return fmt.Errorf("load: %w", err)
	}
	if !claimed.Busy.Equal(until) {
		return fmt.Errorf("load gave a session that is busy until %v, not %v", claimed.Busy, until)
	}
	h.Version, h.Busy = version, claimed.Busy
	if err := expect(ctx, s, "a", h); err != nil {
		return err
	}
	if _, err := s.Claim(ctx, "a", h.Version-1, until); !errors.Is(err, session.ErrConflict) {
		return fmt.Errorf("claim with an old version gave %v, not ErrConflict", err)
	}
	if _, err := s.Claim(ctx, "a", 0, until); !errors.Is(err, session.ErrConflict) {
		return fmt.Errorf("claim of no version where there is one gave %v, not ErrConflict", err)
	}
	if version, err = s.Claim(ctx, "a", version, time.Time{}); err != nil {
		return fmt.Errorf("giving a claim back: %w", err)
	}
	if h, err = s.Load(ctx, "a"); err != nil || !h.Busy.IsZero() || h.Version != version {
		return fmt.Errorf("after a claim was given back, load gave version %d, busy until %v, error %v", h.Version, h.Busy, err)
	}
	if version, err = s.Claim(ctx, "a", version, until); err != nil {
		return fmt.Errorf("claim: %w", err)
	}
	h = session.History{Messages: say("two"), Version: version, Busy: until}
	if _, err = s.Save(ctx, "a", h); err != nil {
		return fmt.Errorf("save: %w", err)
	}
	if h, err = s.Load(ctx, "a"); err != nil || !h.Busy.IsZero() {
		return fmt.Errorf("after a save, load gave a session that is busy until %v, error %v", h.Busy, err)
	}
	return nil
}

func checkFirstClaim(ctx context.Context, s session.Store, _ Options) error {
	if _, err := s.Claim(ctx, "a", 7, time.Now()); !errors.Is(err, session.ErrConflict) {
		return fmt.Errorf("claim with a version where nothing is gave %v, not ErrConflict", err)
	}
	if err := checkNotFoundID(ctx, s, "a"); err != nil {
		return err
	}
	version, err := s.Claim(ctx, "a", 0, time.Now().Add(time.Hour))
	if err != nil {
		return fmt.Errorf("claim: %w", err)
	}
	if _, err := s.Claim(ctx, "a", 0, time.Now().Add(time.Hour)); !errors.Is(err, session.ErrConflict) {
		return fmt.Errorf("a second first claim gave %v, not ErrConflict", err)
	}
	h, err := s.Load(ctx, "a")
	if err != nil || len(h.Messages) > 0 || h.Version != version {
		return fmt.Errorf("load after a first claim gave %d messages and version %d, not %d: %v", len(h.Messages), h.Version, version, err)
	}
	return nil
}

func checkDelete(ctx context.Context, s session.Store, _ Options) error {
	if err := s.Delete(ctx, "a"); err != nil {
		return fmt.Errorf("delete of what is not there: %w", err)
	}
	if _, err := save(ctx, s, "a", say("one")); err != nil {
		return err
	}
	if err := s.Delete(ctx, "a"); err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	return checkNotFoundID(ctx, s, "a")
}

func checkNotFoundID(ctx context.Context, s session.Store, id string) error {
	if _, err := s.Load(ctx, id); !errors.Is(err, session.ErrNotFound) {
		return fmt.Errorf("load after Delete gave %v, not ErrNotFound", err)
	}
	return nil
}

// A request that was under way while the session was deleted and begun anew
// must not overwrite the new one.
func checkVersions(ctx context.Context, s session.Store, _ Options) error {
	h, err := save(ctx, s, "a", say("one"))
	if err != nil {
		return err
	}
	if err := s.Delete(ctx, "a"); err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	if _, err := s.Save(ctx, "a", session.History{Messages: say("late"), Version: h.Version}); !errors.Is(err, session.ErrConflict) {
		return fmt.Errorf("save after Delete gave %v, not ErrConflict", err)
	}
	if _, err := save(ctx, s, "a", say("new")); err != nil {
		return err
	}
	if _, err := s.Save(ctx, "a", session.History{Messages: say("late"), Version: h.Version}); !errors.Is(err, session.ErrConflict) {
		return fmt.Errorf("save with the version of a deleted session gave %v, not ErrConflict", err)
	}
	return nil
}

func checkIDs(ctx context.Context, s session.Store, _ Options) error {
	ids := []string{"a", "A", "a ", " a", "a#1", "a/1", "a:1", "a\x00", "a\n", "ä", "漫画", strings.Repeat("x", session.MaxIDBytes)}
	saved := map[string]session.History{}
	for i, id := range ids {
		h, err := save(ctx, s, id, say(fmt.Sprint(i)))
		if err != nil {
			return fmt.Errorf("id %q: %w", id, err)
		}
		saved[id] = h
	}
	for _, id := range ids {
		if err := expect(ctx, s, id, saved[id]); err != nil {
			return fmt.Errorf("id %q: %w", id, err)
		}
	}
	return nil
}

func checkBadIDs(ctx context.Context, s session.Store, _ Options) error {
	for _, id := range []string{"", strings.Repeat("x", session.MaxIDBytes+1), "a\xff"} {
		if _, err := s.Load(ctx, id); err == nil || errors.Is(err, session.ErrNotFound) {
			return fmt.Errorf("load of an id of %d bytes gave %v", len(id), err)
		}
		if _, err := s.Save(ctx, id, session.History{Messages: say("one")}); err == nil {
			return fmt.Errorf("save took an id of %d bytes", len(id))
		}
		if err := s.Delete(ctx, id); err == nil {
			return fmt.Errorf("delete took an id of %d bytes", len(id))
		}
	}
	return nil
}

func checkShared(ctx context.Context, s session.Store, _ Options) error {
	messages := say("one")
	h, err := save(ctx, s, "a", messages)
	if err != nil {
		return err
	}
	messages[0].Content[0] = converse.Text("changed")
	h.Messages = say("one")
	if err := expect(ctx, s, "a", h); err != nil {
		return fmt.Errorf("the saver's slice is the store's: %w", err)
	}
	loaded, err := s.Load(ctx, "a")
	if err != nil {
		return fmt.Errorf("load: %w", err)
	}
	loaded.Messages[0].Content[0] = converse.Text("changed")
	if err := expect(ctx, s, "a", h); err != nil {
		return fmt.Errorf("the loader's slice is the store's: %w", err)
	}
	return nil
}

// noise is text that cannot be compressed by much.
func noise(seed uint64, size int) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, size)
	for i := range b {
		b[i] = letters[r.IntN(len(letters))]
	}
	return string(b)
}

func checkLarge(ctx context.Context, s session.Store, o Options) error {
	h, err := save(ctx, s, "a", say("small"))
	if err != nil {
		return err
	}
	for i, size := range []int{o.MaxBytes - 1000, o.MaxBytes / 2, 10, o.MaxBytes - 1000} {
		h.Messages = say(noise(uint64(i), size))
		if h.Version, err = s.Save(ctx, "a", h); err != nil {
			return fmt.Errorf("save of %d bytes: %w", size, err)
		}
		if err := expect(ctx, s, "a", h); err != nil {
			return fmt.Errorf("%d bytes: %w", size, err)
		}
	}
	if err := s.Delete(ctx, "a"); err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	return checkNotFoundID(ctx, s, "a")
}
