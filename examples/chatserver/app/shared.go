package app

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/mangaassist/bedrockkit/examples/chatserver/auth"
	"github.com/mangaassist/bedrockkit/examples/chatserver/auth/redistickets"
	"github.com/mangaassist/bedrockkit/examples/chatserver/socket"
	"github.com/mangaassist/bedrockkit/examples/chatserver/socket/dynamoconnections"
	"github.com/mangaassist/bedrockkit/stream/resume"
	"github.com/mangaassist/bedrockkit/stream/resume/redisresume"
)

// share keeps the tickets and the answers on their way where all processes find them,
// so that a client may come back to another one. It returns the log of the answers, nil
// for this process alone.
func (b *builder) share(gate *auth.Gate) (resume.Log, error) {
	if b.Shared == inMemory || b.Shared == "" {
		b.say("answers", "memory; a client comes back to this process")
		return nil, nil
	}
	client, name, err := b.redis(b.Shared)
	if err != nil {
		return nil, fmt.Errorf("-shared: %w", err)
	}
	log, err := redisresume.New(client)
	if err != nil {
		return nil, fmt.Errorf("-shared: %w", err)
	}
	gate.ShareTickets(redistickets.New(client))
	b.ready["shared"] = func(ctx context.Context) error { return client.Ping(ctx).Err() }
	b.say("answers", "%s, with the tickets", name)
	return log, nil
}

// connections keeps who is connected to the API Gateway.
func (b *builder) connections(ctx context.Context) (socket.Connections, error) {
	kind, table := place(b.GatewayConnections)
	switch {
	case b.GatewayConnections == inMemory, b.GatewayConnections == "":
		return socket.NewMemoryConnections(), nil
	case kind != "dynamodb" || table == "":
		return nil, fmt.Errorf("-gateway-connections is %q; it is memory, or dynamodb:TABLE", b.GatewayConnections)
	}
	cfg, err := b.aws(ctx)
	if err != nil {
		return nil, fmt.Errorf("-gateway-connections: %w", err)
	}
	return dynamoconnections.New(dynamodb.NewFromConfig(cfg), table), nil
}
