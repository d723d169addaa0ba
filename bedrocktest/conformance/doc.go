// Package conformance says what Amazon Bedrock answers to requests, as data, and
// holds a server against it: always the fake of package bedrocktest, and an
// account where somebody asks for it.
//
//	target := conformance.Fake(srv) // or a Target of yours
//	report, err := target.Run(ctx, conformance.Cases(), pricing.NewBudget(halfADollar))
//	fmt.Print(report.Table()) // where it differs, ready for an issue
//
// A [Case] is a request and what the service answers to it: the status, the error
// code, a part of the message, members of the body, the events of a stream. Each
// names its source; cases.json holds them.
//
// # Against an account
//
//	go test ./bedrocktest/conformance -run TestLive -live -region us-east-1 -max-cost 0.50 -v
//
// asks the real service, with the credentials of the environment, and prints
// where the data and the service differ. Nothing is sent without -live. What each
// request can cost is set aside from a budget of -max-cost US dollars before it
// is sent; a case that does not fit is skipped. Cases that would leave something
// behind in the account, or whose price is not known, are not sent.
package conformance
