package socket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/mangaassist/bedrockkit/examples/chatserver/auth"
	"github.com/mangaassist/bedrockkit/stream/apigateway"
)

// A Gateway speaks with clients whose WebSockets an API Gateway holds: it has one
// method for each of the three routes, and posts answers to the connections.
// [Gateway.Handler] serves them as HTTP integrations; a Lambda function calls the
// methods. It is safe for concurrent use.
type Gateway struct {
	handler     *Handler
	api         apigateway.PostToConnectionAPI
	connections Connections
}

// Gateway returns the gateway whose connections are reached through api, and kept
// in connections. It ends with the handler.
func (h *Handler) Gateway(api apigateway.PostToConnectionAPI, connections Connections) *Gateway {
	return &Gateway{h, api, connections}
}

// An Opening is what an API Gateway says of a connection in $connect, and at no
// other time.
type Opening struct {
	ConnectionID string
	Header       http.Header // Origin, X-Api-Key, Authorization
	Query        url.Values  // ticket
	Address      string      // the client's IP address
}

// Connect decides about the route $connect. Its error is an [*auth.Refused] for a
// client that may not connect: its status is the integration's, and refuses the
// connection. Any other error is the store's.
func (g *Gateway) Connect(ctx context.Context, o Opening) error {
	if o.ConnectionID == "" {
		return errors.New("the connection id is empty")
	}
	// All are cross-origin for an API Gateway. A program sends no origin.
	if origin := o.Header.Get("Origin"); origin != "" && !slices.Contains(g.handler.opts.Origins, origin) {
		return &auth.Refused{Status: http.StatusForbidden, Message: "This origin may not connect."}
	}
	r := &http.Request{Method: http.MethodGet, URL: &url.URL{RawQuery: o.Query.Encode()}, Header: o.Header, RemoteAddr: net.JoinHostPort(o.Address, "0")}
	r, refused := g.handler.gate.Admit(r.WithContext(ctx))
	if refused != nil {
		return refused
	}
	return g.connections.Put(ctx, Connection{
		ID: o.ConnectionID, Caller: auth.CallerOf(r.Context()), Address: auth.Address(r), Expires: time.Now().Add(connectionLife),
	})
}

// Disconnect is the route $disconnect. What answers the connection is sent go on for
// [Options].Grace.
func (g *Gateway) Disconnect(ctx context.Context, connectionID string) error {
	return g.connections.Delete(ctx, connectionID)
}

// Message is the route $default: one message of a client. It returns before the
// answer, which is posted in the background until [Handler.Close]. The error is
// [ErrNoConnection], that of the store, or that the handler is closed; the client
// is posted all others.
func (g *Gateway) Message(ctx context.Context, connectionID string, message []byte) error {
	return g.message(ctx, connectionID, message, true)
}

// Answer is like [Gateway.Message], but returns after the answer was posted or ctx
// has ended: for a Lambda function, which stands still after it has returned.
func (g *Gateway) Answer(ctx context.Context, connectionID string, message []byte) error {
	return g.message(ctx, connectionID, message, false)
}

func (g *Gateway) message(ctx context.Context, connectionID string, message []byte, background bool) error {
	if !g.handler.enter() {
		return errors.New("the server is stopping")
	}
	defer g.handler.open.Done()
	known, err := g.connections.Get(ctx, connectionID)
	if err != nil {
		return err
	}
	c := &client{
		Handler: g.handler, connection: connectionID, address: known.Address,
		background: func(ctx context.Context, send func(context.Context)) { send(ctx) },
		post:       func(ctx context.Context, data []byte) error { return g.post(ctx, connectionID, data) },
		sink:       apigateway.Connection(g.api, connectionID), // for its bounds
	}
	c.sink.MaxMessage -= 1 << 10 // for what a frame has beside the message
	if background {
		c.background = g.handler.detached
	}
	ctx = auth.WithCaller(ctx, known.Caller)
	switch {
	case len(message) > maxFrame:
		c.refuse(ctx, "", &badInput{"", fmt.Sprintf("the message has more than %d bytes", maxFrame)})
	case !utf8.Valid(message):
		c.refuse(ctx, "", &badInput{"", "the message must be UTF-8"})
	default:
		c.take(ctx, message)
	}
	return nil
}

// post sends one message. A client that is gone comes back, or does not; any other
// error is for those who run the server.
func (g *Gateway) post(ctx context.Context, connectionID string, data []byte) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	err := apigateway.Post(ctx, g.api, connectionID, data)
	if err != nil && !errors.Is(err, apigateway.ErrGone) && ctx.Err() == nil {
		g.handler.log.Warn("cannot post to the API Gateway; -gateway must be the connections URL of the stage, and execute-api:ManageConnections be allowed", "error", err)
	}
	return err
}

// detached runs what outlives its request, and ends with the handler.
func (h *Handler) detached(ctx context.Context, send func(context.Context)) {
	h.open.Go(func() {
		ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		defer cancel()
		defer context.AfterFunc(h.cutting, cancel)()
		send(ctx)
	})
}
