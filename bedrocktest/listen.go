package bedrocktest

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// A memListener accepts connections that are memory. Its goroutines block on
// nothing but sync.Cond and channels, so it lives in a synctest bubble.
type memListener struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newMemListener() *memListener {
	return &memListener{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (l *memListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *memListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *memListener) Addr() net.Addr { return memAddr{} }

func (l *memListener) dial(ctx context.Context) (net.Conn, error) {
	a, b := newPipe(), newPipe()
	client, server := &memConn{in: a, out: b}, &memConn{in: b, out: a}
	select {
	case l.conns <- server:
		return client, nil
	case <-l.done:
		return nil, fmt.Errorf("dial: the bedrocktest server is closed: %w", syscall.ECONNREFUSED)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

type memAddr struct{}

func (memAddr) Network() string { return "memory" }
func (memAddr) String() string  { return "127.0.0.1:0" }

// pipeSize is what a pipe takes before its writer waits, about what a
// loopback socket takes.
const pipeSize = 64 << 10

// A pipe is one direction of a connection.
type pipe struct {
	mu   sync.Mutex
	cond sync.Cond
	buf  []byte
	err  error // the reader gets it once buf is empty: io.EOF, a reset
	gone error // the writer gets it

	read, write deadline
}

func newPipe() *pipe {
	p := &pipe{}
	p.cond.L = &p.mu
	return p
}

type deadline struct {
	timer  *time.Timer
	passed bool
}

func (p *pipe) set(d *deadline, t time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.passed = false
	if t.IsZero() {
		return
	}
	wait := time.Until(t)
	if wait <= 0 {
		d.passed = true
		p.cond.Broadcast()
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(wait, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if d.timer == timer {
			d.passed = true
			p.cond.Broadcast()
		}
	})
	d.timer = timer
}

func (p *pipe) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.read.passed:
			return 0, os.ErrDeadlineExceeded
		case len(p.buf) > 0:
			n := copy(b, p.buf)
			p.buf = p.buf[n:]
			if len(p.buf) == 0 {
				p.buf = nil
			}
			p.cond.Broadcast()
			return n, nil
		case p.err != nil:
			return 0, p.err
		case len(b) == 0:
			return 0, nil
		}
		p.cond.Wait()
	}
}

func (p *pipe) Write(b []byte) (n int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.write.passed:
			return n, os.ErrDeadlineExceeded
		case p.gone != nil:
			return n, p.gone
		}
		free := min(pipeSize-len(p.buf), len(b))
		p.buf = append(p.buf, b[:free]...)
		b, n = b[free:], n+free
		if free > 0 {
			p.cond.Broadcast()
		}
		if len(b) == 0 {
			return n, nil
		}
		p.cond.Wait()
	}
}

// close ends the pipe: the reader gets err after what is in it, or at once if
// it is dropped; the writer gets gone.
func (p *pipe) close(err, gone error, drop bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = err
	}
	if p.gone == nil {
		p.gone = gone
	}
	if drop {
		p.buf, p.err = nil, err
	}
	for _, d := range []*deadline{&p.read, &p.write} {
		if d.timer != nil {
			d.timer.Stop()
			d.timer = nil
		}
	}
	p.cond.Broadcast()
}

// A memConn is one end of a connection.
type memConn struct {
	in, out *pipe
	mu      sync.Mutex
	reset   bool
	closed  bool
}

func (c *memConn) Read(b []byte) (int, error)  { return c.in.Read(b) }
func (c *memConn) Write(b []byte) (int, error) { return c.out.Write(b) }

func (c *memConn) Close() error {
	c.mu.Lock()
	reset, closed := c.reset, c.closed
	c.closed = true
	c.mu.Unlock()
	if closed {
		return nil
	}
	c.in.close(net.ErrClosed, syscall.EPIPE, true)
	if reset {
		c.out.close(&net.OpError{Op: "read", Net: "memory", Err: syscall.ECONNRESET}, net.ErrClosed, false)
	} else {
		c.out.close(io.EOF, net.ErrClosed, false)
	}
	return nil
}

// SetLinger is that of [net.TCPConn]: with 0, Close resets the connection.
func (c *memConn) SetLinger(sec int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reset = sec == 0
	return nil
}

func (c *memConn) LocalAddr() net.Addr  { return memAddr{} }
func (c *memConn) RemoteAddr() net.Addr { return memAddr{} }

func (c *memConn) SetDeadline(t time.Time) error {
	c.in.set(&c.in.read, t)
	c.out.set(&c.out.write, t)
	return nil
}

func (c *memConn) SetReadDeadline(t time.Time) error {
	c.in.set(&c.in.read, t)
	return nil
}

func (c *memConn) SetWriteDeadline(t time.Time) error {
	c.out.set(&c.out.write, t)
	return nil
}
