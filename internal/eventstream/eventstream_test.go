package eventstream

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestVectorsPositive(t *testing.T) {
	files, err := filepath.Glob("testdata/encoded/positive/*")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			encoded, err := os.ReadFile(file)
			require.NoError(t, err)
			want := readDecoded(t, filepath.Join("testdata/decoded/positive", filepath.Base(file)))

			r := NewReader(bytes.NewReader(encoded), 0)
			frame, err := r.Next()
			require.NoError(t, err)
			headers, err := frame.Headers()
			require.NoError(t, err)
			assert.Equal(t, want.Headers, headers)
			assert.Equal(t, want.Payload, append([]byte{}, frame.Payload...))
			assert.Equal(t, encoded, AppendMessage(nil, headers, frame.Payload), "encoded again")

			_, err = r.Next()
			assert.Equal(t, io.EOF, err)
		})
	}
}

func TestVectorsNegative(t *testing.T) {
	files, err := filepath.Glob("testdata/encoded/negative/*")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			encoded, err := os.ReadFile(file)
			require.NoError(t, err)
			decoded, err := os.ReadFile(filepath.Join("testdata/decoded/negative", filepath.Base(file)))
			require.NoError(t, err)
			require.Contains(t, string(decoded), "checksum mismatch")

			_, err = NewReader(bytes.NewReader(encoded), 0).Next()
			if strings.HasPrefix(filepath.Base(file), "corrupted_length") || strings.HasPrefix(filepath.Base(file), "corrupted_header_len") {
				// A length that cannot be is refused before its checksum is.
				assert.True(t, errors.Is(err, ErrChecksum) || errors.Is(err, ErrMalformed) || errors.Is(err, ErrTooLarge), "%v", err)
				return
			}
			assert.ErrorIs(t, err, ErrChecksum)
		})
	}
}

type message struct {
	Headers []Header
	Payload []byte
}

func readDecoded(t *testing.T, file string) message {
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	var v struct {
		Headers []struct {
			Name  string
			Type  byte
			Value json.RawMessage
		}
		Payload []byte
	}
	require.NoError(t, json.Unmarshal(raw, &v))
	m := message{Payload: append([]byte{}, v.Payload...)}
	for _, h := range v.Headers {
		var number int64
		var text string
		_ = json.Unmarshal(h.Value, &number)
		_ = json.Unmarshal(h.Value, &text)
		decoded, err := base64.StdEncoding.DecodeString(text)
		require.NoError(t, err)
		var value any
		switch h.Type {
		case typeTrue:
			value = true
		case typeFalse:
			value = false
		case typeByte:
			value = int8(number)
		case typeInt16:
			value = int16(number)
		case typeInt32:
			value = int32(number)
		case typeInt64:
			value = number
		case typeBytes:
			value = decoded
		case typeString:
			value = string(decoded)
		case typeTimestamp:
			value = time.UnixMilli(number).UTC()
		case typeUUID:
			value = [16]byte(decoded)
		}
		m.Headers = append(m.Headers, Header{Name: h.Name, Value: value})
	}
	return m
}

func TestSteeringHeaders(t *testing.T) {
	var b []byte
	b = AppendEvent(b, "contentBlockDelta", []byte(`{"a":1}`))
	b = AppendException(b, "throttlingException", []byte(`{"message":"slow down"}`))
	b = AppendError(b, "InternalError", "broken")
	// One byte a read: frames are put together from any pieces.
	r := NewReader(iotest.OneByteReader(bytes.NewReader(b)), 0)

	f, err := r.Next()
	require.NoError(t, err)
	assert.Equal(t, []string{"event", "contentBlockDelta", `{"a":1}`},
		[]string{string(f.MessageType), string(f.EventType), string(f.Payload)})

	f, err = r.Next()
	require.NoError(t, err)
	assert.Equal(t, []string{"exception", "throttlingException", `{"message":"slow down"}`},
		[]string{string(f.MessageType), string(f.ExceptionType), string(f.Payload)})

	f, err = r.Next()
	require.NoError(t, err)
	assert.Equal(t, []string{"error", "InternalError", "broken"},
		[]string{string(f.MessageType), string(f.ErrorCode), string(f.ErrorMessage)})
	assert.Empty(t, f.Payload)

	_, err = r.Next()
	assert.Equal(t, io.EOF, err)
}

func TestCutAtEveryByte(t *testing.T) {
	whole := AppendEvent(nil, "messageStop", []byte(`{"stopReason":"end_turn"}`))
	for n := range len(whole) {
		_, err := NewReader(bytes.NewReader(whole[:n]), 0).Next()
		if n == 0 {
			assert.Equal(t, io.EOF, err)
			continue
		}
		assert.Equal(t, io.ErrUnexpectedEOF, err, "cut after %d bytes", n)
	}
}

func TestFlippedAtEveryByte(t *testing.T) {
	whole := AppendEvent(nil, "messageStop", []byte(`{"stopReason":"end_turn"}`))
	for n := range len(whole) {
		flipped := bytes.Clone(whole)
		flipped[n] ^= 0x55
		_, err := NewReader(bytes.NewReader(flipped), 0).Next()
		assert.Error(t, err, "flipped byte %d", n)
	}
}

func prelude(total, headers uint32) []byte {
	b := binary.BigEndian.AppendUint32(nil, total)
	b = binary.BigEndian.AppendUint32(b, headers)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
}

func TestRefusedAtThePrelude(t *testing.T) {
	tests := []struct {
		name           string
		total, headers uint32
		want           error
	}{
		{"total of 0", 0, 0, ErrMalformed},
		{"total under the smallest frame", 15, 0, ErrMalformed},
		{"headers longer than the frame", 16, 1, ErrMalformed},
		{"headers of 4 GiB", 100, 0xFFFFFFFF, ErrMalformed},
		{"frame of 4 GiB", 0xFFFFFFFF, 0, ErrTooLarge},
		{"frame over the bound", 1<<20 + 1, 0, ErrTooLarge},
		{"headers over the bound", 1 << 20, MaxHeaders + 1, ErrTooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := NewReader(io.MultiReader(bytes.NewReader(prelude(tt.total, tt.headers)), zeros{}), 1<<20)
			_, err := r.Next()
			require.ErrorIs(t, err, tt.want)
			_, again := r.Next()
			assert.Equal(t, err, again, "the error stays")
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// A frame that claims much and sends little costs little.
func TestMemoryFollowsWhatArrived(t *testing.T) {
	body := append(prelude(20<<20, 0), make([]byte, 10_000)...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := NewReader(bytes.NewReader(body), 0).Next()
	runtime.ReadMemStats(&after)
	require.Equal(t, io.ErrUnexpectedEOF, err)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(256<<10))
}

// A thousand slow streams hold a small buffer each; a busy one has a larger.
func TestBufferFollowsThePace(t *testing.T) {
	frame := AppendEvent(nil, "contentBlockDelta", bytes.Repeat([]byte("x"), 200))
	var one []io.Reader
	for range 50 {
		one = append(one, bytes.NewReader(frame))
	}
	for _, tt := range []struct {
		name string
		src  io.Reader
		want int
	}{
		{"a frame at a time", io.MultiReader(one...), firstBuffer},
		{"all at once", bytes.NewReader(bytes.Repeat(frame, 50)), busyBuffer},
		{"a large frame", bytes.NewReader(AppendEvent(nil, "e", make([]byte, 20_000))), 32 << 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, held := NewReader(tt.src, 0), 0
			for {
				if _, err := r.Next(); err != nil {
					require.Equal(t, io.EOF, err)
					break
				}
				held = cap(r.buf)
			}
			assert.Equal(t, tt.want, held)
		})
	}
}

func TestReaderThatNeverReads(t *testing.T) {
	_, err := NewReader(stuck{}, 0).Next()
	assert.Equal(t, io.ErrNoProgress, err)
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

func TestFramesOfManySizesThroughOneBuffer(t *testing.T) {
	var b []byte
	var sizes []int
	for n := 0; n < 70_000; n = n*3/2 + 7 {
		sizes = append(sizes, n)
		b = AppendEvent(b, "e", bytes.Repeat([]byte{byte(n)}, n))
	}
	for _, src := range []io.Reader{bytes.NewReader(b), iotest.HalfReader(bytes.NewReader(b)), iotest.DataErrReader(bytes.NewReader(b))} {
		r := NewReader(src, 0)
		for _, n := range sizes {
			f, err := r.Next()
			require.NoError(t, err)
			require.Equal(t, bytes.Repeat([]byte{byte(n)}, n), append([]byte{}, f.Payload...))
		}
		_, err := r.Next()
		require.Equal(t, io.EOF, err)
	}
}

func FuzzReader(f *testing.F) {
	for _, pattern := range []string{"testdata/encoded/positive/*", "testdata/encoded/negative/*"} {
		files, _ := filepath.Glob(pattern)
		for _, file := range files {
			b, err := os.ReadFile(file)
			require.NoError(f, err)
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := NewReader(bytes.NewReader(b), 1<<20)
		rest := b
		for {
			frame, err := r.Next()
			if err != nil {
				return
			}
			headers, err := frame.Headers()
			if err != nil {
				t.Fatalf("a frame was given out whose headers cannot be read: %v", err)
			}
			again := AppendMessage(nil, headers, frame.Payload)
			if !bytes.HasPrefix(rest, again) {
				t.Fatalf("encoded again %x, was %x", again, rest)
			}
			rest = rest[len(again):]
		}
	})
}

func BenchmarkReader(b *testing.B) {
	var stream []byte
	for range 500 {
		stream = AppendEvent(stream, "contentBlockDelta", []byte(`{"contentBlockIndex":0,"delta":{"text":" token"},"p":"abcdefghijklmnopqrstuvwxyz"}`))
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(stream)))
	for b.Loop() {
		r := NewReader(bytes.NewReader(stream), 0)
		for {
			if _, err := r.Next(); err == io.EOF {
				break
			} else if err != nil {
				b.Fatal(err)
			}
		}
	}
}
