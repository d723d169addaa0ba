// Command bedrockbatch runs batch inference jobs of Amazon Bedrock from files.
//
//	bedrockbatch estimate -model ID FILE...                  what the records cost, in a job and live
//	bedrockbatch submit   -aws -model ID -name NAME -role ARN -s3 URI FILE...
//	bedrockbatch wait     -aws SET                           until its jobs have ended, with a bar
//	bedrockbatch results  -aws SET                           a line of JSON for each record
//	bedrockbatch stop     -aws SET                           stop its jobs
//
// A file has a record in each line: {"recordId": "a", "modelInput": {…}}; the id may
// be left out, and - is standard input. A record is the body of InvokeModel, or with
// -type Converse that of Converse, and each is checked as a live call would be.
//
// Submit prints the set's URI in S3. A SET is that URI, or the ARN of any job. To
// submit a set again goes on with it, so a command that was interrupted is run again.
//
// -aws is your account, as the AWS configuration names it; -endpoint and
// -s3-endpoint are servers that stand in for it, and no credentials are read.
//
// The exit status is 0, 1 if something failed or if records have no result, with the
// reason on standard error, and 2 if the arguments are wrong.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"os"
	"os/signal"
	"strings"
	"text/tabwriter"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/batch"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/pricing"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

const usage = `bedrockbatch runs batch inference jobs from files.

  bedrockbatch estimate -model ID FILE...    what the records cost, in a job and live
  bedrockbatch submit   -aws -model ID -name NAME -role ARN -s3 URI FILE...
  bedrockbatch wait     -aws SET             until its jobs have ended, with a bar
  bedrockbatch results  -aws SET             a line of JSON for each record
  bedrockbatch stop     -aws SET             stop its jobs

bedrockbatch COMMAND -h lists the flags of a command.
`

// errUsage is the error of wrong arguments.
var errUsage = errors.New("wrong arguments")

type arguments struct {
	command              string
	rest                 []string // files, or a set
	aws                  bool
	endpoint, s3Endpoint string
	region               string
	typ                  string
	maxCost              string
	job                  batch.Job
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err == nil {
		err = a.run(ctx, stdin, stdout, stderr)
	}
	if err == nil {
		return 0
	}
	fmt.Fprintln(stderr, "bedrockbatch:", err)
	if errors.Is(err, errUsage) {
		return 2
	}
	return 1
}

func parse(args []string, stderr io.Writer) (*arguments, error) {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") || args[0] == "help" {
		fmt.Fprint(stderr, usage)
		if len(args) > 0 && (args[0] == "help" || strings.TrimLeft(args[0], "-") == "h" || strings.TrimLeft(args[0], "-") == "help") {
			return nil, flag.ErrHelp
		}
		return nil, fmt.Errorf("%w: a command is missing", errUsage)
	}
	a := &arguments{command: args[0]}
	flags := flag.NewFlagSet("bedrockbatch "+a.command, flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&a.region, "region", "", "region that is called; empty is that of the configuration")
	if a.command != "estimate" {
		flags.BoolVar(&a.aws, "aws", false, "use your account")
		flags.StringVar(&a.endpoint, "endpoint", "", "`URL` of a server that stands in for Bedrock")
		flags.StringVar(&a.s3Endpoint, "s3-endpoint", "", "`URL` of a server that stands in for S3")
	}
	switch a.command {
	case "estimate", "submit":
		model := flags.String("model", "", "model, inference profile or ARN")
		flags.StringVar(&a.typ, "type", "InvokeModel", "what the records are: InvokeModel or Converse")
		flags.IntVar(&a.job.OutputTokens, "output-tokens", 0, "likely `length` of an answer, for estimates; 0 is the bound of each record")
		flags.BoolVar(&a.job.StructuredOutput, "structured-output", false, "take records that ask for a structured output")
		defer func() { a.job.Model = bedrockkit.ModelID(*model) }()
	case "wait", "results", "stop":
	default:
		fmt.Fprint(stderr, usage)
		return nil, fmt.Errorf("%w: there is no command %q", errUsage, a.command)
	}
	if a.command == "submit" {
		j := &a.job
		flags.StringVar(&j.Name, "name", "", "`name` of the set; the same name goes on with it")
		flags.StringVar(&j.Role, "role", "", "`ARN` of the service role")
		flags.StringVar(&j.Input, "s3", "", "`URI` of where the files go, as s3://bucket/prefix")
		flags.StringVar(&j.Output, "output", "", "`URI` of where the results go; empty is that of -s3")
		flags.DurationVar(&j.Timeout, "timeout", 0, "how long a job may take, from 24h to 168h; 0 is 24h")
		flags.IntVar(&j.MaxRefused, "max-refused", 0, "how many records may be refused")
		flags.StringVar(&a.maxCost, "max-cost", "", "the most that the set may cost, in `dollars`")
	}
	if err := flags.Parse(args[1:]); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil, err
		}
		return nil, fmt.Errorf("%w: %w", errUsage, err)
	}
	a.rest = flags.Args()
	return a, a.check()
}

func (a *arguments) check() error {
	switch {
	case a.typ != "" && a.typ != string(batch.TypeInvokeModel) && a.typ != string(batch.TypeConverse):
		return fmt.Errorf("%w: -type is %q; it is InvokeModel or Converse", errUsage, a.typ)
	case len(a.rest) == 0 && (a.command == "estimate" || a.command == "submit"):
		return fmt.Errorf("%w: a file is missing; - is standard input", errUsage)
	case len(a.rest) != 1 && a.command != "estimate" && a.command != "submit":
		return fmt.Errorf("%w: give one set, as s3://bucket/prefix/name or the ARN of a job", errUsage)
	case a.command != "estimate" && a.aws == (a.endpoint != "" || a.s3Endpoint != ""):
		return fmt.Errorf("%w: give -aws for your account, or -endpoint and -s3-endpoint", errUsage)
	case !a.aws && (a.endpoint == "") != (a.s3Endpoint == ""):
		return fmt.Errorf("%w: -endpoint needs -s3-endpoint, and the other way round", errUsage)
	}
	if a.maxCost != "" {
		amount, err := pricing.ParseAmount(a.maxCost)
		if err != nil {
			return fmt.Errorf("%w: -max-cost: %w", errUsage, err)
		}
		a.job.MaxCost = &amount
	}
	return nil
}

func (a *arguments) run(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer) error {
	client, err := a.client(ctx)
	if err != nil {
		return err
	}
	switch a.command {
	case "estimate":
		return a.estimate(ctx, client, stdin, stdout)
	case "submit":
		files, closeFiles, err := open(a.rest, stdin)
		if err != nil {
			return err
		}
		defer closeFiles()
		s, err := kindOf(a.job.Model, batch.Type(a.typ)).submit(ctx, client, a.job, files)
		if err != nil {
			return err
		}
		fmt.Fprintln(stdout, s.URI())
		return nil
	}
	s, err := client.Resume(ctx, a.rest[0])
	if err != nil {
		return err
	}
	switch a.command {
	case "wait":
		for p, err := range s.Watch(ctx) {
			if err != nil {
				return err
			}
			fmt.Fprintf(stderr, "\r\x1b[K%s", p.Bar(40))
		}
		fmt.Fprintln(stderr)
		return nil
	case "stop":
		return s.Stop(ctx)
	}
	return results(ctx, s, stdout, stderr)
}

// client is one of the account, or of what stands in for it. Estimate asks nobody.
func (a *arguments) client(ctx context.Context) (*batch.Client, error) {
	if a.command == "estimate" {
		return batch.New(nil, nil, func(o *batch.Options) { o.Region = a.region }), nil
	}
	var cfg aws.Config
	if a.aws {
		var err error
		cfg, err = config.LoadDefaultConfig(ctx, func(o *config.LoadOptions) error {
			o.Region = a.region
			return nil
		})
		if err != nil {
			return nil, err
		}
	} else {
		cfg = aws.Config{Region: a.region, Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "fake", SecretAccessKey: "fake"}, nil
		})}
		if cfg.Region == "" {
			cfg.Region = "us-east-1"
		}
	}
	control := bedrock.NewFromConfig(cfg, func(o *bedrock.Options) {
		if a.endpoint != "" {
			o.BaseEndpoint = &a.endpoint
		}
	})
	store := s3.NewFromConfig(cfg, func(o *s3.Options) {
		if a.s3Endpoint != "" {
			o.BaseEndpoint, o.UsePathStyle = &a.s3Endpoint, true
		}
	})
	return batch.New(control, store), nil
}

func (a *arguments) estimate(ctx context.Context, client *batch.Client, stdin io.Reader, stdout io.Writer) error {
	files, closeFiles, err := open(a.rest, stdin)
	if err != nil {
		return err
	}
	defer closeFiles()
	plan, err := kindOf(a.job.Model, batch.Type(a.typ)).estimate(ctx, client, a.job, files)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "records\t%d\n", plan.Records)
	fmt.Fprintf(table, "jobs\t%d\n", plan.Jobs)
	fmt.Fprintf(table, "bytes\t%d\n", plan.Bytes)
	fmt.Fprintf(table, "tokens, estimated\t%d in, %d out\n", plan.Usage.InputTokens, plan.Usage.OutputTokens)
	for _, row := range []struct {
		name         string
		likely, most *pricing.Amount
	}{{"in a job", plan.Expected, plan.Bound}, {"live", plan.Live, plan.LiveBound}} {
		if row.likely == nil || row.most == nil {
			fmt.Fprintf(table, "%s\tno price: %v\n", row.name, plan.CostErr)
			continue
		}
		fmt.Fprintf(table, "%s\t%s, at most %s\n", row.name, row.likely.Display(3), row.most.Display(3))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, refused := range plan.RefusedRecords {
		fmt.Fprintln(stdout, refused)
	}
	if plan.Refused > 0 {
		return fmt.Errorf("%d records would be refused", plan.Refused)
	}
	return nil
}

// results prints a line for each record, and fails if some have none.
func results(ctx context.Context, s *batch.Submission, stdout, stderr io.Writer) error {
	r := batch.ResultsOf[bedrockx.Raw](s)
	out := bufio.NewWriter(stdout)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	for result, err := range r.All(ctx) {
		if err != nil {
			return errors.Join(out.Flush(), err)
		}
		line := struct {
			ID     string          `json:"recordId"`
			Output json.RawMessage `json:"modelOutput,omitempty"`
			Err    string          `json:"error,omitempty"`
		}{ID: result.ID, Output: result.Output}
		if result.Err != nil {
			line.Err = result.Err.Error()
		}
		if err := enc.Encode(line); err != nil {
			return err
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	stats, cost := r.Stats(), r.Cost()
	fmt.Fprintf(stderr, "%d of %d records have a result", stats.Succeeded, stats.Records)
	if cost.Err == nil {
		fmt.Fprintf(stderr, "; they cost %s, live calls %s", cost.Total.Display(3), cost.Live.Display(3))
	}
	fmt.Fprintln(stderr)
	if n := stats.Records - stats.Succeeded; n > 0 {
		return fmt.Errorf("%d records have no result", n)
	}
	return nil
}

// open opens files as one.
func open(names []string, stdin io.Reader) (io.Reader, func(), error) {
	var readers []io.Reader
	var files []*os.File
	closeAll := func() {
		for _, f := range files {
			f.Close()
		}
	}
	for _, name := range names {
		if name == "-" {
			readers = append(readers, stdin, strings.NewReader("\n"))
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			closeAll()
			return nil, nil, err
		}
		files = append(files, f)
		readers = append(readers, f, strings.NewReader("\n")) // a last line may have no end
	}
	return io.MultiReader(readers...), closeAll, nil
}

// A kind is what can be done with records of a type.
type kind struct {
	estimate func(context.Context, *batch.Client, batch.Job, io.Reader) (batch.Plan, error)
	submit   func(context.Context, *batch.Client, batch.Job, io.Reader) (*batch.Submission, error)
}

func of[In bedrockx.Payload[Out], Out any]() kind {
	records := func(r io.Reader) iter.Seq2[batch.Record[In], error] { return batch.ReadRecords[In](r) }
	return kind{
		estimate: func(ctx context.Context, c *batch.Client, job batch.Job, r io.Reader) (batch.Plan, error) {
			return batch.Estimate(ctx, c, job, records(r))
		},
		submit: func(ctx context.Context, c *batch.Client, job batch.Job, r io.Reader) (*batch.Submission, error) {
			return batch.Submit(ctx, c, job, records(r))
		},
	}
}
