package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"slices"
	"time"

	lambdaevents "github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"

	"github.com/mangaassist/bedrockkit/examples/chatserver/app"
	"github.com/mangaassist/bedrockkit/examples/chatserver/deploy/lambda/proxy"
)

// function times a question to the chat server's Lambda function of the REST API,
// from the bytes of the event to those of the response. The model answers at once, so
// beside the SDK's own call what is left is the function's share. It is time and not
// CPU, so a busy machine shows.
func (c *course) function() (*race, error) {
	bedrock := httptest.NewServer(handler("burst"))
	defer bedrock.Close()
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL_BEDROCK_RUNTIME": bedrock.URL, "AWS_REGION": "us-east-1",
		"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_EC2_METADATA_DISABLED": "true",
	} {
		before, had := os.LookupEnv(name)
		os.Setenv(name, value)
		defer func() {
			if os.Setenv(name, before); !had {
				os.Unsetenv(name)
			}
		}()
	}
	cfg, err := awsconfig.LoadDefaultConfig(c.ctx)
	if err != nil {
		return nil, err
	}
	sdk := bedrockruntime.NewFromConfig(cfg)
	settings := app.FromEnv(func(string) string { return "" })
	settings.Bedrock, settings.Cache = "aws", "off"
	server, err := app.Build(c.ctx, settings, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	defer server.Close()
	invoke := lambda.NewHandler(proxy.Handler(server.API())).Invoke
	event, err := json.Marshal(lambdaevents.APIGatewayProxyRequest{
		Resource: "/v1/manga/query", Path: "/v1/manga/query", HTTPMethod: "POST", Headers: map[string]string{"Content-Type": "application/json"},
		Body:           `{"query":"ワンピースに似たアクション漫画を教えてください","model":"sonnet","language":"ja","max_tokens":1024}`,
		RequestContext: lambdaevents.APIGatewayProxyRequestContext{Identity: lambdaevents.APIGatewayRequestIdentity{APIKeyID: "bench", SourceIP: "192.0.2.1"}},
	})
	if err != nil {
		return nil, err
	}
	contestants := []contestant{
		{sdkUnary, func(ctx context.Context) (int, error) {
			out, err := sdk.Converse(ctx, &bedrockruntime.ConverseInput{ModelId: aws.String(model), Messages: sdkMessages()})
			if err != nil {
				return 0, err
			}
			return sdkText(out), nil
		}},
		{"chatserver, Lambda function rest", func(ctx context.Context) (int, error) {
			out, err := invoke(ctx, event)
			if err != nil {
				return 0, err
			}
			var response lambdaevents.APIGatewayProxyResponse
			var answer struct{ Response string }
			if err := json.Unmarshal(out, &response); err != nil {
				return 0, err
			}
			if response.StatusCode != 200 {
				return 0, fmt.Errorf("status %d: %s", response.StatusCode, response.Body)
			}
			if err := json.Unmarshal([]byte(response.Body), &answer); err != nil {
				return 0, err
			}
			if answer.Response == "" {
				return 0, fmt.Errorf("there is no answer in %s", response.Body)
			}
			return len(answer.Response), nil
		}},
	}
	contestants = slices.DeleteFunc(contestants, func(x contestant) bool { return !c.only.MatchString(x.name) })
	samples := make([][]time.Duration, len(contestants))
	for round := range (c.rounds + 1) * c.work {
		for k := range contestants {
			i := (k + round) % len(contestants)
			began := time.Now()
			if _, err := contestants[i].run(c.ctx); err != nil {
				return nil, fmt.Errorf("%s: %w", contestants[i].name, err)
			}
			if round >= c.work { // before, they warm up
				samples[i] = append(samples[i], time.Since(began))
			}
		}
	}
	r := &race{Title: "A question to the REST API in AWS Lambda; the model answers at once", Per: "question", Baseline: sdkUnary}
	for i, one := range contestants {
		slices.Sort(samples[i])
		r.Rows = append(r.Rows, result{Name: one.name, CPU: float64(samples[i][len(samples[i])/2]), Late: samples[i][(len(samples[i])*99-1)/100].Seconds() * 1e3})
	}
	r.divide()
	if n := len(r.Rows); n == 2 {
		r.Note = fmt.Sprintf("The function's own share is %.2f ms; 50 ms are allowed. The time is that of the clock.", (r.Rows[1].CPU-r.Rows[0].CPU)/1e6)
	}
	return r, nil
}
