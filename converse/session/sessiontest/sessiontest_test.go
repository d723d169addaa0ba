package sessiontest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/converse/session"
)

func TestMemory(t *testing.T) {
	Run(t, func(*testing.T) session.Store { return session.NewMemoryStore() })
}

// broken is a store with a fault in it.
type broken struct {
	session.Store
	save func(ctx context.Context, id string, h session.History) (int64, error)
	load func(ctx context.Context, id string) (session.History, error)
	del  func(ctx context.Context, id string) error
}

func (b *broken) Save(ctx context.Context, id string, h session.History) (int64, error) {
	if b.save != nil {
		return b.save(ctx, id, h)
	}
	return b.Store.Save(ctx, id, h)
}

func (b *broken) Load(ctx context.Context, id string) (session.History, error) {
	if b.load != nil {
		return b.load(ctx, id)
	}
	return b.Store.Load(ctx, id)
}

func (b *broken) Delete(ctx context.Context, id string) error {
	if b.del != nil {
		return b.del(ctx, id)
	}
	return b.Store.Delete(ctx, id)
}

// The suite finds what is wrong with a store.
func TestBrokenStores(t *testing.T) {
	faults := map[string]func(*broken){
		"save and load": func(b *broken) {
			b.save = func(ctx context.Context, id string, h session.History) (int64, error) {
				h.Messages = h.Messages[:min(1, len(h.Messages))] // forgets
				return b.Store.Save(ctx, id, h)
			}
		},
		"conflict": func(b *broken) {
			b.save = func(ctx context.Context, id string, h session.History) (int64, error) {
				old, _ := b.Store.Load(ctx, id)
				h.Version = old.Version // the last one wins
				return b.Store.Save(ctx, id, h)
			}
		},
		"delete": func(b *broken) {
			b.del = func(context.Context, string) error { return nil } // does nothing
		},
		"not found": func(b *broken) {
			b.load = func(context.Context, string) (session.History, error) { return session.History{}, nil }
		},
		"every kind of content": func(b *broken) {
			b.load = func(ctx context.Context, id string) (session.History, error) {
				h, err := b.Store.Load(ctx, id)
				for _, m := range h.Messages {
					for i, c := range m.Content {
						if r, ok := c.(converse.Reasoning); ok {
							m.Content[i] = converse.Reasoning{Text: r.Text} // loses the signature
						}
					}
				}
				return h, err
			}
		},
		"bad ids": func(b *broken) {
			b.save = func(ctx context.Context, id string, h session.History) (int64, error) {
				return b.Store.Save(ctx, "x"+id[:min(len(id), 5)], h)
			}
		},
		"ids are apart": func(b *broken) {
			b.save = func(ctx context.Context, id string, h session.History) (int64, error) {
				return b.Store.Save(ctx, id[:1], h)
			}
		},
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			b := &broken{Store: session.NewMemoryStore()}
			fault(b)
			for _, c := range checks {
				if c.name == name {
					assert.Error(t, c.fn(t.Context(), b, Options{MaxBytes: 1 << 20}))
					return
				}
			}
			t.Fatal("there is no such check")
		})
	}
}
