package apigateway_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/stream"
	"github.com/mangaassist/bedrockkit/stream/apigateway"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// gateway is the API Gateway Management API, as far as the SDK's client asks
// it: POST /@connections/{id}.
type gateway struct {
	mu    sync.Mutex
	limit int // messages until the connection is gone
	paths []string
	got   []stream.Message
}

func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	data, _ := io.ReadAll(r.Body)
	if len(g.got) == g.limit {
		w.Header().Set("X-Amzn-Errortype", "GoneException")
		w.WriteHeader(http.StatusGone)
		return
	}
	var m stream.Message
	json.Unmarshal(data, &m)
	g.paths, g.got = append(g.paths, r.Method+" "+r.URL.EscapedPath()), append(g.got, m)
}

func post(t *testing.T, limit int, reply *bedrocktest.Reply, id string) (*gateway, *stream.Stream, error) {
	t.Helper()
	g := &gateway{limit: limit}
	web := httptest.NewServer(g)
	t.Cleanup(web.Close)
	api := apigatewaymanagementapi.New(apigatewaymanagementapi.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(web.URL + "/prod"), HTTPClient: web.Client(),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "example"}, nil
		}),
	})
	srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
	srv.Reply(reply)
	chat := converse.New(bedrockx.New(srv.Client()), func(o *converse.Options) { o.Model = "us.amazon.nova-lite-v1:0" })
	s, err := chat.Stream(t.Context(), converse.Request{Messages: []converse.Message{converse.User("hello")}})
	require.NoError(t, err)
	return g, s, stream.Write(t.Context(), s, apigateway.Connection(api, id))
}

func TestConnection(t *testing.T) {
	g, _, err := post(t, -1, bedrocktest.Text("one two").ChunkSize(3), "abc=")
	require.NoError(t, err)
	text := ""
	for i, m := range g.got {
		text += m.Data
		assert.EqualValues(t, i+1, m.Sequence)
		assert.Equal(t, "POST /prod/@connections/abc%3D", g.paths[i])
	}
	assert.Equal(t, "one two", text)
	assert.Equal(t, stream.TypeComplete, g.got[len(g.got)-1].Type)
}

func TestConnectionThatIsGoneStopsTheModel(t *testing.T) {
	g, s, err := post(t, 2, bedrocktest.Text(strings.Repeat("word ", 10_000)).ChunkSize(5).Pace(1000), "abc=")
	assert.ErrorIs(t, err, apigateway.ErrGone)
	var gone *types.GoneException
	assert.ErrorAs(t, err, &gone)
	assert.Len(t, g.got, 2)
	assert.False(t, s.Result().Complete)
}

func TestConnectionWithoutID(t *testing.T) {
	_, _, err := post(t, -1, bedrocktest.Text("one"), "")
	assert.ErrorContains(t, err, "connection id")
}

// An answer that comes at once, as from a cache, is sent in messages that the
// service takes, whatever its escapes.
func TestConnectionTakesALongAnswer(t *testing.T) {
	for _, text := range []string{
		strings.Repeat("word ", 30_000), strings.Repeat("\"", 100_000), strings.Repeat("<p>&", 50_000), strings.Repeat("漫画\n", 40_000),
	} {
		for _, limit := range []int{0, apigateway.MaxMessage} {
			s, err := stream.Replay(t.Context(), &stream.Result{Complete: true, Blocks: []stream.Block{{Kind: stream.BlockText, Text: text, Complete: true}}})
			require.NoError(t, err)
			var api posts
			sink := apigateway.Connection(&api, "abc")
			if limit > 0 {
				sink.MaxMessage = limit
			}
			require.NoError(t, stream.Write(t.Context(), s, sink))
			got := ""
			for _, data := range api.data {
				assert.LessOrEqual(t, len(data), sink.MaxMessage)
				var m stream.Message
				require.NoError(t, json.Unmarshal(data, &m))
				got += m.Data
			}
			assert.True(t, got == text)
			assert.LessOrEqual(t, len(api.data), 2*len(text)/sink.MaxMessage+3, "in no more messages than it takes")
		}
	}
}

// Sixty requests for an answer of fifteen seconds, and not one a token.
func TestConnectionCoalesces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
		srv.Reply(bedrocktest.Text(strings.Repeat("word ", 300)).Pace(20))
		chat := converse.New(bedrockx.New(srv.Client()), func(o *converse.Options) { o.Model = "us.amazon.nova-lite-v1:0" })
		s, err := chat.Stream(t.Context(), converse.Request{Messages: []converse.Message{converse.User("hello")}})
		require.NoError(t, err)
		var api posts
		began := time.Now()
		require.NoError(t, stream.Write(t.Context(), s, apigateway.Connection(&api, "abc")))
		assert.LessOrEqual(t, len(api.data), int(time.Since(began)/(250*time.Millisecond))+2)
		assert.Greater(t, len(api.data), 30)
	})
}

func TestConnectionRefusesWhatTheServiceRefuses(t *testing.T) {
	err := apigateway.Connection(&posts{}, "abc").Send(t.Context(), stream.Message{Type: stream.TypeToken, Data: strings.Repeat("a", apigateway.MaxMessage)})
	assert.ErrorContains(t, err, "Sink.MaxMessage")
}

type posts struct{ data [][]byte }

func (p *posts) PostToConnection(_ context.Context, in *apigatewaymanagementapi.PostToConnectionInput, _ ...func(*apigatewaymanagementapi.Options)) (*apigatewaymanagementapi.PostToConnectionOutput, error) {
	p.data = append(p.data, in.Data)
	return &apigatewaymanagementapi.PostToConnectionOutput{}, nil
}
