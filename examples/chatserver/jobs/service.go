package jobs

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/asyncq"
	"github.com/mangaassist/bedrockkit/asyncq/memqueue"
	"github.com/mangaassist/bedrockkit/asyncq/webhook"
	"github.com/mangaassist/bedrockkit/bedrockx/guardrail"
	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/examples/chatserver/auth"
	"github.com/mangaassist/bedrockkit/examples/chatserver/catalog"
	"github.com/mangaassist/bedrockkit/examples/chatserver/covers"
	"github.com/mangaassist/bedrockkit/examples/chatserver/rest"
)

// A Backend is where jobs wait and where their statuses and results are kept.
type Backend struct {
	SQS     asyncq.QueueAPI
	Queues  asyncq.Queues
	Status  asyncq.StatusStore
	Results asyncq.BlobStore
	Index   Index // of the jobs of each caller

	// Callbacks says which callback URLs are taken. If it is nil, a batch with one is
	// refused.
	Callbacks *asyncq.CallbackPolicy

	// Secrets are shown to callers, each its own. A server without them, such as one
	// that only accepts jobs, cannot show them.
	Secrets Secrets

	// Webhooks calls callbacks back; [NewWebhooks] makes it. [Service.Run] has it send.
	Webhooks *webhook.Deliverer

	// Notifier is called at the end of each job as well. There is none by default.
	Notifier asyncq.Notifier
}

// Names are the queues of the store.
var Names = asyncq.Queues{
	High:       "manga-fm-high-priority",
	Normal:     "manga-fm-normal",
	Low:        "manga-fm-low-priority",
	DeadLetter: "manga-fm-dlq",
}

// InProcess returns a backend in memory: it ends with the process. It calls nobody
// back. At most 2,000 jobs wait in it.
func InProcess(ctx context.Context) (Backend, error) {
	queues := memqueue.New()
	for _, name := range []string{Names.High, Names.Normal, Names.Low, Names.DeadLetter} {
		if _, err := queues.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String(name)}); err != nil {
			return Backend{}, err
		}
	}
	return Backend{SQS: queues, Queues: Names, Status: asyncq.NewMemoryStatus(), Results: newMemoryBlobs(maxBlobs), Index: NewMemoryIndex()}, nil
}

// Options are the options of [New]. The zero value of a field means its default.
type Options struct {
	// Model is the model that analyses, and CheckModel the one that checks its work in
	// a CheckedEnrichment. The defaults are that of the client, and Model.
	Model, CheckModel bedrockkit.ModelID

	// Guardrail is asked before the model about a text that is moderated. There is
	// none by default.
	Guardrail guardrail.Checker

	// Concurrency is how many analyses run at once; the default is 4.
	Concurrency int

	// Observe is called with what happens to jobs, for metrics; see [asyncq.JobOptions]. By
	// default nobody is.
	Observe func(asyncq.Event)

	// Log is the worker's. The default is slog.Default.
	Log *slog.Logger
}

// A Service accepts analyses and does them. It is safe for concurrent use.
type Service struct {
	chat     *converse.Client
	books    *catalog.Catalog
	backend  Backend
	options  Options
	producer *asyncq.Producer[Analysis]
	worker   *asyncq.Worker[Analysis]
	listed   dayList

	hungUp chan struct{}
	hangUp func()
}

var _ rest.Jobs = (*Service)(nil)

// New returns a service. [Service.Run] does the work.
func New(chat *converse.Client, books *catalog.Catalog, backend Backend, optFns ...func(*Options)) (*Service, error) {
	o := Options{Concurrency: 4, Log: slog.Default()}
	for _, fn := range optFns {
		fn(&o)
	}
	o.CheckModel = cmp.Or(o.CheckModel, o.Model)
	s := &Service{chat: chat, books: books, backend: backend, options: o, hungUp: make(chan struct{})}
	s.hangUp = sync.OnceFunc(func() { close(s.hungUp) })
	var err error
	s.producer, err = asyncq.NewProducer[Analysis](backend.SQS, func(p *asyncq.ProducerOptions) {
		p.Queues, p.Status = backend.Queues, backend.Status
		if backend.Callbacks != nil {
			p.Callbacks = *backend.Callbacks
		}
	})
	if err != nil {
		return nil, err
	}
	s.worker = asyncq.NewWorker(backend.SQS, s.Handle, func(w *asyncq.WorkerOptions) {
		w.JobOptions, w.Queues, w.Concurrency = s.JobOptions(), backend.Queues, o.Concurrency
	})
	return s, nil
}

// JobOptions are how the jobs are done, for what does them in the place of
// [Service.Run], such as package asyncq/awslambda:
//
//	handler := awslambda.New(backend.SQS, service.Handle, func(o *awslambda.Options) {
//		o.JobOptions, o.DeadLetter = service.JobOptions(), backend.Queues.DeadLetter
//	})
func (s *Service) JobOptions() asyncq.JobOptions {
	b := s.backend
	var notifiers asyncq.Notifiers
	if b.Webhooks != nil {
		notifiers = append(notifiers, b.Webhooks)
	}
	if b.Notifier != nil {
		notifiers = append(notifiers, b.Notifier)
	}
	return asyncq.JobOptions{Status: b.Status, Results: b.Results, Notifier: notifiers, Observe: s.options.Observe, Logger: s.options.Log}
}

// Backend is where the jobs are.
func (s *Service) Backend() Backend { return s.backend }

// Run does the work until ctx ends, and then what is under way. Callbacks that are
// not delivered by then stay in their store.
func (s *Service) Run(ctx context.Context) error {
	beside, stop := context.WithCancel(context.WithoutCancel(ctx))
	var group sync.WaitGroup
	defer group.Wait()
	defer stop() // after the worker, whose last jobs are reported
	switch {
	case s.backend.Webhooks == nil:
	case len(s.backend.Secrets.keys) == 0:
		s.options.Log.Warn("this process sends no callbacks, as it has no secret to sign them with; set MANGA_WEBHOOK_SECRET, or have another process send them")
	default:
		group.Go(func() { _ = s.backend.Webhooks.Run(beside) }) // the cause of its context
	}
	group.Go(func() { s.Schedule(beside) })
	if err := s.worker.Run(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil // it ended before it had found its queues
}

var priorities = map[string]asyncq.Priority{"high": asyncq.High, "normal": asyncq.Normal, "low": asyncq.Low}

// The metadata of a job's status.
const (
	callerKey = "caller" // who has submitted it
	batchKey  = "batch"  // the id of what was submitted together
	kindKey   = "kind"   // the type of the analysis
	mangaKey  = "manga"  // the id of the manga
)

// Submit implements [rest.Jobs].
func (s *Service) Submit(ctx context.Context, b rest.Batch) ([]string, error) {
	caller, batch := auth.CallerOf(ctx).ID, newID()
	var refused []rest.Detail
	requests := make([]asyncq.Request[Analysis], len(b.Items))
	ids := make([]string, len(b.Items))
	pixels := covers.MaxPixels
	for i, item := range b.Items {
		if _, ok := s.books.ByID(item.MangaID); !ok {
			refused = append(refused, rest.Detail{Path: fmt.Sprintf("/items/%d/manga_id", i), Message: "the catalogue has no such manga", Validator: "exists"})
		}
		picture, bad := contents(item, &pixels)
		for _, d := range bad {
			d.Path = fmt.Sprintf("/items/%d%s", i, d.Path)
			refused = append(refused, d)
		}
		ids[i] = newID()
		requests[i] = request(ids[i], caller, batch, b, item, picture)
	}
	if b.CallbackURL != "" {
		if err := s.checkCallback(b.CallbackURL); err != nil {
			refused = append(refused, rest.Detail{Path: "/callback_url", Message: err.Error(), Validator: "callback"})
		}
	}
	if len(refused) > 0 {
		return nil, &rest.InvalidError{Details: refused}
	}
	if err := s.room(ctx, len(b.Items)); err != nil {
		return nil, err
	}
	// They are listed first: what was accepted is never missing in a list, and what
	// was not has no status and is left out.
	if err := s.list(ctx, caller, ids...); err != nil {
		return nil, err
	}
	// A job that SQS has refused is failed, and its status says so. So the ids are
	// given out as soon as one job was accepted: asked for again, the others would
	// be done twice.
	var failed error
	accepted := false
	for _, r := range s.producer.SubmitBatch(ctx, requests) {
		accepted = accepted || r.Err == nil
		failed = errors.Join(failed, r.Err)
	}
	if !accepted {
		return nil, failed
	}
	return ids, nil
}

// maxWaiting bounds the jobs that wait in queues in memory.
const maxWaiting = 2000

// room refuses jobs that queues in memory have no room for. Amazon SQS has no bound.
func (s *Service) room(ctx context.Context, jobs int) error {
	if _, inMemory := s.backend.SQS.(*memqueue.Service); !inMemory {
		return nil
	}
	depths, err := s.Depths(ctx)
	if err != nil {
		return err
	}
	if waiting := depths["high"] + depths["normal"] + depths["low"]; waiting+jobs > maxWaiting {
		return fmt.Errorf("%d jobs wait in memory, and at most %d can; -queues sqs has no such bound", waiting, maxWaiting)
	}
	return nil
}

// contents checks what an item brings along. It returns its picture, whose pixels it
// takes from those that are left for the batch: to read one costs time, however small
// the file is.
func contents(item rest.Item, left *int) (picture []byte, refused []rest.Detail) {
	if item.AnalysisType == ContentModeration && strings.TrimSpace(item.Text) == "" {
		refused = append(refused, rest.Detail{Path: "/text", Message: "content_moderation needs a text that can be read", Validator: "required"})
	}
	if item.AnalysisType != ContentModeration && item.Text != "" {
		refused = append(refused, rest.Detail{Path: "/text", Message: "only content_moderation takes a text", Validator: "analysis_type"})
	}
	switch {
	case item.Image == "":
	case item.AnalysisType != CoverAnalysis:
		refused = append(refused, rest.Detail{Path: "/image", Message: "only cover_analysis takes an image", Validator: "analysis_type"})
	default:
		data, err := base64.StdEncoding.DecodeString(item.Image)
		if err != nil {
			return nil, append(refused, rest.Detail{Path: "/image", Message: "it is not base64 as RFC 4648 has it, with padding", Validator: "base64"})
		}
		pixels, err := covers.Pixels(data)
		if err == nil && pixels > *left {
			*left, err = 0, fmt.Errorf("the pictures of a batch have more than %d pixels together; send it in another batch", covers.MaxPixels)
		}
		if err == nil {
			*left -= pixels
			_, err = covers.Read(data)
		}
		if err != nil {
			return nil, append(refused, rest.Detail{Path: "/image", Message: err.Error(), Validator: "image"})
		}
		picture = data
	}
	return picture, refused
}

// list adds jobs to the lists of their caller and of the day.
func (s *Service) list(ctx context.Context, caller string, ids ...string) error {
	if err := s.backend.Index.Add(ctx, jobsOf(caller), ids...); err != nil {
		return err
	}
	day := time.Now().UTC().Format(dayForm)
	if s.listed.has(day, caller) {
		return nil
	}
	if err := s.backend.Index.Add(ctx, callersOf(day), caller); err != nil {
		return err
	}
	s.listed.add(day, caller)
	return nil
}

// A dayList knows who is on the list of a day's callers, so that the list, which is one
// for all of them, is not read for each job.
type dayList struct {
	mu      sync.Mutex
	day     string
	callers map[string]bool
}

func (l *dayList) has(day, caller string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.day == day && l.callers[caller]
}

func (l *dayList) add(day, caller string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.day != day || len(l.callers) >= 10*MaxList {
		l.day, l.callers = day, map[string]bool{}
	}
	l.callers[caller] = true
}

// request is the job of an item.
func request(id, caller, batchID string, b rest.Batch, item rest.Item, picture []byte) asyncq.Request[Analysis] {
	return asyncq.Request[Analysis]{
		ID:          id,
		Payload:     Analysis{MangaID: item.MangaID, Type: item.AnalysisType, Context: item.AdditionalContext, Text: item.Text, Image: picture},
		Priority:    priorities[b.Priority],
		Metadata:    map[string]string{callerKey: caller, batchKey: batchID, kindKey: item.AnalysisType, mangaKey: item.MangaID},
		CallbackURL: b.CallbackURL,
	}
}

// newID returns a random UUID.
func newID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func (s *Service) checkCallback(url string) error {
	if s.backend.Callbacks == nil {
		return errors.New("this server calls nobody back; ask for the status instead")
	}
	return s.backend.Callbacks.Check(url)
}

// states are the words of the API for the states of a job.
var states = map[asyncq.State]string{
	asyncq.Queued: "queued", asyncq.Processing: "processing", asyncq.Completed: "completed", asyncq.Failed: "failed", asyncq.Canceled: "failed",
}

// Status implements [rest.Jobs].
func (s *Service) Status(ctx context.Context, id string) (rest.Status, error) {
	job, err := s.owned(ctx, id)
	if err != nil {
		return rest.Status{}, err
	}
	status := s.describe(job)
	if job.State == asyncq.Completed {
		if status.Result, err = s.backend.Results.Get(ctx, job.ResultKey); errors.Is(err, asyncq.ErrNotFound) {
			status.Error, err = "It is done, but its result is not kept any more.", nil
		}
	}
	if job.Metadata[kindKey] == CheckedEnrichment {
		s.addSteps(ctx, &status)
	}
	return status, err
}

// owned reads the status of one of the caller's jobs.
func (s *Service) owned(ctx context.Context, id string) (asyncq.Status, error) {
	job, err := s.backend.Status.Get(ctx, id)
	if errors.Is(err, asyncq.ErrNotFound) || err == nil && job.Metadata[callerKey] != auth.CallerOf(ctx).ID {
		return asyncq.Status{}, rest.ErrNotFound // somebody else's is not there either
	}
	return job, err
}

// describe puts a status into the words of the API.
func (s *Service) describe(job asyncq.Status) rest.Status {
	_, status := Described(job)
	if manga, ok := s.books.ByID(status.MangaID); ok {
		status.Title = manga.Romaji
	}
	return status
}

// Described puts a status into the words of the API, without the manga's title and
// the result, and says whose job it is.
func Described(job asyncq.Status) (callerID string, status rest.Status) {
	status = rest.Status{
		RequestID: job.ID, BatchID: job.Metadata[batchKey], AnalysisType: job.Metadata[kindKey], MangaID: job.Metadata[mangaKey], Priority: string(job.Priority),
		State: states[job.State], CreatedAt: job.CreatedAt, CompletedAt: job.FinishedAt, Attempts: job.Attempt, Cost: job.Cost,
	}
	switch job.State {
	case asyncq.Failed:
		status.Error = reason(job.ErrorClass)
	case asyncq.Canceled:
		status.Error = "It was canceled."
	}
	return job.Metadata[callerKey], status
}

// The classes of items that were accepted by API Gateway and cannot be done.
const (
	unknownManga    = "unknown_manga"
	callbackRefused = "callback_refused"
)

// reason says why a job failed, in words for a client.
func reason(class string) string {
	switch class {
	case unknownManga:
		return "The catalogue has no such manga."
	case callbackRefused:
		return "The callback_url is not one that this server calls."
	case "throttled", "overloaded", "timeout", "stalled":
		return "The model was busy for too long. Submit it again later."
	case "validation", "context_overflow":
		return "The model cannot take this analysis. A shorter additional_context may help."
	case "budget":
		return "Too little is left of what may be spent today. Submit it again after 00:00 UTC."
	case "access_denied", "credentials", "not_found":
		return "The model is not available to this server."
	}
	return "The analysis failed after all attempts. Submit it again."
}
