package app_test

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/examples/chatserver/app"
	"github.com/mangaassist/bedrockkit/examples/chatserver/socket"
)

// All the world reaches a WebSocket API, so nobody may ask who is not known.
func TestOpenGateway(t *testing.T) {
	t.Setenv("AWS_REGION", "us-east-1")
	for name, tt := range map[string]struct {
		bedrock string
		want    string
	}{
		"models that cost money": {"aws", "everybody could ask the models: say who may, with MANGA_JWT_ISSUER"},
		"the offline model":      {"fake", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := app.FromEnv(func(string) string { return "" })
			s.Bedrock = tt.bedrock
			server, err := app.Build(t.Context(), s, slog.New(slog.DiscardHandler))
			require.NoError(t, err)
			defer server.Close()
			_, err = server.Gateway(nil, socket.NewMemoryConnections())
			if tt.want == "" {
				require.NoError(t, err)
				return
			}
			assert.ErrorContains(t, err, tt.want)
		})
	}
}
