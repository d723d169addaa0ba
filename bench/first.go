package main

import (
	"bytes"
	"context"
	"runtime"
	"slices"
	"time"

	"github.com/anthropics/anthropic-sdk-go"
	anthropicbedrock "github.com/anthropics/anthropic-sdk-go/bedrock"
	"github.com/anthropics/anthropic-sdk-go/option"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"

	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/stream"
)

// first times the client's own share of the time to the first delta: from the
// call to the first piece of text of an answer that is there at once. It is
// time and not CPU, so a busy machine shows.
func (c *course) first() (*race, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	const contentType = "application/vnd.amazon.eventstream"
	converse := memory(bytes.Join(converseFrames(deltas), nil), contentType)
	invoke := memory(bytes.Join(invokeFrames(deltas), nil), contentType)
	sdk := bedrockruntime.NewFromConfig(config(converse))
	ours := bedrockx.New(sdk)
	claude := anthropic.NewClient(anthropicbedrock.WithConfig(config(invoke)), option.WithHTTPClient(invoke), option.WithMaxRetries(0))

	type starter struct {
		name string
		run  func(context.Context) (time.Duration, error)
	}
	starters := []starter{
		{sdkConverse, func(ctx context.Context) (time.Duration, error) {
			began := time.Now()
			out, err := sdk.ConverseStream(ctx, &bedrockruntime.ConverseStreamInput{ModelId: aws.String(model), Messages: sdkMessages()})
			if err != nil {
				return 0, err
			}
			s := out.GetStream()
			defer s.Close()
			for ev := range s.Events() {
				if _, ok := ev.(*types.ConverseStreamOutputMemberContentBlockDelta); ok {
					return time.Since(began), nil
				}
			}
			return 0, s.Err()
		}},
		{"anthropic-sdk-go", func(ctx context.Context) (time.Duration, error) {
			began := time.Now()
			s := claude.Messages.NewStreaming(ctx, anthropic.MessageNewParams{
				Model: model, MaxTokens: 1000, Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock("Hi"))}})
			defer s.Close()
			for s.Next() {
				if _, ok := s.Current().AsAny().(anthropic.ContentBlockDeltaEvent); ok {
					return time.Since(began), nil
				}
			}
			return 0, s.Err()
		}},
		{ourConverse, func(ctx context.Context) (time.Duration, error) {
			began := time.Now()
			s, err := stream.Converse(ctx, ours, &bedrockruntime.ConverseStreamInput{ModelId: aws.String(model), Messages: sdkMessages()})
			if err != nil {
				return 0, err
			}
			for _, err := range s.Text() {
				return time.Since(began), err
			}
			return 0, nil
		}},
	}
	starters = slices.DeleteFunc(starters, func(x starter) bool { return !c.only.MatchString(x.name) })
	samples := make([][]time.Duration, len(starters))
	for round := range 20 * c.rounds * c.work {
		for k := range starters {
			i := (k + round) % len(starters)
			took, err := starters[i].run(c.ctx)
			if err != nil {
				return nil, err
			}
			samples[i] = append(samples[i], took)
		}
	}
	r := &race{Title: "Time to the first delta, in memory, on one processor", Per: "stream", Baseline: sdkConverse}
	for i, one := range starters {
		slices.Sort(samples[i])
		r.Rows = append(r.Rows, result{Name: one.name, CPU: float64(samples[i][len(samples[i])/2])})
	}
	r.divide()
	return r, nil
}
