// Command asyncq looks at the queues, the statuses and the dead letters of package
// asyncq, and sends dead letters back.
//
//	asyncq queues  -aws                        how many messages are in each queue
//	asyncq status  -aws -table NAME ID...      where jobs stand; -wait until they have ended
//	asyncq dead    -aws [-body]                the dead letters and why they are dead
//	asyncq redrive -aws [-table NAME] ID...    send dead letters back to their queues
//	asyncq redrive -aws [-table NAME] -all     all of them
//	asyncq purge   -aws -yes                   delete all dead letters
//
// With -json the output is JSON. The bodies of messages may hold prompts, so they
// are printed with -body only.
//
// -aws is your account, as the AWS configuration names it; with -endpoint it is a
// server that stands in for SQS, and no credentials are read.
//
// The exit status is 0, 1 where something failed or was not found, with the
// reason on standard error, and 2 where the arguments are wrong.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/mangaassist/bedrockkit/asyncq"
	"github.com/mangaassist/bedrockkit/asyncq/dynamostatus"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr, connect))
}

// errUsage is the error of wrong arguments.
var errUsage = errors.New("wrong arguments")

const usage = `asyncq looks at queues, statuses and dead letters.

  asyncq queues  -aws                      how many messages are in each queue
  asyncq status  -aws -table NAME ID...    where jobs stand; -wait until they have ended
  asyncq dead    -aws [-body]              the dead letters and why they are dead
  asyncq redrive -aws [-table NAME] ID...  send dead letters back to their queues
  asyncq redrive -aws [-table NAME] -all   all of them
  asyncq purge   -aws -yes                 delete all dead letters

In place of -aws, -endpoint URL is a server that stands in for SQS.
asyncq COMMAND -h lists the flags of a command.
`

type arguments struct {
	command                         string
	ids                             []string
	aws                             bool
	endpoint, tableEndpoint, region string
	queues                          asyncq.Queues
	table                           string
	asJSON, body, all, yes, wait    bool
}

// services are what a command works with.
type services struct {
	queues queueAPI
	status asyncq.StatusStore // nil without -table
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer, connect func(context.Context, *arguments) (*services, error)) int {
	a, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err == nil {
		err = a.run(ctx, stdout, connect)
	}
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errUsage):
		fmt.Fprintln(stderr, "asyncq:", err)
		return 2
	}
	fmt.Fprintln(stderr, "asyncq:", err)
	return 1
}

// defaultQueues are the names that the flags have unless they are given.
var defaultQueues = asyncq.Queues{
	High:       "manga-fm-high-priority",
	Normal:     "manga-fm-normal",
	Low:        "manga-fm-low-priority",
	Ordered:    "manga-fm-ordered.fifo",
	DeadLetter: "manga-fm-dlq",
}

func parse(args []string, stderr io.Writer) (*arguments, error) {
	if len(args) == 0 || args[0] == "-h" || args[0] == "-help" || args[0] == "--help" || args[0] == "help" {
		fmt.Fprint(stderr, usage)
		if len(args) == 0 {
			return nil, fmt.Errorf("%w: a command is missing", errUsage)
		}
		return nil, flag.ErrHelp
	}
	a := &arguments{command: args[0]}
	flags := flag.NewFlagSet("asyncq "+a.command, flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.BoolVar(&a.aws, "aws", false, "use your AWS account")
	flags.StringVar(&a.endpoint, "endpoint", "", "use this server in place of SQS")
	flags.StringVar(&a.region, "region", "", "AWS region; with -endpoint the default is us-east-1")
	flags.BoolVar(&a.asJSON, "json", false, "print JSON")
	flags.StringVar(&a.queues.DeadLetter, "dead-letter", defaultQueues.DeadLetter, "dead-letter queue, by name or URL")
	if a.command == "queues" || a.command == "redrive" || a.command == "dead" {
		flags.StringVar(&a.queues.High, "high", defaultQueues.High, "queue of high priority, by name or URL")
		flags.StringVar(&a.queues.Normal, "normal", defaultQueues.Normal, "queue of normal priority")
		flags.StringVar(&a.queues.Low, "low", defaultQueues.Low, "queue of low priority")
		flags.StringVar(&a.queues.Ordered, "ordered", defaultQueues.Ordered, "FIFO queue; empty where there is none")
	}
	if a.command == "status" || a.command == "redrive" {
		flags.StringVar(&a.table, "table", "", "DynamoDB table of the statuses")
		flags.StringVar(&a.tableEndpoint, "table-endpoint", "", "use this server in place of DynamoDB; the default is that of -endpoint")
	}
	takesIDs := false
	switch a.command {
	case "queues":
	case "status":
		takesIDs = true
		flags.BoolVar(&a.wait, "wait", false, "wait until the jobs have ended")
	case "dead":
		flags.BoolVar(&a.body, "body", false, "print what was sent as well; it may hold a prompt")
	case "redrive":
		takesIDs = true
		flags.BoolVar(&a.all, "all", false, "send all dead letters back")
	case "purge":
		flags.BoolVar(&a.yes, "yes", false, "delete them, for good")
	default:
		return nil, fmt.Errorf("%w: there is no command %q; see asyncq -h", errUsage, a.command)
	}
	if err := flags.Parse(args[1:]); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil, err
		}
		return nil, fmt.Errorf("%w: %w", errUsage, err)
	}
	for _, id := range flags.Args() {
		switch {
		case id == "":
			return nil, fmt.Errorf("%w: the id of a job is empty", errUsage)
		case id[0] == '-':
			return nil, fmt.Errorf("%w: %s comes after the first id; flags come before it", errUsage, id)
		case !slices.Contains(a.ids, id):
			a.ids = append(a.ids, id)
		}
	}
	switch {
	case a.aws == (a.endpoint != ""):
		return nil, fmt.Errorf("%w: either -aws or -endpoint says which queues are meant", errUsage)
	case a.aws && a.tableEndpoint != "":
		return nil, fmt.Errorf("%w: -table-endpoint goes with -endpoint; -aws is your account", errUsage)
	case len(a.ids) > 0 && !takesIDs:
		return nil, fmt.Errorf("%w: %s takes no %q", errUsage, a.command, a.ids[0])
	case a.command == "status" && (a.table == "" || len(a.ids) == 0):
		return nil, fmt.Errorf("%w: status needs -table and the ids of jobs", errUsage)
	case a.command == "redrive" && a.all == (len(a.ids) > 0):
		return nil, fmt.Errorf("%w: redrive needs either ids of jobs or -all", errUsage)
	case a.command == "purge" && !a.yes:
		return nil, fmt.Errorf("%w: purge deletes all dead letters for good; say -yes", errUsage)
	case a.queues.DeadLetter == "":
		return nil, fmt.Errorf("%w: -dead-letter is empty", errUsage)
	}
	for _, endpoint := range []string{a.endpoint, a.tableEndpoint} {
		if u, err := url.Parse(endpoint); endpoint != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
			return nil, fmt.Errorf("%w: the endpoint %q is no http URL", errUsage, endpoint)
		}
	}
	return a, nil
}

// queueAPI is what the program calls of Amazon SQS.
type queueAPI interface {
	asyncq.AdminAPI
	GetQueueAttributes(context.Context, *sqs.GetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error)
}

// connect makes the clients that the arguments ask for.
func connect(ctx context.Context, a *arguments) (*services, error) {
	// A server that stands in for AWS is not shown anybody's credentials.
	cfg := aws.Config{Region: a.region, Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "asyncq", SecretAccessKey: "asyncq"}, nil
	})}
	if a.aws {
		var err error
		if cfg, err = config.LoadDefaultConfig(ctx, config.WithRegion(a.region)); err != nil {
			return nil, err
		}
	} else if cfg.Region == "" {
		cfg.Region = "us-east-1"
	}
	at := func(endpoints ...string) *string {
		for _, e := range endpoints {
			if e != "" && !a.aws {
				return &e
			}
		}
		return nil
	}
	s := &services{queues: sqs.NewFromConfig(cfg, func(o *sqs.Options) { o.BaseEndpoint = at(a.endpoint) })}
	if a.table != "" {
		s.status = dynamostatus.New(dynamodb.NewFromConfig(cfg, func(o *dynamodb.Options) { o.BaseEndpoint = at(a.tableEndpoint, a.endpoint) }), a.table)
	}
	return s, nil
}

func (a *arguments) run(ctx context.Context, stdout io.Writer, connect func(context.Context, *arguments) (*services, error)) error {
	s, err := connect(ctx, a)
	if err != nil {
		return err
	}
	switch a.command {
	case "queues":
		return a.showQueues(ctx, stdout, s)
	case "status":
		return a.showStatuses(ctx, stdout, s)
	case "dead":
		return a.showDead(ctx, stdout, s)
	case "redrive":
		// No ids are all of them.
		n, err := asyncq.NewDeadLetters(s.queues, a.queues, s.status).Redrive(ctx, a.ids...)
		if n > 0 || err == nil {
			if err := a.done(stdout, "redriven", n); err != nil {
				return err
			}
		}
		if err == nil && n < len(a.ids) {
			err = fmt.Errorf("of %d jobs %d have dead letters that can be seen now", len(a.ids), n)
		}
		return err
	default: // purge
		n, err := depth(ctx, s.queues, a.queues.DeadLetter)
		if err != nil {
			return err
		}
		if err := asyncq.NewDeadLetters(s.queues, a.queues, nil).Purge(ctx); err != nil {
			return err
		}
		return a.done(stdout, "purged", n.Visible+n.InFlight+n.Delayed)
	}
}

// done prints how many dead letters something was done with.
func (a *arguments) done(stdout io.Writer, what string, n int) error {
	if a.asJSON {
		return printJSON(stdout, map[string]int{what: n})
	}
	_, err := fmt.Fprintf(stdout, "%d %s\n", n, what)
	return err
}
