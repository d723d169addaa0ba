package auth

import (
	"context"
	"errors"
	"math"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A Gate lets callers in.
type Gate struct {
	limits   *Limits
	checkers []Checker
	tickets  TicketStore
}

// NewGate returns a gate for the callers that one of the checkers knows. Without
// a checker everybody may come in, as the same caller and without limits: for a
// server that only its own machine can reach.
func NewGate(limits *Limits, checkers ...Checker) *Gate {
	return &Gate{limits: limits, checkers: checkers, tickets: NewTickets()}
}

// ShareTickets keeps the tickets in a store. It comes before the first request.
func (g *Gate) ShareTickets(store TicketStore) { g.tickets = store }

// Open reports whether everybody may come in.
func (g *Gate) Open() bool { return len(g.checkers) == 0 }

type callerKey struct{}

// WithCaller returns a context whose caller was let in already, by something in
// front such as an API Gateway.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerOf is who sent the request that a context belongs to.
func CallerOf(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}

// Refused is why a request does not come in.
type Refused struct {
	Status  int // 401, 403, 429 or 503
	Message string
	Wait    time.Duration // until it may be tried again; 0 if that does not help
	Daily   bool          // it is the limit of a day
}

func (r *Refused) Error() string { return r.Message }

// Header sets the headers of the response that refuses a request.
func (r *Refused) Header(h http.Header) {
	if r.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="MangaAssist"`)
	}
	if r.Wait > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(r.Wait.Seconds()))))
	}
}

// Handler serves those whom the gate lets in. The others are answered by refuse,
// after the headers have been set.
func (g *Gate) Handler(next http.Handler, refuse func(w http.ResponseWriter, r *http.Request, status int, message string)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		in, refused := g.admit(r, "")
		if refused != nil {
			refused.Header(w.Header())
			refuse(w, r, refused.Status, refused.Message)
			return
		}
		next.ServeHTTP(w, in)
	})
}

// Admit returns a request that opens a connection with its caller, if it may come in:
// by a key, a token or a ticket. [Gate.Handler] takes no ticket.
func (g *Gate) Admit(r *http.Request) (*http.Request, *Refused) {
	return g.admit(r, r.URL.Query().Get("ticket"))
}

func (g *Gate) admit(r *http.Request, ticket string) (*http.Request, *Refused) {
	address := Address(r)
	caller, refused := g.caller(r, ticket, address)
	if refused != nil {
		return nil, refused
	}
	if !g.Open() {
		if wait, ok := g.limits.Allow(caller, address); !ok {
			return nil, tooMany(wait)
		}
	}
	return r.WithContext(WithCaller(r.Context(), caller)), nil
}

func notNow() *Refused {
	return &Refused{Status: http.StatusServiceUnavailable, Message: "Who asks cannot be checked now. Please try again.", Wait: 5 * time.Second}
}

func tooMany(wait time.Duration) *Refused {
	return &Refused{Status: http.StatusTooManyRequests, Message: "Too many requests. Please wait a moment.", Wait: wait}
}

func (g *Gate) caller(r *http.Request, ticket, address string) (Caller, *Refused) {
	if g.Open() {
		return Caller{ID: "local"}, nil
	}
	if ticket != "" {
		c, err := g.tickets.Check(r.Context(), ticket)
		if err == nil {
			return c, g.still(c)
		}
		if !errors.Is(err, ErrDenied) {
			return Caller{}, notNow()
		}
	}
	token := r.Header.Get("X-Api-Key")
	if token == "" {
		token = bearer(r.Header.Get("Authorization"))
	}
	if token != "" {
		for _, checker := range g.checkers {
			c, err := checker.Check(r.Context(), token)
			if err == nil {
				return c, nil
			}
			if !errors.Is(err, ErrDenied) {
				return Caller{}, notNow()
			}
		}
	}
	if wait, ok := g.limits.Suspect(address); !ok {
		return Caller{}, tooMany(wait)
	}
	return Caller{}, &Refused{Status: http.StatusUnauthorized, Message: "An API key is needed, in the header X-Api-Key, or a bearer token."}
}

// Message counts a message of the caller of a context, over a connection from an
// address that was admitted.
func (g *Gate) Message(ctx context.Context, address string) *Refused {
	if g.Open() {
		return nil
	}
	caller := CallerOf(ctx)
	if refused := g.still(caller); refused != nil {
		return refused
	}
	if wait, ok := g.limits.Allow(caller, address); !ok {
		return tooMany(wait)
	}
	return nil
}

// still refuses a caller who was let in before and would not be now: the token has
// expired, or the key was revoked.
func (g *Gate) still(c Caller) *Refused {
	if !c.Expires.IsZero() && time.Now().After(c.Expires) {
		return &Refused{Status: http.StatusUnauthorized, Message: "Your token has expired. Connect again with a new one."}
	}
	revoked := false
	for _, checker := range g.checkers {
		keys, ok := checker.(*Keys)
		if id, isKey := strings.CutPrefix(c.ID, keyPrefix); ok && isKey {
			has, err := keys.has(id)
			if err != nil {
				return notNow()
			}
			if has {
				return nil
			}
			revoked = true
		}
	}
	if revoked {
		return &Refused{Status: http.StatusUnauthorized, Message: "Your key was revoked. Connect again with another one."}
	}
	return nil
}

// Begin counts an answer of the caller of a context; see [Limits.Begin].
func (g *Gate) Begin(ctx context.Context) (end func(), refused *Refused) {
	if g.Open() {
		return func() {}, nil
	}
	return g.limits.Begin(CallerOf(ctx))
}

// Connect counts a WebSocket of the caller of a context; see [Limits.Connect].
func (g *Gate) Connect(ctx context.Context) (closed func(), refused *Refused) {
	if g.Open() {
		return func() {}, nil
	}
	return g.limits.Connect(CallerOf(ctx))
}

// Afford refuses the caller of a context if the dollars of the day are spent.
func (g *Gate) Afford(ctx context.Context) *Refused { return g.limits.Afford(CallerOf(ctx)) }

// Ticket gives the caller of a context a ticket.
func (g *Gate) Ticket(ctx context.Context) (string, error) {
	return g.tickets.Issue(ctx, CallerOf(ctx))
}

// Address is the one that a request comes from: the connection's, as a header
// can say anything. An IPv6 address stands for its /64, which one customer has.
func Address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	ip := net.ParseIP(host)
	if ip == nil || ip.To4() != nil {
		return host
	}
	return ip.Mask(net.CIDRMask(64, 128)).String() + "/64"
}
