// Package gatewaytest is the WebSocket API of an Amazon API Gateway for tests, as far
// as its integrations and its clients can tell.
//
//	gateway := gatewaytest.New(t, gatewaytest.HTTP(server.URL, secret))
//	conn, _, err := websocket.Dial(ctx, gateway.URL, nil)
//
// $connect decides about the upgrade; each message is one call of the integration of
// $default; answers come by POST to the connections' URL, which is 410 for a
// connection that is closed or never was. Its bounds are those of the service (API
// Gateway quotas, WebSocket APIs): 128 KiB a message, 29 s an integration.
package gatewaytest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// The types of an [Event].
const (
	Connect    = "CONNECT"
	Message    = "MESSAGE"
	Disconnect = "DISCONNECT"
)

// Stage is the name of the stage, which is in both URLs.
const Stage = "prod"

const (
	maxMessage         = 128 << 10
	integrationTimeout = 29 * time.Second
)

// An Event is one call of an integration.
type Event struct {
	Type         string // [Connect], [Message] or [Disconnect]
	ConnectionID string
	Address      string      // the client's IP address
	Header       http.Header // with [Connect] only, as Query
	Query        url.Values
	Body         []byte // of a [Message]
}

// RouteKey is the route of an event, of an API that has the three predefined ones.
func (e Event) RouteKey() string {
	return map[string]string{Connect: "$connect", Message: "$default", Disconnect: "$disconnect"}[e.Type]
}

// An Integration is what an API Gateway calls: a Lambda function, or an HTTP server
// with [HTTP]. The connection is made if the status of [Connect] is 2xx.
type Integration func(context.Context, Event) (status int, err error)

// A Gateway is one stage of an API. It is safe for concurrent use.
type Gateway struct {
	URL            string // that clients dial
	ConnectionsURL string // the base endpoint of the management API

	integration Integration
	mu          sync.Mutex
	conns       map[string]*websocket.Conn
	posts       int
	serving     sync.WaitGroup
}

// New returns a gateway that listens on loopback until the end of the test.
func New(t testing.TB, integration Integration) *Gateway {
	g := &Gateway{integration: integration, conns: map[string]*websocket.Conn{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /"+Stage, g.serve)
	mux.HandleFunc("/"+Stage+"/@connections/{id...}", g.manage)
	web := httptest.NewServer(mux)
	g.URL = strings.Replace(web.URL, "http", "ws", 1) + "/" + Stage
	g.ConnectionsURL = web.URL + "/" + Stage
	t.Cleanup(func() {
		for _, id := range g.Connections() {
			g.Cut(id)
		}
		g.serving.Wait()
		web.Close()
	})
	return g
}

// Integrate sets the integration, for a server that must know the URL first.
func (g *Gateway) Integrate(integration Integration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.integration = integration
}

// Connections are the ids of the connections that are open.
func (g *Gateway) Connections() (ids []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for id := range g.conns {
		ids = append(ids, id)
	}
	return ids
}

// Posts is how many messages were posted to connections that were open.
func (g *Gateway) Posts() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.posts
}

// Cut breaks a connection, as a network does.
func (g *Gateway) Cut(id string) {
	if c := g.conn(id); c != nil {
		c.CloseNow()
	}
}

func (g *Gateway) conn(id string) *websocket.Conn {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.conns[id]
}

// serve is one WebSocket, from its opening to its end.
func (g *Gateway) serve(w http.ResponseWriter, r *http.Request) {
	g.serving.Add(1)
	defer g.serving.Done()
	raw := make([]byte, 11)
	rand.Read(raw)
	id := base64.StdEncoding.EncodeToString(raw) // it ends with "=" and may have "/" and "+", as a real one
	address, _, _ := net.SplitHostPort(r.RemoteAddr)
	call := func(e Event) (int, error) {
		e.ConnectionID, e.Address = id, address
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), integrationTimeout)
		defer cancel()
		g.mu.Lock()
		integration := g.integration
		g.mu.Unlock()
		return integration(ctx, e)
	}
	status, err := call(Event{Type: Connect, Header: r.Header.Clone(), Query: r.URL.Query()})
	if err != nil {
		status = http.StatusInternalServerError
	}
	if status/100 != 2 {
		w.WriteHeader(status)
		return
	}
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return
	}
	c.SetReadLimit(maxMessage)
	g.mu.Lock()
	g.conns[id] = c
	g.mu.Unlock()
	for {
		_, body, err := c.Read(r.Context())
		if err != nil {
			break
		}
		status, err := call(Event{Type: Message, Body: body})
		if err != nil || status/100 == 5 {
			failed, _ := json.Marshal(map[string]string{"message": "Internal server error", "connectionId": id})
			c.Write(r.Context(), websocket.MessageText, failed) // one that has gone is noticed by Read
		}
	}
	c.CloseNow()
	g.mu.Lock()
	delete(g.conns, id)
	g.mu.Unlock()
	call(Event{Type: Disconnect}) // best effort, as the service's
}

// manage is the management API.
func (g *Gateway) manage(w http.ResponseWriter, r *http.Request) {
	fail := func(status int, kind string) {
		w.Header().Set("X-Amzn-ErrorType", kind)
		w.WriteHeader(status)
	}
	if !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ") {
		fail(http.StatusForbidden, "MissingAuthenticationTokenException")
		return
	}
	c := g.conn(r.PathValue("id"))
	if c == nil {
		fail(http.StatusGone, "GoneException")
		return
	}
	switch r.Method {
	case http.MethodPost:
		data, err := io.ReadAll(io.LimitReader(r.Body, maxMessage+1))
		if err != nil || len(data) > maxMessage {
			fail(http.StatusRequestEntityTooLarge, "PayloadTooLargeException")
			return
		}
		g.count(1) // before the client can have it
		if c.Write(r.Context(), websocket.MessageText, data) != nil {
			g.count(-1)
			fail(http.StatusGone, "GoneException")
		}
	case http.MethodDelete:
		c.CloseNow()
		w.WriteHeader(http.StatusNoContent)
	default:
		fail(http.StatusMethodNotAllowed, "MethodNotAllowedException")
	}
}

func (g *Gateway) count(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.posts += n
}

// HTTP is the integration with the three routes of socket.Gateway.Handler of a
// server at base, with the request parameters that it documents.
func HTTP(base, secret string) Integration {
	path := map[string]string{Connect: "/gateway/connect", Message: "/gateway/message", Disconnect: "/gateway/disconnect"}
	return func(ctx context.Context, e Event) (int, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, base+path[e.Type], bytes.NewReader(e.Body))
		if err != nil {
			return 0, err
		}
		r.Header.Set("X-Gateway-Secret", secret)
		r.Header.Set("X-Connection-Id", e.ConnectionID)
		r.Header.Set("X-Source-Ip", e.Address)
		for _, name := range []string{"Origin", "X-Api-Key", "Authorization"} {
			if value := e.Header.Get(name); value != "" {
				r.Header.Set(name, value)
			}
		}
		if ticket := e.Query.Get("ticket"); ticket != "" {
			r.URL.RawQuery = url.Values{"ticket": {ticket}}.Encode()
		}
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			return 0, fmt.Errorf("calling the integration: %w", err)
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode, err
	}
}
