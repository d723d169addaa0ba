package bedrocktest_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
)

// Many streams at once, each with its own text and its own pace.
func TestManyStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := echoServer(t, func(o *bedrocktest.Options) { o.Pace = 20 })
		var wg sync.WaitGroup
		for i := range 200 {
			wg.Go(func() {
				text := fmt.Sprintf("number %d", i)
				began := time.Now()
				// A client each: streams of one share a codec of the SDK, which races
				// (smithy-go v1.28.8).
				got, err := readStream(t, srv.Client(), &bedrockruntime.ConverseStreamInput{ModelId: aws.String(haiku), Messages: userText(text)})
				if assert.NoError(t, err) {
					assert.Equal(t, "You said: "+text, got.text)
					n := bedrocktest.CountTokens(got.text)
					assert.Equal(t, time.Duration(n)*time.Second/20, time.Since(began))
				}
			})
		}
		wg.Wait()
		assert.Len(t, srv.Requests(), 200)
	})
}

// Everything at once, for the race detector.
func TestConcurrentUse(t *testing.T) {
	srv := echoServer(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			client := srv.Client()
			for range 20 {
				srv.Control(bedrockkit.OpConverse, bedrocktest.Echo).Keep().Remove()
				_, err := readStream(t, client, &bedrockruntime.ConverseStreamInput{ModelId: aws.String(haiku), Messages: userText("Hi")})
				assert.NoError(t, err)
				srv.Requests()
				_ = srv.Log()
			}
		})
	}
	wg.Wait()
	srv.Reset()
	assert.Empty(t, srv.Requests())
}

func BenchmarkStream(b *testing.B) {
	srv, err := bedrocktest.New(func(o *bedrocktest.Options) {
		o.InProcess = true
		o.Responder = bedrocktest.Echo
	})
	require.NoError(b, err)
	defer srv.Close()
	text := ""
	for i := range 500 {
		text += fmt.Sprintf(" w%d", i)
	}
	client := srv.HTTPClient()
	events := 0
	b.ReportAllocs()
	for b.Loop() {
		resp, err := client.Do(request(b, srv, "/model/"+haiku+"/converse-stream", `{"messages":[{"role":"user","content":[{"text":"`+text+`"}]}]}`))
		require.NoError(b, err)
		_, err = io.Copy(io.Discard, resp.Body)
		require.NoError(b, err)
		resp.Body.Close()
		srv.Reset()
		events += 506
	}
	b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkPacedStreams holds many streams open at once, each of a hundred
// tokens at twenty a second, and reports how late the slowest was.
func BenchmarkPacedStreams(b *testing.B) {
	const tokens, pace = 100, 20
	for _, streams := range []int{1000, 5000} {
		b.Run(fmt.Sprint(streams), func(b *testing.B) {
			srv, err := bedrocktest.New(func(o *bedrocktest.Options) {
				o.InProcess, o.HTTP2, o.Pace = true, true, pace
				o.Responder = func(context.Context, *bedrocktest.Request) *bedrocktest.Reply {
					return bedrocktest.Text(strings.Repeat("word ", tokens)).Usage(bedrockkit.Usage{InputTokens: 1, OutputTokens: tokens})
				}
			})
			require.NoError(b, err)
			defer srv.Close()
			client := srv.HTTPClient()
			const ideal = tokens / pace * float64(time.Second)
			slowest := 0.0
			for b.Loop() {
				var mu sync.Mutex
				var wg sync.WaitGroup
				for range streams {
					wg.Go(func() {
						resp, err := client.Do(request(b, srv, "/model/"+haiku+"/converse-stream", `{"messages":[{"role":"user","content":[{"text":"x"}]}]}`))
						if !assert.NoError(b, err) {
							return
						}
						defer resp.Body.Close()
						began := time.Now() // the pace counts from the headers
						_, err = io.Copy(io.Discard, resp.Body)
						assert.NoError(b, err)
						mu.Lock()
						defer mu.Unlock()
						slowest = max(slowest, float64(time.Since(began)))
					})
				}
				wg.Wait()
			}
			b.ReportMetric(100*(slowest/ideal-1), "%late")
		})
	}
}
