package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/asyncq"
	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/examples/chatserver/rest"
)

// Checked is an enrichment that a small model drafted and a large one checked, as it is
// stored. The API shows the steps in the status, and the rest as the result.
type Checked struct {
	Check
	Steps []rest.Step `json:"steps"`
}

// Check is what the second model says of a draft.
type Check struct {
	Approved    bool         `json:"approved"`
	Corrections []Correction `json:"corrections"`
	Enrichment  Enrichment   `json:"enrichment"`
}

// Correction is one thing that was wrong in a draft.
type Correction struct {
	Field   string `json:"field"`
	Problem string `json:"problem"`
}

// draft is the first step of a job, as it is stored.
type draft struct {
	Enrichment Enrichment `json:"enrichment"`
	Step       rest.Step  `json:"step"`
}

// draftKey is where the draft of a job is, among the results.
func draftKey(id string) string { return "results/draft-" + id }

const checkerPrompt = "You check the work of a catalogue analyst of a Japanese manga store. You get an entry of the catalogue and the analyst's draft, both as JSON. " +
	"Correct what the entry or common knowledge of the series contradicts, spoilers, and summaries in the wrong language. Keep what is right as it is."

// enrichChecked drafts with one model and checks with another. The draft is stored, so
// that an attempt after a failed check does not pay for it again.
func (s *Service) enrichChecked(ctx context.Context, job *asyncq.Job[Analysis]) error {
	question, err := s.entry(job)
	if err != nil {
		return err
	}
	first, err := s.drafted(ctx, job, question)
	if err != nil {
		return err
	}
	if err := job.Progress(ctx, 1, 2); err != nil {
		return err
	}
	text, err := json.Marshal(first.Enrichment)
	if err != nil {
		return asyncq.JobDead(err)
	}
	check, result, err := ask[Check](ctx, s, job, s.options.CheckModel, "EnrichmentCheck", checkerPrompt, converse.Text(question+"\n\nThe draft:\n"+string(text)))
	if err != nil {
		return err
	}
	return job.SetResult(Checked{Check: check, Steps: []rest.Step{first.Step, step("check", s.options.CheckModel, result)}})
}

// drafted returns the draft of an attempt before, or makes it.
func (s *Service) drafted(ctx context.Context, job *asyncq.Job[Analysis], question string) (d draft, err error) {
	data, err := s.backend.Results.Get(ctx, draftKey(job.ID))
	if err == nil {
		return d, json.Unmarshal(data, &d)
	}
	if !errors.Is(err, asyncq.ErrNotFound) {
		return d, err
	}
	value, result, err := ask[Enrichment](ctx, s, job, s.options.Model, "FullEnrichment", analystPrompt, converse.Text(question))
	if err != nil {
		return d, err
	}
	d = draft{value, step("draft", s.options.Model, result)}
	if data, err = json.Marshal(d); err != nil {
		return d, asyncq.JobDead(err)
	}
	if err := s.backend.Results.Put(ctx, draftKey(job.ID), data); err != nil && !errors.Is(err, asyncq.ErrExists) {
		return d, fmt.Errorf("storing the draft: %w", err)
	}
	return d, nil
}

// step is a call that was made. The model is the one that answered, after a fallback
// another one.
func step(name string, model bedrockkit.ModelID, result *converse.RunResult) rest.Step {
	if last := result.Last(); last != nil && last.Model != "" {
		model = last.Model
	}
	s := rest.Step{Name: name, ModelID: string(model)}
	if result.Cost != nil {
		s.CostUSD = result.Cost.String()
	}
	return s
}

// addSteps moves the steps of a job from its result to its status. Before its end they
// are those that are stored.
func (s *Service) addSteps(ctx context.Context, status *rest.Status) {
	var done Checked
	if status.Result != nil && json.Unmarshal(status.Result, &done) == nil {
		if check, err := json.Marshal(done.Check); err == nil {
			status.Result, status.Steps = check, done.Steps
		}
		return
	}
	var d draft
	if data, err := s.backend.Results.Get(ctx, draftKey(status.RequestID)); err == nil && json.Unmarshal(data, &d) == nil {
		status.Steps = []rest.Step{d.Step}
	}
}
