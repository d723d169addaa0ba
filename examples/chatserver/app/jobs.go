package app

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/mangaassist/bedrockkit/asyncq"
	"github.com/mangaassist/bedrockkit/asyncq/dynamostatus"
	"github.com/mangaassist/bedrockkit/asyncq/fileblobs"
	"github.com/mangaassist/bedrockkit/asyncq/redisstatus"
	"github.com/mangaassist/bedrockkit/asyncq/s3blobs"
	"github.com/mangaassist/bedrockkit/asyncq/snsnotify"
	"github.com/mangaassist/bedrockkit/asyncq/webhook"
	"github.com/mangaassist/bedrockkit/asyncq/webhook/dynamowebhook"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/guardrail"
	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/examples/chatserver/catalog"
	"github.com/mangaassist/bedrockkit/examples/chatserver/jobs"
)

// The roles of a process.
const (
	roleAll    = "all"    // serves callers and does the jobs
	roleAPI    = "api"    // serves callers
	roleWorker = "worker" // does the jobs
)

const inMemory = "memory"

// JobSettings say where the analyses in the background wait, are done and are kept.
type JobSettings struct {
	Role string // "all", "api" or "worker"

	Queues    string // "memory", "sqs", or "sqs:HIGH,NORMAL,LOW,DEAD" with names or URLs
	Statuses  string // "memory", "dynamodb:TABLE" or the URL of a Redis
	Results   string // "memory", "folder:PATH" or "s3:BUCKET"
	Callbacks string // where those to send are kept: "memory" or "dynamodb:TABLE"

	// CallbackSecrets sign callbacks; see [jobs.NewSecrets]. Without one, a process
	// with queues in memory makes one of its own, and any other one leaves callbacks
	// in their store.
	CallbackSecrets string

	// CallbackPort lets callbacks go to http on this port of this machine, too. It is
	// for tests, and needs the offline model.
	CallbackPort int

	// Topic is the ARN of an SNS topic that gets the ends of jobs; empty for none.
	Topic string
}

// jobsFromEnv returns the settings of an environment.
func jobsFromEnv(getenv func(string) string) JobSettings {
	s := JobSettings{Role: roleAll, Queues: inMemory, Statuses: inMemory, Results: inMemory, Callbacks: inMemory}
	if high := getenv("MANGA_HIGH_QUEUE_URL"); high != "" {
		s.Queues = "sqs:" + strings.Join([]string{high, getenv("MANGA_NORMAL_QUEUE_URL"), getenv("MANGA_LOW_QUEUE_URL"), getenv("MANGA_DEAD_LETTER_QUEUE_URL")}, ",")
	}
	for name, field := range map[string]*string{"MANGA_STATUS_TABLE": &s.Statuses, "MANGA_WEBHOOKS_TABLE": &s.Callbacks} {
		if table := getenv(name); table != "" {
			*field = "dynamodb:" + table
		}
	}
	if bucket := getenv("MANGA_RESULTS_BUCKET"); bucket != "" {
		s.Results = "s3:" + bucket
	}
	s.CallbackSecrets, s.Topic = getenv("MANGA_WEBHOOK_SECRET"), getenv("MANGA_RESULTS_TOPIC")
	if s.CallbackSecrets != "" && !strings.HasPrefix(s.CallbackSecrets, "whsec_") {
		s.CallbackSecrets = "whsec_" + s.CallbackSecrets // Secrets Manager makes texts without it
	}
	return s
}

// place splits a setting such as "dynamodb:TABLE".
func place(setting string) (kind, where string) {
	kind, where, _ = strings.Cut(setting, ":")
	return kind, where
}

// check says what cannot be.
func (s JobSettings) check(bedrock string) error {
	one := func(flag, value, forms string, kinds ...string) error {
		kind, where := place(value)
		for _, k := range kinds {
			if kind == k && (where != "") == (kind != inMemory) || value == k && k == "sqs" {
				return nil
			}
		}
		return fmt.Errorf("-%s is %q; it is %s", flag, value, forms)
	}
	if s.Role != roleAll && s.Role != roleAPI && s.Role != roleWorker {
		return fmt.Errorf("-role is %q; it is all, api or worker", s.Role)
	}
	if err := errors.Join(
		one("queues", s.Queues, "memory, sqs or sqs:HIGH,NORMAL,LOW,DEAD", inMemory, "sqs"),
		one("statuses", s.Statuses, "memory, dynamodb:TABLE or redis://HOST:PORT", inMemory, "dynamodb", "redis", "rediss"),
		one("results", s.Results, "memory, folder:PATH or s3:BUCKET", inMemory, "folder", "s3"),
		one("callbacks", s.Callbacks, "memory or dynamodb:TABLE", inMemory, "dynamodb"),
	); err != nil {
		return err
	}
	if s.Role != roleAll {
		for _, setting := range []struct{ flag, value, other string }{
			{"queues", s.Queues, "sqs"}, {"statuses", s.Statuses, "dynamodb:TABLE or redis://HOST:PORT"}, {"results", s.Results, "folder:PATH or s3:BUCKET"},
		} {
			if setting.value == inMemory {
				return fmt.Errorf("-role %s needs -%s that processes share: %s", s.Role, setting.flag, setting.other)
			}
		}
	}
	if s.Queues != inMemory && s.Statuses == inMemory {
		return errors.New("-queues sqs needs -statuses that last as long as the messages: dynamodb:TABLE or redis://HOST:PORT")
	}
	if _, err := s.queues(); err != nil {
		return err
	}
	if s.CallbackPort != 0 && (bedrock != "fake" || s.CallbackPort < 1 || s.CallbackPort > 65535) {
		return errors.New("-callback-port is for tests on this machine: it needs -bedrock fake, and is a port from 1 to 65535")
	}
	if s.CallbackSecrets != "" {
		if _, err := jobs.NewSecrets(s.CallbackSecrets); err != nil {
			return fmt.Errorf("MANGA_WEBHOOK_SECRET: %w", err)
		}
	}
	return nil
}

// queues are those of Amazon SQS.
func (s JobSettings) queues() (asyncq.Queues, error) {
	kind, list := place(s.Queues)
	if kind != "sqs" || list == "" {
		return jobs.Names, nil
	}
	names := strings.Split(list, ",")
	if len(names) < 3 || len(names) > 4 || names[0] == "" || names[1] == "" || names[2] == "" {
		return asyncq.Queues{}, fmt.Errorf("-queues is %q; it is sqs:HIGH,NORMAL,LOW and then, after a comma, the queue of what cannot be done", s.Queues)
	}
	return asyncq.Queues{High: names[0], Normal: names[1], Low: names[2], DeadLetter: strings.Join(names[3:], "")}, nil
}

// jobs returns the analyses in the background.
func (b *builder) jobs(ctx context.Context, client *bedrockx.Client, books *catalog.Catalog) (*jobs.Service, error) {
	backend, err := b.jobsBackend(ctx)
	if err != nil {
		return nil, err
	}
	guarded, err := b.Settings.guardrail()
	if err != nil {
		return nil, err
	}
	// A job that is tried again needs another answer than the one that was no use.
	chat := converse.New(client, converse.Call(func(o *bedrockx.Options) { o.CachePolicy.Off = true }))
	service, err := jobs.New(chat, books, backend, func(o *jobs.Options) {
		o.Model, o.CheckModel, o.Observe, o.Log = b.models["haiku"], b.models["sonnet"], b.metrics.Observe, b.log
		if guarded.ID != "" {
			o.Guardrail = guardrail.Apply(bedrockruntime.NewFromConfig(b.model.cfg), guarded.ID, guarded.Version)
		}
	})
	if err != nil {
		return nil, err
	}
	b.sources.Worker, b.sources.Queues = service.Stats, service.Depths
	b.ready["queues"] = func(ctx context.Context) error {
		_, err := service.Depths(ctx)
		return err
	}
	b.ready["worker"] = func(context.Context) error {
		if last := service.Stats().LastError; last != "" {
			return errors.New(last)
		}
		return nil
	}
	b.say("jobs", "%s", b.Jobs.says())
	return service, nil
}

// says is where jobs are, without a secret.
func (s JobSettings) says() string {
	does := map[string]string{roleAll: "accepted and done here", roleAPI: "accepted here", roleWorker: "done here"}[s.Role]
	statuses, rest := place(s.Statuses)
	if !strings.HasPrefix(statuses, "redis") && rest != "" { // the URL may have a password
		statuses = s.Statuses
	}
	return fmt.Sprintf("%s; queues %s, statuses %s, results %s", does, s.Queues, statuses, s.Results)
}

// jobsBackend opens what the settings name.
func (b *builder) jobsBackend(ctx context.Context) (jobs.Backend, error) {
	s := b.Jobs
	backend, err := jobs.InProcess(ctx)
	if err != nil {
		return backend, err
	}
	if s.Queues != inMemory {
		cfg, err := b.aws(ctx)
		if err != nil {
			return backend, err
		}
		backend.SQS = sqs.NewFromConfig(cfg)
		if backend.Queues, err = s.queues(); err != nil {
			return backend, err
		}
	}
	switch kind, where := place(s.Statuses); kind {
	case "dynamodb":
		cfg, err := b.aws(ctx)
		if err != nil {
			return backend, err
		}
		tables := dynamodb.NewFromConfig(cfg)
		backend.Status, backend.Index = dynamostatus.New(tables, where), jobs.DynamoIndex{API: tables, Table: where}
	case "redis", "rediss":
		client, _, err := b.redis(s.Statuses)
		if err != nil {
			return backend, fmt.Errorf("-statuses: %w", err)
		}
		backend.Status, backend.Index = redisstatus.New(client), jobs.RedisIndex{Client: client, Prefix: "manga:"}
		b.ready["statuses"] = func(ctx context.Context) error { return client.Ping(ctx).Err() }
	}
	switch kind, where := place(s.Results); kind {
	case "folder":
		if backend.Results, err = fileblobs.New(where); err != nil {
			return backend, err
		}
	case "s3":
		cfg, err := b.aws(ctx)
		if err != nil {
			return backend, err
		}
		backend.Results = s3blobs.New(s3.NewFromConfig(cfg, pathStyle), where)
	}
	return b.jobsCallbacks(ctx, backend)
}

// jobsCallbacks adds what tells the ends of jobs.
func (b *builder) jobsCallbacks(ctx context.Context, backend jobs.Backend) (_ jobs.Backend, err error) {
	s := b.Jobs
	policy := asyncq.CallbackPolicy{}
	if s.CallbackPort != 0 {
		policy = jobs.ToThisMachine(uint16(s.CallbackPort))
	}
	backend.Callbacks = &policy
	if s.CallbackSecrets == "" && s.Queues == inMemory {
		s.CallbackSecrets = webhook.NewSecret() // no other process needs it
	}
	if s.CallbackSecrets != "" {
		if backend.Secrets, err = jobs.NewSecrets(s.CallbackSecrets); err != nil {
			return backend, err
		}
	}
	if s.Role == roleAPI {
		return backend, nil
	}
	var store webhook.Store = webhook.NewMemoryStore()
	if kind, table := place(s.Callbacks); kind == "dynamodb" {
		cfg, err := b.aws(ctx)
		if err != nil {
			return backend, err
		}
		store = dynamowebhook.New(dynamodb.NewFromConfig(cfg), table)
	}
	backend.Webhooks, err = jobs.NewWebhooks(store, backend.Secrets, policy, func(o *webhook.Options) { o.Logger = b.log })
	if err != nil {
		return backend, err
	}
	b.closers = append(b.closers, backend.Webhooks.Close)
	if s.Topic != "" {
		cfg, err := b.aws(ctx)
		if err != nil {
			return backend, err
		}
		backend.Notifier = snsnotify.New(sns.NewFromConfig(cfg), s.Topic)
	}
	return backend, nil
}
