// Package socket is the WebSocket of the assistant: several answers at once on one
// connection, stop, resume, slow readers, limits. A connection that is lost stops no
// answer; another one reads on.
//
//	handler := socket.New(manga, gate, logger)
//	mux.Handle("GET /ws", handler)
//
// Behind an API Gateway it is the API Gateway that holds the WebSockets. Its three
// routes call the same handler, as HTTP integrations or in a Lambda function:
//
//	gateway := handler.Gateway(apigatewaymanagementapi.NewFromConfig(cfg, …), socket.NewMemoryConnections())
//	mux.Handle("/gateway/", gateway.Handler(secret))
//
// Read client.go first: it is the protocol, whatever carries it. answers.go has the
// answers, which outlive their connections; websocket.go and gateway.go are the two
// ways to a client.
package socket
