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
		fmt.Fprint(flag.CommandLine.Output(), "tools lets a model use two tools of a manga store.\n\n")
		flag.PrintDefaults()
	}
	flag.Parse()
	switch *backend {
	case "fake":
		fake, err := bedrocktest.New()
		if err != nil {
			log.Fatal(err)
		}
		fake.Reply(
			bedrocktest.Text("Let me look.").
				ToolUse("check_stock", stockQuery{Title: "Berserk"}).
				ToolUse("check_stock", stockQuery{Title: "Monster, volume 1"}),
			bedrocktest.ToolUse("check_stock", stockQuery{Title: "Monster"}).
				ToolUse("reserve", reservation{Title: "Berserk", Copies: 3}),
			bedrocktest.ToolUse("reserve", reservation{Title: "Berserk", Copies: 2}),
			bedrocktest.Text("I have reserved two copies of Berserk for you, the most that I may. Monster is sold out."),
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
