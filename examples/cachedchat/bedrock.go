package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
)

// connect returns a client of the fake Bedrock or, with -bedrock aws, of the
// real one in the account of the AWS configuration.
func connect(answers *bedrockx.Cache) (client *bedrockx.Client, closeBedrock func()) {
	backend := flag.String("bedrock", "fake", "`fake` (no account) or aws (your account, which costs money)")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), "cachedchat answers what customers ask again and again from a cache.\n\n")
		flag.PrintDefaults()
	}
	flag.Parse()
	options := func(o *bedrockx.Options) { o.Cache = answers }
	switch *backend {
	case "fake":
		fake, err := bedrocktest.New(func(o *bedrocktest.Options) { o.Responder = shopkeeper })
		if err != nil {
			log.Fatal(err)
		}
		return bedrockx.New(fake.Client(), options), func() { fake.Close() }
	case "aws":
		cfg, err := config.LoadDefaultConfig(context.Background())
		if err != nil {
			log.Fatal(err)
		}
		return bedrockx.NewFromConfig(cfg, options), func() {}
	}
	log.Fatalf("-bedrock is %q; it is fake or aws", *backend)
	return nil, nil
}

// shopkeeper is the fake's model, which takes its time to answer.
func shopkeeper(_ context.Context, req *bedrocktest.Request) *bedrocktest.Reply {
	reply := bedrocktest.Text("We open at ten, every day.")
	if strings.Contains(req.LastText(), "ship") {
		reply = bedrocktest.Text("Yes, to forty countries, in one to two weeks.")
	}
	return reply.Delay(50 * time.Millisecond)
}
