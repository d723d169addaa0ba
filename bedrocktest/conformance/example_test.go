package conformance_test

import (
	"context"
	"fmt"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrocktest/conformance"
	"github.com/mangaassist/bedrockkit/pricing"
)

func Example() {
	srv, err := bedrocktest.New(conformance.ForFake, func(o *bedrocktest.Options) { o.InProcess = true })
	if err != nil {
		panic(err)
	}
	defer srv.Close()
	var cases []conformance.Case
	for _, c := range conformance.Cases() {
		if c.Op == bedrockkit.OpCountTokens {
			cases = append(cases, c)
		}
	}
	report, err := conformance.Fake(srv).Run(context.Background(), cases, pricing.NewBudget(pricing.Amount{}))
	if err != nil {
		panic(err)
	}
	fmt.Print(report.Table())
	// Output: 4 cases: 0 differ, 0 were skipped.
}
