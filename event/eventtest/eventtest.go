// Package eventtest tests decoders of package event.
package eventtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/mangaassist/bedrockkit/event"
	"github.com/mangaassist/bedrockkit/internal/jsonscan"
)

// Run gives the chunks of a whole answer to a decoder and compares what it adds
// with want, one line an event as [Line] writes it. It also tests what every
// decoder promises:
//
//   - what a scan takes, encoding/json reads the same way;
//   - no event keeps a part of a chunk;
//   - an error of the sink is returned as it is;
//   - a chunk that is not JSON is an error, and an object that it cannot know is
//     an event of the type event.Unknown or event.Chunk, or nothing;
//   - the answer has one message stop.
func Run(t *testing.T, newDecoder func() event.Decoder, chunks, want []string) {
	t.Helper()
	scanned, err := Events(newDecoder(), true, chunks...)
	if err != nil {
		t.Errorf("scanning: %v", err)
		return
	}
	plain, err := Events(newDecoder(), false, chunks...)
	if err != nil {
		t.Errorf("without scanning: %v", err)
		return
	}
	for name, events := range map[string][]event.Event{"scanning": scanned, "without scanning": plain} {
		lines, stops := make([]string, len(events)), 0
		for i, ev := range events {
			lines[i] = Line(ev)
			if ev.Type == event.MessageStop {
				stops++
			}
		}
		if stops != 1 {
			t.Errorf("%s: it has %d message stops", name, stops)
		}
		for i := range max(len(lines), len(want)) {
			if i >= len(lines) || i >= len(want) || lines[i] != want[i] {
				t.Errorf("%s: event %d\ngot  %q\nwant %q", name, i, lines, want)
				break
			}
		}
	}
	refused := errors.New("the sink refuses it")
	for i := range plain {
		s := &sink{refuse: refused, at: i}
		if err := s.decode(newDecoder(), chunks); err != refused {
			t.Errorf("the sink has refused event %d, and Decode returned %v", i, err)
			break
		}
	}
	if _, err := Events(newDecoder(), true, `{"text":`); err == nil {
		t.Error("a chunk that is not JSON is not an error")
	}
	events, err := Events(newDecoder(), true, `{"bedrockkit unheard of":{"index":1}}`)
	if err != nil {
		t.Errorf("a chunk that nobody knows is an error: %v", err)
	}
	for _, ev := range events {
		if ev.Type != event.Unknown && ev.Type != event.Chunk {
			t.Errorf("a chunk that nobody knows is %q", Line(ev))
		}
	}
	if newDecoder().Name() == "" {
		t.Error("it has no name")
	}
}

// Hot tests that a chunk of text, which comes with every token after those that
// begin the answer, is scanned and takes no allocation.
func Hot(t *testing.T, newDecoder func() event.Decoder, begin []string, hot string) {
	t.Helper()
	d, s := newDecoder(), &sink{scan: true, at: -1}
	if err := s.decode(d, begin); err != nil {
		t.Fatal(err)
	}
	count := &counter{}
	chunk := []byte(hot)
	allocs := testing.AllocsPerRun(10, func() {
		if err := d.Decode(chunk, count); err != nil {
			t.Fatal(err)
		}
	})
	if allocs != 0 || count.scanned == 0 || count.added != 0 {
		t.Errorf("%s: %v allocations, scanned %d times, added %d times", hot, allocs, count.scanned, count.added)
	}
}

type counter struct{ scanned, added int }

func (c *counter) Add(event.Event) error { c.added++; return nil }

func (c *counter) AddEscaped(event.Type, int, []byte) bool { c.scanned++; return true }

// Fuzz compares what a decoder's scan takes with what it reads with
// encoding/json. The first chunks are a seed and begin the answer of each try.
func Fuzz(f *testing.F, newDecoder func() event.Decoder, begin []string, seeds ...string) {
	for _, chunk := range append(seeds, begin...) {
		f.Add([]byte(chunk))
	}
	f.Fuzz(func(t *testing.T, chunk []byte) {
		chunks := append(begin[:len(begin):len(begin)], string(chunk))
		scanned, err := Events(newDecoder(), true, chunks...)
		plain, err2 := Events(newDecoder(), false, chunks...)
		if (err == nil) != (err2 == nil) {
			t.Fatalf("scanning: %v, without: %v: %s", err, err2, chunk)
		}
		a, _ := json.Marshal(scanned)
		b, _ := json.Marshal(plain)
		if string(a) != string(b) {
			t.Fatalf("scanning %s, without %s: %s", a, b, chunk)
		}
	})
}

// Events returns what a decoder adds of some chunks. scan says that pieces of
// text are taken as they stand in a chunk, as a stream does if it can.
func Events(d event.Decoder, scan bool, chunks ...string) ([]event.Event, error) {
	s := &sink{scan: scan, at: -1}
	err := s.decode(d, chunks)
	return s.events, err
}

// Line writes an event in one line: "0 text Hello", "1 block_start id name",
// "message_stop end_turn", "metadata 7 3 0 0" for the input, the output, and what
// was read from and written to the cache.
func Line(ev event.Event) string {
	switch ev.Type {
	case event.MessageStart:
		return "message_start"
	case event.MessageStop:
		return "message_stop " + string(ev.StopReason)
	case event.Metadata:
		if ev.Usage == nil || ev.Usage.Unknown {
			return "metadata unknown"
		}
		u := ev.Usage
		return fmt.Sprintf("metadata %d %d %d %d", u.InputTokens, u.OutputTokens, u.CacheReadTokens, u.CacheWrite5mTokens)
	case event.BlockStart:
		return fmt.Sprintf("%d block_start %s %s%s", ev.Index, ev.ToolUseID, ev.ToolName, ev.Raw)
	case event.BlockStop:
		return fmt.Sprintf("%d block_stop", ev.Index)
	}
	return fmt.Sprintf("%d %s %s%s", ev.Index, ev.Type, ev.Text, ev.Raw)
}

type sink struct {
	events []event.Event
	scan   bool
	refuse error
	at     int // the event that is refused
}

func (s *sink) decode(d event.Decoder, chunks []string) error {
	for _, chunk := range chunks {
		buf := []byte(chunk)
		if err := d.Decode(buf, s); err != nil {
			return err
		}
		for i := range buf {
			buf[i] = '!'
		}
	}
	return nil
}

func (s *sink) Add(ev event.Event) error {
	if len(s.events) == s.at {
		return s.refuse
	}
	s.events = append(s.events, ev)
	return nil
}

func (s *sink) AddEscaped(t event.Type, index int, escaped []byte) bool {
	if !s.scan {
		return false
	}
	text, ok := jsonscan.AppendString(nil, escaped)
	if ok {
		s.events = append(s.events, event.Event{Type: t, Index: index, Text: string(text)})
	}
	return ok
}
