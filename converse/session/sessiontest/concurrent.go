package sessiontest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/mangaassist/bedrockkit/converse/session"
)

func checkRace(ctx context.Context, s session.Store, o Options) error {
	h, err := save(ctx, s, "a", say("begin"))
	if err != nil {
		return err
	}
	const writers = 8
	won := make([]bool, writers)
	versions := make([]int64, writers)
	errs := make([]error, writers)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			// Some are large, for stores that keep those in another way.
			mine := session.History{Messages: say(noise(uint64(w), 1000+w%2*(o.MaxBytes-2000))), Version: h.Version}
			versions[w], errs[w] = s.Save(ctx, "a", mine)
			won[w] = errs[w] == nil
		})
	}
	wg.Wait()
	winner := -1
	for w := range writers {
		switch {
		case won[w] && winner >= 0:
			return errors.New("two writers of one version both won")
		case won[w]:
			winner = w
		case !errors.Is(errs[w], session.ErrConflict):
			return fmt.Errorf("a writer got %w, not ErrConflict", errs[w])
		}
	}
	if winner < 0 {
		return errors.New("no writer won")
	}
	return expect(ctx, s, "a", session.History{Messages: say(noise(uint64(winner), 1000+winner%2*(o.MaxBytes-2000))), Version: versions[winner]})
}

// A reader gets one history or another, and never parts of both.
func checkReaders(ctx context.Context, s session.Store, o Options) error {
	texts := make([]string, 6)
	for i := range texts {
		texts[i] = noise(uint64(i), o.MaxBytes/2)
	}
	h, err := save(ctx, s, "a", say(texts[0]))
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() {
		defer close(done)
		for _, text := range texts[1:] {
			version, err := s.Save(ctx, "a", session.History{Messages: say(text), Version: h.Version})
			if err != nil {
				done <- fmt.Errorf("save: %w", err)
				return
			}
			h.Version = version
		}
	}()
	defer func() {
		for range done { // until the writer has ended
		}
	}()
	var last int64
	for {
		got, err := s.Load(ctx, "a")
		if err != nil {
			return fmt.Errorf("load while another saves: %w", err)
		}
		if len(got.Messages) != 1 || !slices.Contains(texts, got.Messages[0].Text()) {
			return errors.New("a reader got what nobody saved")
		}
		if got.Version < last {
			return errors.New("a reader got a history older than one that it had")
		}
		last = got.Version
		select {
		case err := <-done:
			return err
		default:
		}
	}
}

func checkContext(ctx context.Context, s session.Store, _ Options) error {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := s.Load(ctx, "a"); !errors.Is(err, context.Canceled) {
		return fmt.Errorf("load with an ended context gave %v", err)
	}
	if _, err := s.Save(ctx, "a", session.History{Messages: say("one")}); !errors.Is(err, context.Canceled) {
		return fmt.Errorf("save with an ended context gave %v", err)
	}
	if err := s.Delete(ctx, "a"); !errors.Is(err, context.Canceled) {
		return fmt.Errorf("delete with an ended context gave %v", err)
	}
	return nil
}
