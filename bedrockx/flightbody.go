package bedrockx

import (
	"context"
	"io"
	"sync"
)

// wake tells the readers that there is more. The lock is held.
func (f *flight) wake() {
	if f.grown != nil {
		close(f.grown)
		f.grown = nil
	}
}

// A teeBody is the body of the response; each caller gets a copy.
type teeBody struct {
	io.ReadCloser
	flight *flight
}

func (b teeBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.flight.mu.Lock()
	b.flight.buf = append(b.flight.buf, p[:n]...)
	b.flight.wake()
	b.flight.mu.Unlock()
	return n, err
}

// A sharedBody is a caller's copy of the body.
type sharedBody struct {
	cache  *Cache
	flight *flight
	ctx    context.Context
	call   *Call
	at     int
	once   sync.Once
	closed chan struct{}
}

func (b *sharedBody) Read(p []byte) (int, error) {
	f := b.flight
	for {
		f.mu.Lock()
		if n := copy(p, f.buf[b.at:]); n > 0 {
			f.mu.Unlock()
			b.at += n
			return n, nil
		}
		if f.ended {
			err := f.broken
			f.mu.Unlock()
			if err == nil {
				err = io.EOF
			}
			return 0, err
		}
		if f.grown == nil {
			f.grown = make(chan struct{})
		}
		grown := f.grown
		f.mu.Unlock()
		select {
		case <-grown:
		case <-b.closed:
			return 0, io.ErrClosedPipe
		case <-b.ctx.Done():
			return 0, context.Cause(b.ctx)
		}
	}
}

func (b *sharedBody) Close() error {
	b.once.Do(func() {
		close(b.closed)
		b.cache.leave(b.flight, b.call)
	})
	return nil
}
