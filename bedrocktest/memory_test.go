package bedrocktest_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/bedrocktest"
)

// post sends a text and returns the status.
func post(t testing.TB, srv *bedrocktest.Server, text string) int {
	resp, _ := do(t, srv, request(t, srv, "/model/amazon.nova-lite-v1:0/converse", `{"messages":[{"role":"user","content":[{"text":"`+text+`"}]}]}`))
	return resp.StatusCode
}

func TestRequestsThatAreKept(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  func(*bedrocktest.Options)
		want []string
	}{
		{"all", func(*bedrocktest.Options) {}, []string{"a", "bbbbbbbbbb", "c", "d"}},
		{"the newest two", func(o *bedrocktest.Options) { o.KeepRequests = 2 }, []string{"c", "d"}},
		{"none", func(o *bedrocktest.Options) { o.KeepRequests = -1 }, nil},
		{"what fits", func(o *bedrocktest.Options) { o.KeepBytes = 130 }, []string{"c", "d"}},
		{"nothing fits", func(o *bedrocktest.Options) { o.KeepBytes = 1 }, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := echoServer(t, tt.set)
			for _, text := range []string{"a", "bbbbbbbbbb", "c", "d"} {
				require.Equal(t, 200, post(t, srv, text))
			}
			var got []string
			for _, r := range srv.Requests() {
				got = append(got, r.LastText())
			}
			assert.Equal(t, tt.want, got)
			srv.Reset()
			require.Equal(t, 200, post(t, srv, "e"))
			assert.LessOrEqual(t, len(srv.Requests()), 1)
		})
	}
}

// Requests wait until the bodies that are served leave room, and whoever leaves
// meanwhile leaves nothing behind.
func TestBodiesInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := echoServer(t, func(o *bedrocktest.Options) {
			// On HTTP/1.1 nobody sees that a client leaves before its body was read.
			o.HTTP2, o.MaxBody, o.MaxInFlight = true, 20_000, 30_000
		})
		large := strings.Repeat("x", 15_000)
		began := time.Now()
		srv.Reply(bedrocktest.Text("slow").Delay(time.Minute))
		var wg sync.WaitGroup
		wg.Go(func() { assert.Equal(t, 200, post(t, srv, large)) })
		synctest.Wait()

		gone := request(t, srv, "/model/amazon.nova-lite-v1:0/converse", `{"messages":[{"role":"user","content":[{"text":"`+large+`"}]}]}`)
		client := srv.HTTPClient()
		client.Timeout = 10 * time.Second
		_, err := client.Do(gone)
		require.Error(t, err)
		assert.Equal(t, 10*time.Second, time.Since(began))

		assert.Equal(t, 200, post(t, srv, "small"), "what fits does not wait")
		assert.Equal(t, 10*time.Second, time.Since(began))
		assert.Equal(t, 200, post(t, srv, large))
		assert.Equal(t, time.Minute, time.Since(began))
		wg.Wait()
		for range 10 { // nothing was lost of what is free
			assert.Equal(t, 200, post(t, srv, large))
		}
		assert.Equal(t, time.Minute, time.Since(began))
	})
}

// An answer without a bound of the request's own ends where the model's does.
func TestLongestAnswer(t *testing.T) {
	srv := echoServer(t)
	resp, body := do(t, srv, request(t, srv, "/model/amazon.nova-lite-v1:0/converse-stream",
		`{"messages":[{"role":"user","content":[{"text":"`+strings.Repeat("word ", 200_000)+`"}]}]}`))
	require.Equal(t, 200, resp.StatusCode)
	assert.Contains(t, body, `"stopReason":"max_tokens"`)
}

func TestJobsThatAreKept(t *testing.T) {
	srv := echoServer(t)
	start := func(i int, more string) int {
		resp, _ := do(t, srv, request(t, srv, "/async-invoke",
			fmt.Sprintf(`{"modelId":"twelvelabs.marengo-embed-2-7-v1:0","modelInput":{"n":%d,"more":"%s"},"outputDataConfig":{"s3OutputDataConfig":{"s3Uri":"s3://bucket"}}}`, i, more)))
		return resp.StatusCode
	}
	for i := range 1010 {
		require.Equal(t, 200, start(i, ""))
	}
	_, body := do(t, srv, request(t, srv, "/async-invoke?maxResults=1000", ""))
	assert.Equal(t, 1000, strings.Count(body, `"invocationArn"`))
	assert.NotContains(t, body, "nextToken")
	assert.Equal(t, 400, start(0, strings.Repeat("x", 1<<20)))
}
