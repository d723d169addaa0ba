package resumetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mangaassist/bedrockkit/stream"
	"github.com/mangaassist/bedrockkit/stream/resume"
)

func checkUnknown(r *run) error {
	_, appended := r.log.Append(r.ctx, r.claim, text(1, 1)...)
	_, read := r.log.Read(r.ctx, r.claim.ID, 0, time.Second)
	return errors.Join(
		want("Append to no answer", appended, resume.ErrLost),
		want("Read of no answer", read, resume.ErrUnknown),
		want("Stop of no answer", r.log.Stop(r.ctx, r.claim.ID), resume.ErrUnknown),
	)
}

func checkStop(r *run) error {
	stopped := func(wanted bool) func() error {
		return func() error {
			s, err := r.log.Append(r.ctx, r.claim)
			if err != nil || s.Stopped != wanted {
				return fmt.Errorf("an Append returned Stopped %t and the error %v; want %t", s.Stopped, err, wanted)
			}
			return nil
		}
	}
	stop := func() error { return want("Stop", r.log.Stop(r.ctx, r.claim.ID), nil) }
	return steps(
		r.begin, stopped(false), stop, stopped(true), stop, stopped(true),
		func() error { return r.append(complete(1)) },
		stop,
		func() error { return r.reads(0, true, complete(1)) },
	)
}

func checkUnread(r *run) error {
	unread := func() (time.Duration, error) {
		s, err := r.log.Append(r.ctx, r.claim)
		return s.Unread, err
	}
	if err := r.begin(); err != nil {
		return err
	}
	r.options.Advance(300 * time.Millisecond)
	if d, err := unread(); err != nil || d < 200*time.Millisecond {
		return fmt.Errorf("an Append returned Unread %s and the error %v, 300 ms after Begin", d, err)
	}
	if err := r.reads(0, false); err != nil {
		return err
	}
	if d, err := unread(); err != nil || d > 200*time.Millisecond {
		return fmt.Errorf("an Append returned Unread %s and the error %v after a Read", d, err)
	}
	ctx, cancel := context.WithCancel(r.ctx)
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = r.log.Read(ctx, r.claim.ID, 0, time.Minute) })
	time.Sleep(300 * time.Millisecond)
	d, err := unread()
	cancel()
	wg.Wait()
	if err != nil || d > 0 {
		return fmt.Errorf("an Append returned Unread %s and the error %v while someone waits in Read", d, err)
	}
	return nil
}

func checkLease(r *run) error {
	r.claim.Lease = 300 * time.Millisecond
	lost := resume.Interrupted(3)
	if err := steps(r.begin, func() error { return r.append(text(1, 2)...) }); err != nil {
		return err
	}
	pages, errs := make([]resume.Page, 3), make([]error, 3)
	var wg sync.WaitGroup
	began := time.Now()
	for i := range pages {
		wg.Go(func() { pages[i], errs[i] = r.log.Read(r.ctx, r.claim.ID, 2, 20*time.Second) })
	}
	wg.Wait()
	if waited := time.Since(began); waited > 10*time.Second {
		return fmt.Errorf("a Read waited %s after a lease of 300 ms", waited)
	}
	for i, p := range pages {
		if errs[i] != nil || !p.Ended || !same(p.Messages, []stream.Message{lost}) {
			return fmt.Errorf("a Read after the lease returned %v and the error %v; want the end %v", p, errs[i], lost)
		}
	}
	for what, messages := range map[string][]stream.Message{"the next message": text(3, 3), "an old message": text(2, 2), "nothing": nil, "the end": {complete(3)}} {
		if _, err := r.log.Append(r.ctx, r.claim, messages...); !errors.Is(err, resume.ErrLost) {
			return fmt.Errorf("an Append of %s after a reader ended the answer returned the error %v; want ErrLost", what, err)
		}
	}
	return r.reads(0, true, append(text(1, 2), lost)...)
}

func checkRenewed(r *run) error {
	r.claim.Lease = 2 * time.Second
	if err := r.begin(); err != nil {
		return err
	}
	for range 6 {
		r.options.Advance(500 * time.Millisecond)
		if err := r.append(); err != nil {
			return err
		}
	}
	return r.reads(0, false)
}

func checkKeep(r *run) error {
	r.claim.Keep = 2 * time.Second
	return steps(
		r.begin,
		func() error { return r.append(text(1, 1)...) },
		func() error {
			r.options.Advance(5 * time.Second / 2)
			return r.reads(0, false, text(1, 1)...) // it still runs
		},
		func() error { return r.append(complete(2)) },
		func() error {
			r.options.Advance(500 * time.Millisecond)
			return r.reads(0, true, append(text(1, 1), complete(2))...)
		},
		func() error {
			r.options.Advance(2 * time.Second)
			_, err := r.log.Read(r.ctx, r.claim.ID, 0, 0)
			return want("Read after Keep", err, resume.ErrUnknown)
		},
		func() error { return want("Stop after Keep", r.log.Stop(r.ctx, r.claim.ID), resume.ErrUnknown) },
		r.begin,
		func() error { return r.reads(0, false) },
	)
}

func checkApart(r *run) error {
	base := r.claim.ID
	ids := []string{base, base + ":", base + ":log", base + "/x", "{" + base + "}", base + "*", base + "%2F", base + "X"}
	for i, id := range ids {
		r.claim.ID = id
		if err := steps(r.begin, func() error { return r.append(text(1, int64(i+1))...) }); err != nil {
			return fmt.Errorf("the id %q: %w", id, err)
		}
	}
	for i, id := range ids {
		if err := r.readsOf(id, 0, false, text(1, int64(i+1))...); err != nil {
			return fmt.Errorf("the id %q: %w", id, err)
		}
	}
	return nil
}

func checkContext(r *run) error {
	if err := r.begin(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(r.ctx)
	cancel()
	other := r.claim
	other.ID += "-other"
	_, appended := r.log.Append(ctx, r.claim, text(1, 1)...)
	_, read := r.log.Read(ctx, r.claim.ID, 0, 0)
	return errors.Join(
		want("Begin", r.log.Begin(ctx, other), context.Canceled),
		want("Append", appended, context.Canceled),
		want("Read", read, context.Canceled),
		want("Stop", r.log.Stop(ctx, r.claim.ID), context.Canceled),
		r.reads(0, false),
	)
}

func checkLeave(r *run) error {
	if err := r.begin(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(r.ctx)
	time.AfterFunc(50*time.Millisecond, cancel)
	began := time.Now()
	_, err := r.log.Read(ctx, r.claim.ID, 0, 20*time.Second)
	if waited := time.Since(began); waited > 10*time.Second {
		return fmt.Errorf("a Read returned %s after its context was done", waited)
	}
	return want("Read whose context ends", err, context.Canceled)
}

func checkReaders(r *run) error {
	const count = 200
	if err := r.begin(); err != nil {
		return err
	}
	errs := make([]error, 20)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			for next := int64(1); next <= count+1; {
				p, err := r.log.Read(r.ctx, r.claim.ID, next-1, 10*time.Second)
				if err != nil || len(p.Messages) == 0 {
					errs[i] = fmt.Errorf("a reader that waits for message %d got %d and the error %v", next, len(p.Messages), err)
					return
				}
				for _, m := range p.Messages {
					if m.Sequence != next {
						errs[i] = fmt.Errorf("a reader got message %d; want %d", m.Sequence, next)
						return
					}
					next++
				}
			}
		})
	}
	for n := int64(1); n <= count; n++ {
		if err := r.append(text(n, n)...); err != nil {
			return err
		}
	}
	err := r.append(complete(count + 1))
	wg.Wait()
	return errors.Join(append(errs, err)...)
}
