package jobs

import (
	"cmp"
	"context"
	"crypto/sha256"
	_ "embed" // of ScheduleMessage
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/mangaassist/bedrockkit/asyncq"
	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/examples/chatserver/auth"
	"github.com/mangaassist/bedrockkit/examples/chatserver/rest"
	"github.com/mangaassist/bedrockkit/pricing"
)

// Day is the summary of a caller's jobs of a day: figures, which are counted, and
// what the model writes of them.
type Day struct {
	Figures
	Headline   string   `json:"headline"`
	English    string   `json:"summary_en"`
	Japanese   string   `json:"summary_ja"`
	Highlights []string `json:"highlights"`
}

// Figures are counts of a caller's jobs of a day.
type Figures struct {
	Day       string         `json:"day"` // in UTC
	Submitted int            `json:"submitted"`
	Completed int            `json:"completed"`
	Failed    int            `json:"failed"`
	CostUSD   string         `json:"cost_usd"` // of those whose cost is known
	ByType    map[string]int `json:"by_type"`
	TopManga  []MangaCount   `json:"top_manga"` // at most 5, by their jobs
}

// MangaCount is how many jobs were about a manga.
type MangaCount struct {
	MangaID string `json:"manga_id"`
	Title   string `json:"title"`
	Jobs    int    `json:"jobs"`
}

const dayForm = time.DateOnly

func day(text string) (time.Time, error) {
	d, err := time.Parse(dayForm, text)
	if err != nil {
		return d, fmt.Errorf("day is %q; it is such as 2026-11-29", text)
	}
	return d, nil
}

// callersOf names the list of who has submitted jobs on a day.
func callersOf(day string) string { return "callers/" + day }

const summaryPrompt = "You write the daily note about background analyses for a manga store. You get its figures as JSON. " +
	"Repeat figures exactly and state none that is not there. Be brief and friendly."

// summarizeDay counts the caller's jobs of the day and has the model write about them.
func (s *Service) summarizeDay(ctx context.Context, job *asyncq.Job[Analysis]) error {
	figures, err := s.figures(ctx, job.Payload.Day)
	if err != nil {
		return err
	}
	text, err := json.Marshal(figures)
	if err != nil {
		return asyncq.JobDead(err)
	}
	written, _, err := ask[Day](ctx, s, job, s.options.Model, "DailySummary", summaryPrompt, converse.Text("The figures:\n"+string(text)))
	if err != nil {
		return err
	}
	written.Figures = figures
	return job.SetResult(written)
}

func (s *Service) figures(ctx context.Context, day string) (Figures, error) {
	f := Figures{Day: day, ByType: map[string]int{}, TopManga: []MangaCount{}}
	list, err := s.recent(ctx, MaxList, nil)
	if err != nil {
		return f, err
	}
	cost := pricing.Amount{}
	about := map[string]MangaCount{}
	for _, job := range list {
		if job.CreatedAt.UTC().Format(dayForm) != day || job.AnalysisType == DailySummary {
			continue
		}
		f.Submitted++
		f.ByType[job.AnalysisType]++
		switch job.State {
		case "completed":
			f.Completed++
		case "failed":
			f.Failed++
		}
		if job.Cost != nil {
			cost = cost.Add(*job.Cost)
		}
		m := about[job.MangaID]
		about[job.MangaID] = MangaCount{job.MangaID, job.Title, m.Jobs + 1}
	}
	f.CostUSD = cost.String()
	all := slices.SortedFunc(maps.Values(about), func(a, b MangaCount) int {
		return cmp.Or(b.Jobs-a.Jobs, cmp.Compare(a.MangaID, b.MangaID))
	})
	f.TopManga = append(f.TopManga, all[:min(5, len(all))]...)
	return f, nil
}

// Summarize implements [rest.Jobs]: it submits the summary of the caller's jobs of a
// day. A day that is over has one summary, however often it is asked for; one that has
// failed is written anew.
func (s *Service) Summarize(ctx context.Context, text string) (string, error) {
	now := time.Now().UTC()
	if text == "" {
		text = now.Format(dayForm)
	}
	of, err := day(text)
	if err == nil && of.After(now) {
		err = fmt.Errorf("day is %s, which has not begun", text)
	}
	if err == nil && of.Before(now.Add(-Retention)) {
		err = fmt.Errorf("day is %s; jobs are kept for %d days", text, int(Retention.Hours()/24))
	}
	if err != nil {
		return "", &rest.InvalidError{Details: []rest.Detail{{Path: "/day", Message: err.Error(), Validator: "day"}}}
	}
	id, caller := newID(), auth.CallerOf(ctx).ID
	if over := !of.AddDate(0, 0, 1).After(now); over {
		if id, err = s.summaryOf(ctx, caller, text); err != nil {
			return "", err
		}
	}
	if err := s.room(ctx, 1); err != nil {
		return "", err
	}
	return s.submitSummary(ctx, caller, text, id)
}

// maxSummaries is how often the summary of a day that is over is written, if it fails.
const maxSummaries = 10

// summaryOf is the id of the summary of a day that is over: of the first that has not
// failed.
func (s *Service) summaryOf(ctx context.Context, caller, day string) (id string, err error) {
	for failed := range maxSummaries {
		id = summaryID(caller, day, failed)
		job, err := s.backend.Status.Get(ctx, id)
		if err != nil && !errors.Is(err, asyncq.ErrNotFound) {
			return "", err
		}
		if job.State != asyncq.Failed {
			break
		}
	}
	return id, nil
}

// summaryID is the id of the summary of a day that is over, after so many have failed.
func summaryID(caller, day string, failed int) string {
	name := day + "/" + caller
	if failed > 0 {
		name += "\x00" + strconv.Itoa(failed) // no caller's id has a zero byte
	}
	sum := sha256.Sum256([]byte(name))
	b := sum[:16]
	return hex.EncodeToString(b[:4]) + "-" + hex.EncodeToString(b[4:6]) + "-" + hex.EncodeToString(b[6:8]) + "-" + hex.EncodeToString(b[8:10]) + "-" + hex.EncodeToString(b[10:])
}

func (s *Service) submitSummary(ctx context.Context, caller, day, id string) (string, error) {
	if err := s.backend.Index.Add(ctx, jobsOf(caller), id); err != nil {
		return "", err
	}
	return s.producer.Submit(ctx, asyncq.Request[Analysis]{
		ID: id, Payload: Analysis{Type: DailySummary, Day: day}, Priority: asyncq.Low,
		Metadata: map[string]string{callerKey: caller, kindKey: DailySummary},
	})
}

// scheduleDay submits a summary of the day before the job's for each caller that had
// jobs on it.
func (s *Service) scheduleDay(ctx context.Context, job *asyncq.Job[Analysis]) error {
	day := job.CreatedAt.UTC().AddDate(0, 0, -1).Format(dayForm)
	callers, err := s.backend.Index.List(ctx, callersOf(day), MaxList)
	if err != nil {
		return err
	}
	for _, caller := range callers {
		if _, err := s.submitSummary(ctx, caller, day, summaryID(caller, day, 0)); err != nil {
			return err // the next attempt submits none of them twice
		}
	}
	return job.SetResult(map[string]any{"day": day, "callers": len(callers)})
}

// ScheduleMessage is what a schedule of Amazon EventBridge sends to the queue of low
// priority each day at 0:05 UTC, as the input of its target. EventBridge puts the time
// in ("Adding context attributes", EventBridge Scheduler User Guide).
//
//go:embed schedule.json
var ScheduleMessage string

// dueAt is when the summaries of a day are due, after its end.
const dueAt = 5 * time.Minute

// Schedule submits, each day at 0:05 UTC, the job that has the summaries of the day
// before written, until ctx ends. [Service.Run] does so. Any number of processes may:
// the job has the same id in all of them, and in [ScheduleMessage].
func (s *Service) Schedule(ctx context.Context) {
	for {
		now := time.Now().UTC()
		due := now.Truncate(24 * time.Hour).Add(dueAt)
		wait := due.Sub(now)
		if wait <= 0 {
			if err := s.submitSchedule(ctx, due); err != nil && ctx.Err() == nil {
				s.options.Log.Error("the summaries of yesterday are not scheduled; trying again", "error", err)
				wait = time.Minute
			} else {
				wait = due.AddDate(0, 0, 1).Sub(now)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

func (s *Service) submitSchedule(ctx context.Context, due time.Time) error {
	_, err := s.producer.Submit(ctx, asyncq.Request[Analysis]{
		ID: "daily-" + due.Format(time.RFC3339), Payload: Analysis{Type: dailySchedule}, Priority: asyncq.Low, Metadata: map[string]string{kindKey: dailySchedule},
	})
	return err
}
