package main

import (
	"context"
	"flag"
	"fmt"
	"log"

	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
)

// connect returns a client of the fake Bedrock or, with -bedrock aws, of the
// real one in the account of the AWS configuration.
func connect() (client *bedrockx.Client, closeBedrock func()) {
	backend := flag.String("bedrock", "fake", "`fake` (no account) or aws (your account, which costs money)")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), "structured turns a customer's mail into a value of a Go type.\n\n")
		flag.PrintDefaults()
	}
	flag.Parse()
	switch *backend {
	case "fake":
		fake, err := bedrocktest.New()
		if err != nil {
			log.Fatal(err)
		}
		// The first answer does not fit the schema; Generate has it corrected.
		fake.Reply(
			bedrocktest.Text(`{"customer":"田中","lines":[{"title":"Berserk","volume":"1-2","copies":1},{"title":"Monster","volume":5,"copies":2}],"urgent":true}`),
			bedrocktest.Text(`{"customer":"田中","lines":[{"title":"Berserk","volume":1,"copies":1},{"title":"Berserk","volume":2,"copies":1},{"title":"Monster","volume":5,"copies":2}],"urgent":true}`),
		)
		return bedrockx.New(fake.Client()), func() { fake.Close() }
	case "aws":
		cfg, err := config.LoadDefaultConfig(context.Background())
		if err != nil {
			log.Fatal(err)
		}
		return bedrockx.NewFromConfig(cfg), func() {}
	}
	log.Fatalf("-bedrock is %q; it is fake or aws", *backend)
	return nil, nil
}
