package main

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
)

// connect returns a client of the fake Bedrock or, with "aws", of the real one in
// the account of the AWS configuration.
func connect(ctx context.Context, backend string) (client *bedrockx.Client, closeBedrock func(), err error) {
	switch backend {
	case "fake":
		fake, err := bedrocktest.New()
		if err != nil {
			return nil, nil, err
		}
		fake.Reply(
			bedrocktest.Text("Let me look.").ToolUse("stock_check", stockQuery{Title: "Berserk, volume 1"}),
			bedrocktest.ToolUse("stock_check", stockQuery{Title: "Berserk"}),
			bedrocktest.ToolUse("stock_reserve", reservation{Title: "Berserk", Copies: 2}),
			bedrocktest.Text("Two copies of Berserk are set aside for you."),
		)
		return bedrockx.New(fake.Client()), func() { fake.Close() }, nil
	case "aws":
		cfg, err := config.LoadDefaultConfig(ctx)
		if err != nil {
			return nil, nil, err
		}
		return bedrockx.NewFromConfig(cfg), func() {}, nil
	}
	return nil, nil, fmt.Errorf("-bedrock is %q; it is fake or aws", backend)
}
