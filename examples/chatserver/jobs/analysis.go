package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/asyncq"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/examples/chatserver/auth"
	"github.com/mangaassist/bedrockkit/examples/chatserver/catalog"
	"github.com/mangaassist/bedrockkit/examples/chatserver/rest"
)

// Analysis is the payload of a job.
type Analysis struct {
	Type    string `json:"analysis_type"` // one of the constants
	MangaID string `json:"manga_id,omitempty"`
	Context string `json:"additional_context,omitempty"`
	Text    string `json:"text,omitempty"`  // of ContentModeration
	Image   []byte `json:"image,omitempty"` // of CoverAnalysis: a PNG or JPEG; none for the cover that the store draws
	Day     string `json:"day,omitempty"`   // of DailySummary: 2026-11-29, in UTC
}

// The types of an [Analysis], each with the type of its result.
const (
	GenreClassification = "genre_classification" // Genres
	ContentSummary      = "content_summary"      // Summary
	SimilarSeries       = "similar_series"       // Similar
	ReadingLevel        = "reading_level"        // Level
	FullEnrichment      = "full_enrichment"      // Enrichment
	ContentModeration   = "content_moderation"   // Moderation
	CoverAnalysis       = "cover_analysis"       // Cover
	CheckedEnrichment   = "checked_enrichment"   // Check
	DailySummary        = "daily_summary"        // Day; see [Service.Summarize]

	dailySchedule = "daily_schedule" // submits a DailySummary for each caller
)

// Validate is called when a job is submitted.
func (a Analysis) Validate() error {
	switch a.Type {
	case GenreClassification, ContentSummary, SimilarSeries, ReadingLevel, FullEnrichment, CheckedEnrichment:
	case ContentModeration:
		if a.Text == "" || !utf8.ValidString(a.Text) {
			return errors.New("content_moderation needs a text")
		}
	case CoverAnalysis:
	case DailySummary:
		_, err := day(a.Day)
		return err
	case dailySchedule:
		return nil
	default:
		return fmt.Errorf("analysis_type %q is not known", a.Type)
	}
	if !catalog.ValidID(a.MangaID) {
		return fmt.Errorf("manga_id is %q; it is MNG- and eight letters or digits", a.MangaID)
	}
	return nil
}

// The results. What a field means is in the schema of the same name: package rest has
// it, and the model gets it.
type (
	// Genres says what kind of manga it is.
	Genres struct {
		GenreTags         []string `json:"genre_tags"`
		TargetDemographic string   `json:"target_demographic"`
	}

	// Summary says what it is about, without spoilers.
	Summary struct {
		English       string   `json:"summary_en"`
		Japanese      string   `json:"summary_ja"`
		ThemeKeywords []string `json:"theme_keywords"`
	}

	// Similar says what its readers might read next.
	Similar struct {
		Series []SimilarTo `json:"similar_series"`
	}

	// SimilarTo is one of them.
	SimilarTo struct {
		Title  string `json:"title"`
		Reason string `json:"reason"`
	}

	// Level says who can read it.
	Level struct {
		ReadingLevel    string   `json:"reading_level"`
		MinimumAge      int      `json:"minimum_age"`
		ContentWarnings []string `json:"content_warnings"`
	}

	// Enrichment is all of it, for a catalogue.
	Enrichment struct {
		Genres
		Summary
		Similar
		Level
		SearchKeywords []string `json:"search_keywords"`
	}
)

const analystPrompt = "You are the catalogue analyst of a Japanese manga store. You get one entry of the catalogue as JSON. " +
	"Fill in what is asked for. State nothing that the entry or common knowledge of the series does not support."

// Handle is the [asyncq.Handler] of the jobs.
func (s *Service) Handle(ctx context.Context, job *asyncq.Job[Analysis]) error {
	ctx = auth.WithCaller(ctx, auth.Caller{ID: job.Metadata[callerKey]}) // who pays
	switch job.Payload.Type {
	case GenreClassification:
		return analyse[Genres](ctx, s, job, "GenreClassification")
	case ContentSummary:
		return analyse[Summary](ctx, s, job, "ContentSummary")
	case SimilarSeries:
		return analyse[Similar](ctx, s, job, "SimilarSeries")
	case ReadingLevel:
		return analyse[Level](ctx, s, job, "ReadingLevel")
	case FullEnrichment:
		return analyse[Enrichment](ctx, s, job, "FullEnrichment")
	case ContentModeration:
		return s.moderate(ctx, job)
	case CoverAnalysis:
		return s.lookAtCover(ctx, job)
	case CheckedEnrichment:
		return s.enrichChecked(ctx, job)
	case DailySummary:
		return s.summarizeDay(ctx, job)
	case dailySchedule:
		return s.scheduleDay(ctx, job)
	}
	return asyncq.JobDead(fmt.Errorf("analysis_type %q is not known to this worker", job.Payload.Type))
}

// analyse asks for one value about the manga and makes it the job's result.
func analyse[T any](ctx context.Context, s *Service, job *asyncq.Job[Analysis], schema string) error {
	question, err := s.entry(job)
	if err != nil {
		return err
	}
	value, _, err := ask[T](ctx, s, job, s.options.Model, schema, analystPrompt, converse.Text(question))
	if err != nil {
		return err
	}
	return job.SetResult(value)
}

// entry is the question about the manga of a job.
func (s *Service) entry(job *asyncq.Job[Analysis]) (string, error) {
	manga, ok := s.books.ByID(job.Payload.MangaID)
	if !ok {
		return "", asyncq.JobDead(errors.New("the catalogue has this manga no more"))
	}
	entry, err := json.Marshal(manga)
	if err != nil {
		return "", asyncq.JobDead(err)
	}
	question := "The entry:\n" + string(entry)
	if job.Payload.Context != "" {
		question += "\n\nWhat the person who asks has added:\n" + job.Payload.Context
	}
	return question, nil
}

// ask asks a model for a value that fits a schema of package rest, and counts what it
// cost. A request that no model would take is not tried again.
func ask[T any](ctx context.Context, s *Service, job *asyncq.Job[Analysis], model bedrockkit.ModelID, schema, prompt string, question ...converse.Content) (T, *converse.RunResult, error) {
	value, result, err := converse.Generate[T](ctx, s.chat, converse.Request{
		Model: model, System: converse.Texts(prompt), Messages: []converse.Message{converse.UserContent(question...)},
		MaxTokens: 2048, OutputFormat: &converse.OutputFormat{Name: "answer", Schema: rest.Schema(schema)},
	})
	job.AddUsage(result.Usage, result.Cost)
	if errors.Is(err, bedrockx.ErrValidation) || errors.Is(err, bedrockx.ErrContextOverflow) || errors.Is(err, bedrockx.ErrNotFound) {
		return value, result, asyncq.JobDead(err)
	}
	return value, result, err
}
