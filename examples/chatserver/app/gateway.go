package app

import (
	"context"
	"errors"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"

	"github.com/mangaassist/bedrockkit/examples/chatserver/socket"
	"github.com/mangaassist/bedrockkit/stream/apigateway"
)

// gateway returns the routes that an API Gateway calls for its WebSockets, nil if there
// is none.
func (b *builder) gateway(ctx context.Context, h *socket.Handler) (http.Handler, error) {
	if b.Gateway == "" {
		return nil, nil
	}
	secret, err := b.gatewaySecret()
	if err != nil {
		return nil, err
	}
	cfg, err := b.aws(ctx)
	if err != nil {
		return nil, err
	}
	connections, err := b.connections(ctx)
	if err != nil {
		return nil, err
	}
	api := apigatewaymanagementapi.NewFromConfig(cfg, func(o *apigatewaymanagementapi.Options) { o.BaseEndpoint = &b.Gateway })
	b.say("gateway", "connections of %s, known in %s", b.Gateway, b.GatewayConnections)
	return h.Gateway(api, connections).Handler(secret), nil
}

// Gateway is for a Lambda function that an API Gateway calls for its WebSockets, which
// all the world can reach. So its error is that everybody could ask the models.
func (s *Server) Gateway(api apigateway.PostToConnectionAPI, connections socket.Connections) (*socket.Gateway, error) {
	if s.gate.Open() && s.info.Backend == "aws" {
		return nil, errors.New("everybody could ask the models: say who may, with MANGA_JWT_ISSUER and MANGA_JWT_AUDIENCE, or with MANGA_API_KEYS")
	}
	return s.socket.Gateway(api, connections), nil
}
