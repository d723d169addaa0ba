package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/mangaassist/bedrockkit/examples/chatserver/app"
)

// errFlags is part of the error of flags that cannot be read.
var errFlags = errors.New("see chatserver -h")

const usage = `chatserver is MangaAssist, the chat assistant of a manga store. Without a flag it needs no account.

  chatserver                        serves the page, on http://127.0.0.1:8080/
  chatserver keys add|list|revoke   manages the API keys of callers on other machines
  chatserver load                   fills the stores that -products and -retriever name
  chatserver nightly                enriches the catalogue by batch inference

load and nightly take the flags of the server, and use those that concern them.

`

// parse reads the flags, and those that a subcommand adds.
func parse(args []string, stderr io.Writer, more ...func(*flag.FlagSet)) (app.Settings, error) {
	s := app.FromEnv(os.Getenv)
	flags := flag.NewFlagSet("chatserver", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // main says what is wrong
	flags.StringVar(&s.Addr, "addr", s.Addr, "`address` to listen on; port 0 takes a free one")
	flags.StringVar(&s.Bedrock, "bedrock", s.Bedrock, "`where` the model is: fake (offline, inside this program) or aws (your account, which costs money)")
	flags.StringVar(&s.Haiku, "haiku", s.Haiku, "the `model` that clients call haiku: an id, an inference profile or an ARN")
	flags.StringVar(&s.Sonnet, "sonnet", s.Sonnet, "the `model` that clients call sonnet")
	flags.StringVar(&s.Cache, "cache", s.Cache, "`where` answers are kept for an hour: memory, off, or the URL of a Redis")
	flags.StringVar(&s.Fallback, "fallback", s.Fallback, "`who` answers if a model fails: other (haiku for sonnet, and the reverse), off, or MODEL,MODEL@REGION")
	flags.StringVar(&s.BudgetUSD, "budget-usd", s.BudgetUSD, "`dollars` that models may cost in a day, such as 25.50; empty for no bound")
	flags.StringVar(&s.DailyUSD, "daily-usd", s.DailyUSD, "`dollars` that models may cost for each caller in a day (UTC), such as 0.50; empty for no bound")
	flags.StringVar(&s.Quota, "quota", s.Quota, "`tokens,requests` a minute of each model, such as 5000000,10000; empty for no bound")
	flags.StringVar(&s.QuotaStore, "quota-store", s.QuotaStore, "`where` -quota is counted: memory, or the URL of a Redis that processes share")
	flags.StringVar(&s.Guardrail, "guardrail", s.Guardrail, "`ID:VERSION` of a guardrail of Amazon Bedrock; empty for none")
	flags.StringVar(&s.Sessions, "sessions", s.Sessions, "`where` conversations of the REST API are kept: memory, or dynamodb:TABLE")
	flags.StringVar(&s.Products, "products", s.Products, "`where` the catalogue, prices and stock are: embedded, or dynamodb:TABLE; see chatserver load")
	flags.StringVar(&s.Retriever, "retriever", s.Retriever, "`where` the vectors of the search by meaning are: memory, opensearch:URL, s3vectors:BUCKET/INDEX or pgvector:DSN")
	flags.Float64Var(&s.TPS, "tps", s.TPS, "`tokens` a second of the offline model")
	flags.StringVar(&s.Keys, "keys", "", "`file` of the API keys that callers need; see chatserver keys. Without one only this machine can call")
	flags.StringVar(&s.JWTIssuer, "jwt-issuer", s.JWTIssuer, "`issuer` of the JWTs that callers may have instead of keys")
	flags.StringVar(&s.JWTAudience, "jwt-audience", s.JWTAudience, "`audience` that a JWT must have")
	flags.StringVar(&s.JWKS, "jwks", "", "`URL` of the issuer's keys; without it ISSUER/.well-known/jwks.json")
	flags.StringVar(&s.Origins, "origins", s.Origins, "`origins` of the pages that may call from a browser, with commas: https://manga.example,https://www.manga.example")
	flags.StringVar(&s.Gateway, "gateway", "", "connections `URL` of an API Gateway whose WebSocket routes call this server: https://….execute-api.REGION.amazonaws.com/STAGE")
	flags.StringVar(&s.GatewaySecret, "gateway-secret", "", "`file` of the secret that the API Gateway sends, or env:VARIABLE")
	flags.StringVar(&s.GatewayConnections, "gateway-connections", s.GatewayConnections, "`where` it is known who is connected to the API Gateway: memory, or dynamodb:TABLE for several processes")
	flags.StringVar(&s.Shared, "shared", s.Shared, "`where` answers on their way and tickets are: memory, or the URL of a Redis that processes behind one address share")
	flags.StringVar(&s.Jobs.Role, "role", s.Jobs.Role, "the `role` of this process: all, api (serves callers) or worker (does the jobs)")
	flags.StringVar(&s.Jobs.Queues, "queues", s.Jobs.Queues, "`where` jobs wait: memory, sqs, or sqs:HIGH,NORMAL,LOW,DEAD with names or URLs of queues")
	flags.StringVar(&s.Jobs.Statuses, "statuses", s.Jobs.Statuses, "`where` the statuses of jobs are: memory, dynamodb:TABLE or redis://HOST:PORT")
	flags.StringVar(&s.Jobs.Results, "results", s.Jobs.Results, "`where` the results of jobs are: memory, folder:PATH or s3:BUCKET")
	flags.StringVar(&s.Jobs.Callbacks, "callbacks", s.Jobs.Callbacks, "`where` callbacks wait until they are delivered: memory or dynamodb:TABLE")
	flags.IntVar(&s.Jobs.CallbackPort, "callback-port", 0, "a `port` of this machine that callbacks may go to over http; for tests, with the offline model")
	flags.StringVar(&s.Enrichment, "enrichment", s.Enrichment, "`where` the result of chatserver nightly is, by which searches are ordered: a file or s3:BUCKET/KEY; empty for none")
	for _, add := range more {
		add(flags)
	}
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stderr, usage)
		flags.SetOutput(stderr)
		flags.PrintDefaults()
		return s, err
	} else if err != nil {
		return s, fmt.Errorf("%w; %w", err, errFlags)
	}
	if flags.NArg() > 0 {
		return s, fmt.Errorf("unexpected argument %q; %w", flags.Arg(0), errFlags)
	}
	if err := s.Check(); err != nil {
		return s, fmt.Errorf("%w; %w", err, errFlags)
	}
	return s, nil
}
