package app

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/mangaassist/bedrockkit/examples/chatserver/catalog"
	"github.com/mangaassist/bedrockkit/examples/chatserver/metrics"
	"github.com/mangaassist/bedrockkit/examples/chatserver/nightly"
)

// enrichmentEvery is how often the server looks for a new enrichment.
const enrichmentEvery = time.Minute

// enrichment returns the catalogue with what chatserver nightly has found out about its
// manga, by which searches are ordered. A night that is new is taken while the server
// runs; one that cannot be read leaves what was there.
func (b *builder) enrichment(ctx context.Context, books *catalog.Catalog) (*catalog.Catalog, error) {
	if b.Enrichment == "" {
		b.say("enrichment", "none")
		return books, nil
	}
	place, err := b.enrichmentPlace(ctx)
	if err != nil {
		return nil, err
	}
	books = books.Copy() // it is its own to enrich
	tag := ""
	read := func(ctx context.Context) {
		e, now, err := place.Load(ctx, tag)
		tag = now
		switch {
		case err != nil && ctx.Err() == nil:
			b.log.Warn("the enrichment cannot be read; searches go on with what they have", "error", err)
		case e != nil:
			n := books.Enrich(e)
			b.log.Info("the catalogue is enriched", "day", e.Day, "manga", n)
			night := metrics.Night{Day: e.Day, Manga: n}
			if e.Batch != nil {
				saved := e.Batch.Live.Sub(e.Batch.Cost)
				night.Cost, night.Saved = &e.Batch.Cost, &saved
			}
			b.metrics.SetNight(night)
		}
	}
	read(ctx)
	b.background = append(b.background, func(ctx context.Context) {
		tick := time.NewTicker(enrichmentEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				read(ctx)
			}
		}
	})
	there := ""
	if tag == "" {
		there = " not there yet,"
	}
	b.say("enrichment", "%s,%s looked at each minute", b.Enrichment, there)
	return books, nil
}

// enrichmentPlace is the place that -enrichment names.
func (b *builder) enrichmentPlace(ctx context.Context) (nightly.Place, error) {
	var api nightly.S3API
	if nightly.InS3(b.Enrichment) {
		cfg, err := b.aws(ctx)
		if err != nil {
			return nightly.Place{}, fmt.Errorf("-enrichment: %w", err)
		}
		api = s3.NewFromConfig(cfg, pathStyle)
	}
	place, err := nightly.NewPlace(b.Enrichment, api)
	if err != nil {
		return place, fmt.Errorf("-enrichment: %w", err)
	}
	return place, nil
}

// pathStyle is for stores that are not AWS: they have no host for each bucket.
func pathStyle(o *s3.Options) { o.UsePathStyle = o.BaseEndpoint != nil }

// Enrichment returns the catalogue of the settings, and the place of its enrichment:
// for what makes one.
func Enrichment(ctx context.Context, s Settings, log *slog.Logger) (*catalog.Catalog, nightly.Place, error) {
	b := &builder{Settings: s, log: log, ready: map[string]func(context.Context) error{}}
	defer b.close()
	books, _, err := b.products(ctx)
	if err != nil {
		return nil, nightly.Place{}, err
	}
	place, err := b.enrichmentPlace(ctx)
	return books, place, err
}
