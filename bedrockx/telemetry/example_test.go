package telemetry_test

import (
	"context"
	"fmt"
	"log"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/anthropic"
	"github.com/mangaassist/bedrockkit/bedrockx/telemetry"
)

func Example() {
	fake, err := bedrocktest.New(func(o *bedrocktest.Options) { o.InProcess = true })
	if err != nil {
		log.Fatal(err)
	}
	defer fake.Close()
	fake.Reply(bedrocktest.Throttle(), bedrocktest.Text("Kentaro Miura."))

	spans := tracetest.NewInMemoryExporter() // yours sends them to a collector
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	defer provider.Shutdown(context.Background())
	client := bedrockx.New(fake.Client(),
		telemetry.Option(func(o *telemetry.Options) { o.TracerProvider = provider }),
		func(o *bedrockx.Options) { o.BaseDelay = 1 }) // an example does not wait
	_, err = bedrockx.Invoke(context.Background(), client, "us.anthropic.claude-haiku-4-5-20251001-v1:0", anthropic.Request{
		MaxTokens: 100, Messages: []anthropic.Message{anthropic.User("Who wrote Berserk?")},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, span := range spans.GetSpans() {
		fmt.Println(span.Name, span.Status.Code)
	}
	// Output:
	// attempt Error
	// attempt Unset
	// chat us.anthropic.claude-haiku-4-5-20251001-v1:0 Unset
}
