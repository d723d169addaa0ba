package quota_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/quota"
)

// A lane without bedrockx: reserve, ask, settle.
func Example() {
	const model = "us.amazon.nova-lite-v1:0"
	limiter, err := quota.New([]quota.Quota{{Model: model, TokensPerMinute: 50_000}})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	lane := limiter.Lane("", "us-east-1", model)
	held, err := lane.Acquire(ctx, quota.Request{Input: 1200, Output: 500})
	if err != nil {
		log.Fatal(err)
	}
	usage := bedrockkit.Usage{InputTokens: 1187, OutputTokens: 42} // of the answer
	fmt.Println("reserved", held.Tokens(), "taken", lane.Quota().Taken(usage))
	held.Settle(ctx, lane.Quota().Taken(usage))

	_, err = lane.Acquire(ctx, quota.Request{Input: 45_000, Output: 10_000})
	fmt.Println(errors.Is(err, quota.ErrLimited))
	fmt.Println(err)
	// Output:
	// reserved 1700 taken 1229
	// true
	// the quota of us.amazon.nova-lite-v1:0 in us-east-1 is 50000 tokens a minute: the call reserves its input of 45000 tokens and its max tokens of 10000; shorten it or set them lower
}
