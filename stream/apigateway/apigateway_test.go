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
	g, s, err := post(t, 2, bedrocktest.Text(strings.Repeat("word ", 10_000)).ChunkSize(5).Pace(10_000), "abc=")
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

// What Write lets gather by default, 64 KiB, fits into a message, markup too.
func TestConnectionTakesMarkup(t *testing.T) {
	m := stream.Message{Type: stream.TypeToken, Data: strings.Repeat("<p>&", 16<<10), Sequence: 1}
	var api posts
	require.NoError(t, apigateway.Connection(&api, "abc")(t.Context(), m))
	var got stream.Message
	require.NoError(t, json.Unmarshal(api.data, &got))
	assert.True(t, m == got)
}

type posts struct{ data []byte }

func (p *posts) PostToConnection(_ context.Context, in *apigatewaymanagementapi.PostToConnectionInput, _ ...func(*apigatewaymanagementapi.Options)) (*apigatewaymanagementapi.PostToConnectionOutput, error) {
	p.data = in.Data
	return &apigatewaymanagementapi.PostToConnectionOutput{}, nil
}
