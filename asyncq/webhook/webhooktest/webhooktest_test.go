package webhooktest

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/mangaassist/bedrockkit/asyncq/webhook"
)

func TestMemory(t *testing.T) {
	Run(t, func(*testing.T) webhook.Store { return webhook.NewMemoryStore() })
}

// wrong is a store with a fault that is easily made.
type wrong struct {
	webhook.Store
	change func(*webhook.Delivery)
	all    bool // is due
	force  bool // updates whatever the version is
}

func (w wrong) Create(ctx context.Context, d webhook.Delivery) error {
	if w.change != nil {
		w.change(&d)
	}
	return w.Store.Create(ctx, d)
}

func (w wrong) Update(ctx context.Context, d webhook.Delivery) error {
	if stored, err := w.Get(ctx, d.ID); err == nil && w.force {
		d.Version = stored.Version
	}
	return w.Store.Update(ctx, d)
}

func (w wrong) Due(ctx context.Context, now time.Time, limit int) ([]webhook.Delivery, error) {
	if w.all {
		now = now.Add(24 * time.Hour)
	}
	return w.Store.Due(ctx, now, limit)
}

func TestWrong(t *testing.T) {
	for name, tt := range map[string]struct {
		store wrong
		check func(context.Context, webhook.Store) error
	}{
		"a field is lost":     {wrong{change: func(d *webhook.Delivery) { d.LastError = "" }}, checkFields},
		"a body is lost":      {wrong{change: func(d *webhook.Delivery) { d.Body = nil }}, checkCreate},
		"what has ended":      {wrong{change: func(d *webhook.Delivery) { d.State = webhook.Pending }}, checkDue},
		"what is not yet due": {wrong{all: true}, checkDue},
		"the last writer won": {wrong{force: true}, checkUpdate},
		"all claims succeed":  {wrong{force: true}, checkRace},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tt.store.Store = webhook.NewMemoryStore()
				assert.Error(t, tt.check(t.Context(), tt.store))
			})
		})
	}
}
