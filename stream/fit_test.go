package stream_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/stream"
)

// script makes messages of any bytes: pieces of 1 to 16, of a type and a length
// that the bytes say.
func script(data []byte) (messages []stream.Message) {
	for len(data) > 1 && len(messages) < 40 {
		head, n := data[0], min(int(data[1]&15)+1, len(data)-1)
		times := 1 << (head >> 4 & 15 % 13)
		text := strings.Repeat(string(data[1:1+n]), min(times, 8<<10/n+1))
		data = data[1+n:]
		m := stream.Message{Round: int(head & 1)}
		switch head >> 1 & 7 {
		default:
			m.Type, m.Data = stream.TypeToken, text
		case 4:
			m.Type, m.Data = stream.TypeReasoning, text
		case 5:
			m.Type, m.ToolUseID, m.ToolName = stream.TypeToolUse, "t", "find"
			m.Input, _ = json.Marshal(map[string]string{"q": text})
		case 6:
			m.Type, m.Data, m.ToolUseID, m.Status = stream.TypeToolResult, text, "t", stream.StatusError
		case 7:
			m.Type, m.ToolName, m.Input = text, text, json.RawMessage(text) // nonsense
			m.Pending = []stream.Pending{{Question: text}, {ToolUseID: text}}
			if m.Last() {
				m.Type = ""
			}
		}
		messages = append(messages, m)
	}
	last := stream.Message{Type: stream.TypeComplete, Usage: &bedrockkit.Usage{InputTokens: 1 << 60}, Cost: "0.0001", StopReason: "end_turn"}
	for range len(messages) % 5 {
		last.Pending = append(last.Pending, stream.Pending{ToolUseID: "t", ToolName: "find", Question: strings.Repeat("what?", 100)})
	}
	return append(messages, last)
}

// runs are messages with the texts that stand together put together.
func runs(messages []stream.Message) (runs []string) {
	var last stream.Message
	for _, m := range messages {
		switch text := m.Type == stream.TypeToken || m.Type == stream.TypeReasoning; {
		case text && m.Data == "":
			continue
		case text && m.Type == last.Type && m.Round == last.Round:
			runs[len(runs)-1] += m.Data
		case text:
			runs = append(runs, fmt.Sprint(m.Type, m.Round, ":", m.Data))
		default:
			runs = append(runs, m.Type+m.ToolUseID)
		}
		last = m
	}
	return runs
}

func isValid(messages []stream.Message) bool {
	for _, m := range messages {
		if !utf8.ValidString(m.Data) {
			return false
		}
	}
	return true
}

// checkWrite holds that a sink gets what a source says: all of its text, in its
// order, in messages that fit, with sequences from 1, and exactly one last one.
func checkWrite(t *testing.T, data []byte, limit, pending uint16) {
	source := script(data)
	bound := 1024 + int(limit)
	valid := isValid(source)
	var got []stream.Message
	var size int
	encode := stream.JSON(func(_ context.Context, data []byte) error {
		require.LessOrEqual(t, len(data), bound)
		var m stream.Message
		require.NoError(t, json.Unmarshal(data, &m))
		if last := got[len(got)-1]; valid {
			require.Equal(t, last.Data, m.Data)
		}
		size += len(data)
		return nil
	})
	sink := stream.Sink{MaxMessage: bound, Send: func(ctx context.Context, m stream.Message) error {
		got = append(got, m)
		return encode.Send(ctx, m)
	}}
	check := func(what string, counted bool) {
		plain := func(messages []stream.Message) (plain []stream.Message) { // without nonsense, whose names may be cut
			for _, m := range messages {
				if len(m.Type) > 0 && strings.Contains("token reasoning tool_use tool_result complete", m.Type) {
					plain = append(plain, m)
				}
			}
			return plain
		}
		if a, b := runs(plain(source)), runs(plain(got)); !assert.Equal(t, len(a), len(b), what) || !assert.ObjectsAreEqual(a, b) {
			require.Equal(t, a, b, what)
		}
		var last int64
		for i, m := range got {
			if counted {
				require.EqualValues(t, i+1, m.Sequence, what)
			}
			require.GreaterOrEqual(t, m.Sequence, last, what)
			last = m.Sequence
			require.Equal(t, i == len(got)-1, m.Last(), what)
			require.True(t, !valid || utf8.ValidString(m.Data), what)
		}
	}
	options := func(o *stream.WriteOptions) { o.MaxPending = 1 + int(pending) }
	require.NoError(t, stream.Write(t.Context(), &said{messages: source}, sink, options))
	check("written", true)

	b := stream.NewBroadcast(func(o *stream.BroadcastOptions) { o.MaxMessage = bound })
	require.NoError(t, b.Run(&said{messages: source}))
	got = nil
	for m, err := range b.Subscribe(t.Context(), 0) {
		require.NoError(t, err)
		require.NoError(t, sink.Send(t.Context(), m))
	}
	check("broadcast", true)
	seen := len(got) / 2
	before := append([]stream.Message(nil), got[:seen]...)
	got = nil
	after := int64(seen)
	require.NoError(t, stream.Write(t.Context(), stream.Resume(t.Context(), b.Subscribe, after), sink, options))
	got = append(before, got...)
	check("resumed", false)
}

func FuzzWrite(f *testing.F) {
	f.Add([]byte("\x00\x05hello \x02\x05world"), uint16(0), uint16(100))
	f.Add([]byte("\xf0\x0f\"\"\"\"\n\n\n\n\x00\x01\x02\x03"), uint16(0), uint16(65535))
	f.Add([]byte("\xe8\x0c日本語のテキスト\xda\x0c日本語"), uint16(7), uint16(1))
	f.Add([]byte("\xfa\x08<p>&amp;\xfc\x08<p>&amp;\xfe\x08nonsense"), uint16(100), uint16(0))
	f.Add([]byte("\xf0\x05\xed\xa0\xbd\xed\xb8\x80\xf0\x02\xff\xfe"), uint16(100), uint16(0))
	f.Fuzz(checkWrite)
}

func TestWriteOfAnything(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		data := make([]byte, random.IntN(200))
		for i := range data {
			data[i] = byte(random.Uint32())
			if random.IntN(3) > 0 {
				data[i] = "ab \"\\\n\x01\x7f<&"[random.IntN(10)]
			}
		}
		checkWrite(t, data, uint16(random.IntN(1<<random.IntN(15))), uint16(random.IntN(1<<16)))
	}
}

// The JSON that is written by hand is what encoding/json writes, but for the
// escapes of markup.
func TestMessageJSON(t *testing.T) {
	messages := append(script([]byte("\x00\x05hello \x0a\x05world\x0c\x03abc")), aLoop()...)
	messages = append(messages,
		stream.Message{},
		stream.Message{Type: stream.TypePing},
		stream.Message{Type: stream.TypeError, Code: "throttled", Sequence: -1},
		stream.Message{Type: stream.TypeComplete, Pending: []stream.Pending{{ToolUseID: "a", ToolName: "b"}, {Question: "<?>"}}, Truncated: true},
		token("a\u2028b</script>\x00\x1f\x7f\"\\\r\n\t日本語😀"),
	)
	for _, m := range messages {
		var got []byte
		require.NoError(t, stream.JSON(func(_ context.Context, data []byte) error {
			got = data
			return nil
		}).Send(t.Context(), m))
		var want bytes.Buffer
		enc := json.NewEncoder(&want)
		enc.SetEscapeHTML(false)
		require.NoError(t, enc.Encode(m))
		assert.JSONEq(t, want.String(), string(got))
		assert.NotContains(t, string(got), "\n")
	}

	// What is no JSON is left out, not an error.
	var got []byte
	require.NoError(t, stream.JSON(func(_ context.Context, data []byte) error {
		got = data
		return nil
	}).Send(t.Context(), stream.Message{Type: stream.TypeToolUse, Input: json.RawMessage("{\n \"a\"")}))
	assert.JSONEq(t, `{"type":"tool_use","sequence":0,"truncated":true}`, string(got))
}

// A text that comes at once, as from a cache, is sent in pieces, also if its
// escapes make it long.
func TestWriteOfALongPiece(t *testing.T) {
	for name, text := range map[string]string{
		"plain":    strings.Repeat("a", 150_039),
		"quotes":   strings.Repeat(`"`, 64<<10),
		"newlines": strings.Repeat("\n", 200_000),
		"controls": strings.Repeat("\x01", 100_000),
		"kanji":    strings.Repeat("漫", 60_000),
		"emoji":    strings.Repeat("👩‍👩‍👧", 9_000),
		"half":     strings.Repeat("\xed\xa0\xbd", 40_000), // a character, which JSON can hold
	} {
		t.Run(name, func(t *testing.T) {
			for _, limit := range []int{0, 1024, 128 << 10} {
				var got kept
				sizes := 0
				sink := stream.JSON(func(_ context.Context, data []byte) error {
					sizes = max(sizes, len(data))
					return nil
				})
				encode := sink.Send
				sink.MaxMessage = limit
				sink.Send = func(ctx context.Context, m stream.Message) error {
					got.send(ctx, m)
					assert.True(t, name == "half" || utf8.ValidString(m.Data))
					return encode(ctx, m)
				}
				require.NoError(t, stream.Write(t.Context(), &said{messages: []stream.Message{token(text), complete}}, sink))
				assert.True(t, text == got.text())
				if limit == 0 {
					limit = 32 << 10
				}
				assert.LessOrEqual(t, sizes, limit)
				if len(text) > 2*limit {
					assert.Greater(t, sizes, limit*9/10, "pieces are as large as they may be")
				}
			}
		})
	}
}

// What is too large is cut, and the message says so.
func TestWriteCutsToolsToFit(t *testing.T) {
	big := strings.Repeat("あ\n", 20_000)
	input, err := json.Marshal(map[string]string{"q": big})
	require.NoError(t, err)
	var got kept
	sink := got.sink()
	sink.MaxMessage = 2048
	require.NoError(t, stream.Write(t.Context(), &said{messages: []stream.Message{
		{Type: stream.TypeToolUse, ToolUseID: "t1", ToolName: "find", Input: input},
		{Type: stream.TypeToolResult, ToolUseID: "t1", ToolName: "find", Status: stream.StatusSuccess, Data: big},
		{Type: stream.TypeComplete, StopReason: bedrockkit.StopToolUse, Pending: []stream.Pending{{ToolUseID: "t2", ToolName: "ask", Question: big}}},
	}}, sink))
	require.Len(t, got, 3)
	assert.Equal(t, stream.Message{Type: stream.TypeToolUse, Sequence: 1, ToolUseID: "t1", ToolName: "find", Truncated: true}, got[0])
	assert.True(t, got[1].Truncated)
	assert.Greater(t, len(got[1].Data), 1000)
	assert.True(t, strings.HasPrefix(big, got[1].Data))
	assert.Equal(t, stream.StatusSuccess, got[1].Status)
	assert.True(t, got[2].Truncated)
	assert.Equal(t, "t2", got[2].Pending[0].ToolUseID)
	assert.True(t, strings.HasPrefix(big, got[2].Pending[0].Question))
}

// Whatever a source yields, nothing is too large and nothing hangs.
func TestWriteOfNonsense(t *testing.T) {
	big := strings.Repeat("\x01", 3000)
	for _, m := range []stream.Message{
		{Type: big}, {Type: stream.TypeToken, Data: big, Code: big}, {Type: stream.TypeToken, Data: "a", Cost: big}, {Type: stream.TypeToolUse, ToolName: big, ToolUseID: big},
		{Type: stream.TypeComplete, Code: big, StopReason: bedrockkit.StopReason(big), Pending: []stream.Pending{{ToolUseID: big}}},
		{Type: stream.TypeError, Code: big}, {Type: stream.TypeToolResult, Status: big, Data: big}, {Type: stream.TypeToken}, {},
	} {
		for _, limit := range []int{1024, 4096, 0} {
			var got kept
			size := 0
			sink := stream.JSON(func(_ context.Context, data []byte) error {
				size = max(size, len(data))
				return nil
			})
			encode := sink.Send
			sink.MaxMessage = limit
			sink.Send = func(ctx context.Context, m stream.Message) error {
				got.send(ctx, m)
				return encode(ctx, m)
			}
			messages := []stream.Message{m, complete}
			if m.Last() {
				messages = messages[:1]
			}
			require.NoError(t, stream.Write(t.Context(), &said{messages: messages}, sink))
			if limit == 0 {
				limit = 32 << 10
			}
			assert.LessOrEqual(t, size, limit)
			assert.True(t, got[len(got)-1].Last())
		}
	}
}
