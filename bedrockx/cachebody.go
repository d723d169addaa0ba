package bedrockx

import (
	"bytes"
	"context"
	"io"
	"sync"
	"time"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/internal/family"
)

// in is the answer in the form of an operation's response.
func (k *kept) in(ctx context.Context, op bedrockkit.Operation, pace float64) (io.ReadCloser, error) {
	switch {
	case op.Streaming() && k.frames, !op.Streaming() && !k.frames:
		return io.NopCloser(bytes.NewReader(k.body)), nil
	case !op.Streaming():
		body, err := join(op, k.body, 0)
		return io.NopCloser(bytes.NewReader(body)), err
	}
	if !k.both {
		return nil, family.ErrForm
	}
	piece := 0
	if pace > 0 {
		piece = 4
	}
	frames, err := split(op, k.body, piece)
	if err != nil {
		return nil, err
	}
	if pace > 0 {
		return &pacedBody{ctx: ctx, frames: frames, pace: pace, closed: make(chan struct{})}, nil
	}
	var whole []byte
	for _, f := range frames {
		whole = append(whole, f.Bytes...)
	}
	return io.NopCloser(bytes.NewReader(whole)), nil
}

// A pacedBody gives out the frames of a stream, each when its time has come.
type pacedBody struct {
	ctx    context.Context
	frames []family.Frame
	rest   []byte // of the frame that is given out
	pace   float64
	once   sync.Once
	closed chan struct{}
}

func (b *pacedBody) Read(p []byte) (int, error) {
	if len(b.rest) == 0 {
		if len(b.frames) == 0 {
			return 0, io.EOF
		}
		f := b.frames[0]
		b.rest, b.frames = f.Bytes, b.frames[1:]
		if f.Text > 0 {
			timer := time.NewTimer(time.Duration(float64(f.Text) / b.pace * float64(time.Second)))
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-b.closed:
				return 0, io.ErrClosedPipe
			case <-b.ctx.Done():
				return 0, context.Cause(b.ctx)
			}
		}
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

func (b *pacedBody) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}
