package auth_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/examples/chatserver/auth"
	"github.com/mangaassist/bedrockkit/pricing"
)

func TestKeys(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys.json")
	keys, err := auth.OpenKeys(file)
	require.NoError(t, err)
	key, err := keys.Add("partner 漫画")
	require.NoError(t, err)
	other, err := keys.Add("partner 漫画")
	require.NoError(t, err)
	caller, err := keys.Check(t.Context(), key)
	require.NoError(t, err)
	assert.Equal(t, "partner 漫画", caller.Name)
	assert.Equal(t, "key "+key[4:12], caller.ID)

	data, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.NotContains(t, string(data), key[13:], "the secret is not stored")
	info, err := os.Stat(file)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	for _, wrong := range []string{"", "mak_", key + "A", key[:len(key)-1] + "7", strings.ToLower(key), key[:12] + other[12:]} {
		if wrong == key {
			continue
		}
		_, err := keys.Check(t.Context(), wrong)
		assert.ErrorIs(t, err, auth.ErrDenied, wrong)
	}
	list, err := keys.List()
	require.NoError(t, err)
	assert.Len(t, list, 2)

	// Another process revokes it.
	elsewhere, err := auth.OpenKeys(file)
	require.NoError(t, err)
	require.NoError(t, elsewhere.Revoke(key[4:12]))
	require.ErrorContains(t, elsewhere.Revoke("nobody"), `no key has the id "nobody"`)
	require.Eventually(t, func() bool { _, err := keys.Check(t.Context(), key); return err != nil }, 5*time.Second, 20*time.Millisecond)
	_, err = keys.Check(t.Context(), other)
	require.NoError(t, err)

	_, err = keys.Add("a\nb")
	require.Error(t, err)
	require.NoError(t, os.WriteFile(file, []byte("{"), 0o600))
	_, err = auth.OpenKeys(file)
	require.ErrorContains(t, err, "reading the keys")
}

func TestTickets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tickets := auth.NewTickets()
		who := auth.Caller{ID: "key A"}
		id, err := tickets.Issue(t.Context(), who)
		require.NoError(t, err)
		got, err := tickets.Check(t.Context(), id)
		require.NoError(t, err)
		assert.Equal(t, who, got)
		_, err = tickets.Check(t.Context(), id)
		require.ErrorIs(t, err, auth.ErrDenied, "it is good once")

		id, _ = tickets.Issue(t.Context(), who)
		time.Sleep(31 * time.Second)
		_, err = tickets.Check(t.Context(), id)
		require.ErrorIs(t, err, auth.ErrDenied, "for half a minute")

		for range 10_000 {
			_, err = tickets.Issue(t.Context(), who)
			require.NoError(t, err)
		}
		_, err = tickets.Issue(t.Context(), who)
		require.Error(t, err, "there is a bound")
		time.Sleep(time.Minute)
		_, err = tickets.Issue(t.Context(), who)
		require.NoError(t, err)
	})
}

func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := auth.NewLimits(func(o *auth.LimitOptions) {
			o.PerMinute, o.Burst, o.PerAddress, o.Answers, o.Remember = 60, 3, 600, 2, 1000
		})
		a, b := auth.Caller{ID: "a"}, auth.Caller{ID: "b"}
		for range 3 {
			_, ok := l.Allow(a, "192.0.2.1")
			require.True(t, ok)
		}
		wait, ok := l.Allow(a, "192.0.2.2")
		require.False(t, ok, "from another address it is the same caller")
		assert.InDelta(t, time.Second, wait, float64(10*time.Millisecond))
		_, ok = l.Allow(b, "192.0.2.1")
		require.True(t, ok)
		time.Sleep(wait)
		_, ok = l.Allow(a, "192.0.2.1")
		require.True(t, ok, "after the wait that was told")

		end, refused := l.Begin(a)
		require.Nil(t, refused)
		_, refused = l.Begin(a)
		require.Nil(t, refused)
		_, refused = l.Begin(a)
		require.NotNil(t, refused)
		assert.Equal(t, 429, refused.Status)
		_, refused = l.Begin(b)
		require.Nil(t, refused)
		end()
		end() // counts once
		_, refused = l.Begin(a)
		require.Nil(t, refused)
		_, refused = l.Begin(a)
		require.NotNil(t, refused)
	})
}

func TestSockets(t *testing.T) {
	l := auth.NewLimits(func(o *auth.LimitOptions) { o.Sockets = 1 })
	closed, refused := l.Connect(auth.Caller{ID: "a"})
	require.Nil(t, refused)
	_, refused = l.Connect(auth.Caller{ID: "a"})
	require.NotNil(t, refused)
	assert.Equal(t, 429, refused.Status)
	_, refused = l.Connect(auth.Caller{ID: "b"})
	require.Nil(t, refused, "another caller")
	_, refused = l.Begin(auth.Caller{ID: "a"})
	require.Nil(t, refused, "an answer is no connection")
	closed()
	closed() // counts once
	_, refused = l.Connect(auth.Caller{ID: "a"})
	require.Nil(t, refused)
}

// An address has a bound of its own, whoever calls from it.
func TestAddressLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := auth.NewLimits(func(o *auth.LimitOptions) { o.PerAddress = 30 })
		for i := range 10 {
			_, ok := l.Allow(auth.Caller{ID: fmt.Sprint(i)}, "192.0.2.1")
			require.True(t, ok)
		}
		wait, ok := l.Allow(auth.Caller{ID: "new"}, "192.0.2.1")
		require.False(t, ok)
		_, ok = l.Allow(auth.Caller{ID: "new"}, "192.0.2.2")
		require.True(t, ok)
		time.Sleep(wait)
		_, ok = l.Allow(auth.Caller{ID: "new"}, "192.0.2.1")
		require.True(t, ok)
	})
}

// A hundred thousand strangers take no more memory than the bound says, and those that
// come again and again are not forgotten for it.
func TestLimitsAreBounded(t *testing.T) {
	l := auth.NewLimits(func(o *auth.LimitOptions) { o.PerMinute, o.Burst, o.PerAddress, o.Remember = 1, 1, -1, 100 })
	steady := auth.Caller{ID: "steady"}
	_, ok := l.Allow(steady, "x")
	require.True(t, ok)
	for i := range 100_000 {
		l.Allow(auth.Caller{ID: fmt.Sprint(i)}, "x")
		if i%50 == 0 {
			_, ok := l.Allow(steady, "x")
			require.False(t, ok, "it is remembered")
		}
	}
	_, ok = l.Allow(auth.Caller{ID: "0"}, "x")
	require.True(t, ok, "it was forgotten")
}

// A million random keys, and addresses, take no more memory than the bound says.
func TestLimitsTakeBoundedMemory(t *testing.T) {
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	l := auth.NewLimits(func(o *auth.LimitOptions) { o.Remember, o.Daily = 3_000, pricing.MustAmount("1") })
	visit := func(from, to int) {
		for i := from; i < to; i++ {
			c := auth.Caller{ID: strconv.FormatInt(int64(i)*2654435761, 10)}
			l.Allow(c, "x")
			if i%32 == 0 {
				l.Allow(c, c.ID)
				l.Suspect(c.ID)
				l.Afford(c)
				end, _ := l.Begin(c)
				end()
			}
		}
	}
	visit(0, 100_000)
	before := heap()
	visit(100_000, 1_000_000)
	assert.Less(t, heap()-before, int64(1<<20))
	runtime.KeepAlive(l)
}

// What models cost is counted for the caller who asks, until the day is over.
func TestDailyDollars(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake, err := bedrocktest.New(func(o *bedrocktest.Options) { o.InProcess = true })
		require.NoError(t, err)
		defer fake.Close()
		l := auth.NewLimits(func(o *auth.LimitOptions) { o.Daily = pricing.MustAmount("0.01") })
		chat := converse.New(bedrockx.New(fake.Client(), l.Spend), func(o *converse.Options) {
			o.Model, o.MaxTokens = "us.anthropic.claude-haiku-4-5-20251001-v1:0", 1000 // at most $0.0055 and the question
		})
		a, b := auth.Caller{ID: "a"}, auth.Caller{ID: "b"}
		ask := func(c auth.Caller) error {
			_, err := chat.Send(auth.WithCaller(t.Context(), c), converse.Request{Messages: []converse.Message{converse.User("hello")}})
			return err
		}
		usage := bedrockkit.Usage{InputTokens: 1000, OutputTokens: 500} // $0.00385
		fake.Reply(bedrocktest.Text("x").Usage(usage), bedrocktest.Text("x").Usage(usage))
		require.NoError(t, ask(a))
		require.Nil(t, l.Afford(a))
		require.NoError(t, ask(a))
		err = ask(a)
		require.ErrorIs(t, err, bedrockx.ErrBudget, "what is left does not suffice")
		require.Len(t, fake.Requests(), 2, "the model was not asked")
		fake.Reply(bedrocktest.Text("x"))
		require.NoError(t, ask(b), "the other has a day of its own")

		time.Sleep(23 * time.Hour)
		require.ErrorIs(t, ask(a), bedrockx.ErrBudget)
		time.Sleep(time.Hour)
		fake.Reply(bedrocktest.Text("x").Usage(bedrockkit.Usage{InputTokens: 1000, OutputTokens: 2000})) // more than was set aside
		require.NoError(t, ask(a))
		refused := l.Afford(a)
		require.NotNil(t, refused)
		assert.Equal(t, 429, refused.Status)
		assert.Equal(t, 24*time.Hour, refused.Wait)
		assert.Contains(t, refused.Message, "$0.01")
		require.Nil(t, l.Afford(b))
	})
}

func TestGate(t *testing.T) {
	keys, err := auth.OpenKeys(filepath.Join(t.TempDir(), "keys.json"))
	require.NoError(t, err)
	key, err := keys.Add("partner")
	require.NoError(t, err)
	gate := auth.NewGate(auth.NewLimits(), keys)
	admit := func(change func(*http.Request)) (auth.Caller, *auth.Refused) {
		r := httptest.NewRequest("POST", "/v1/manga/query", nil)
		change(r)
		in, refused := gate.Admit(r)
		if refused != nil {
			return auth.Caller{}, refused
		}
		return auth.CallerOf(in.Context()), nil
	}
	for name, change := range map[string]func(*http.Request){
		"X-Api-Key": func(r *http.Request) { r.Header.Set("X-Api-Key", key) },
		"bearer":    func(r *http.Request) { r.Header.Set("Authorization", "bearer "+key) },
	} {
		c, refused := admit(change)
		require.Nil(t, refused, name)
		assert.Equal(t, "partner", c.Name)
	}
	_, refused := admit(func(r *http.Request) { r.URL.RawQuery = "key=" + key })
	require.NotNil(t, refused, "no key in a URL")
	w := httptest.NewRecorder()
	refused.Header(w.Header())
	assert.Equal(t, 401, refused.Status)
	assert.Contains(t, w.Header().Get("WWW-Authenticate"), "Bearer")

	in, _ := gate.Admit(func() *http.Request {
		r := httptest.NewRequest("POST", "/v1/ticket", nil)
		r.Header.Set("X-Api-Key", key)
		return r
	}())
	ticket, err := gate.Ticket(in.Context())
	require.NoError(t, err)
	c, refused := admit(func(r *http.Request) { r.URL.RawQuery = "ticket=" + ticket })
	require.Nil(t, refused)
	assert.Equal(t, "partner", c.Name)
	_, refused = admit(func(r *http.Request) { r.URL.RawQuery = "ticket=" + ticket })
	require.NotNil(t, refused)

	// Keys cannot be tried out.
	var last *auth.Refused
	for i := range 40 {
		_, last = admit(func(r *http.Request) {
			r.RemoteAddr = fmt.Sprintf("[2001:db8::%x]:1", i) // one customer
			r.Header.Set("X-Api-Key", "mak_AAAAAAAA_AAAAAAAAAAAAAAAAAAAAAAAAAA")
		})
	}
	assert.Equal(t, 429, last.Status)
	assert.Positive(t, last.Wait)

	open := auth.NewGate(auth.NewLimits())
	assert.True(t, open.Open())
	in, refused = open.Admit(httptest.NewRequest("GET", "/", nil))
	require.Nil(t, refused)
	assert.Equal(t, "local", auth.CallerOf(in.Context()).ID)
	assert.Empty(t, auth.CallerOf(context.Background()).ID)
}

func ExampleKeys() {
	dir, _ := os.MkdirTemp("", "keys")
	defer os.RemoveAll(dir)
	keys, _ := auth.OpenKeys(filepath.Join(dir, "keys.json"))
	key, _ := keys.Add("partner")
	caller, err := keys.Check(context.Background(), key)
	fmt.Println(len(key), caller.Name, err)
	_, err = keys.Check(context.Background(), "something else")
	fmt.Println(err)
	// Output:
	// 39 partner <nil>
	// access denied
}

// A ticket opens a connection. It is no key for requests: one could get the next
// ticket with it, for ever.
func TestTicketIsForAConnection(t *testing.T) {
	keys, err := auth.OpenKeys(filepath.Join(t.TempDir(), "keys.json"))
	require.NoError(t, err)
	key, err := keys.Add("partner")
	require.NoError(t, err)
	gate := auth.NewGate(auth.NewLimits(), keys)
	caller, err := keys.Check(t.Context(), key)
	require.NoError(t, err)
	ticket, err := gate.Ticket(auth.WithCaller(t.Context(), caller))
	require.NoError(t, err)

	status := 0
	served := gate.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { status = 200 }),
		func(_ http.ResponseWriter, _ *http.Request, refused int, _ string) { status = refused })
	served.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/v1/ticket?ticket="+ticket, nil))
	assert.Equal(t, 401, status)
	_, refused := gate.Admit(httptest.NewRequest("GET", "/ws?ticket="+ticket, nil))
	assert.Nil(t, refused, "it was not used up")
}

// A key that is revoked ends what it was used for: its tickets, and the messages over
// connections that are open.
func TestRevokedKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "keys.json")
		keys, err := auth.OpenKeys(file)
		require.NoError(t, err)
		key, err := keys.Add("partner")
		require.NoError(t, err)
		fixed, err := auth.ParseKeys([]byte("[]"))
		require.NoError(t, err)
		gate := auth.NewGate(auth.NewLimits(), fixed, keys)
		caller, err := keys.Check(t.Context(), key)
		require.NoError(t, err)
		ctx := auth.WithCaller(t.Context(), caller)
		ticket, err := gate.Ticket(ctx)
		require.NoError(t, err)
		require.Nil(t, gate.Message(ctx, "192.0.2.1"))

		elsewhere, err := auth.OpenKeys(file)
		require.NoError(t, err)
		require.NoError(t, elsewhere.Revoke(key[4:12]))
		time.Sleep(2 * time.Second)
		refused := gate.Message(ctx, "192.0.2.1")
		require.NotNil(t, refused)
		assert.Equal(t, 401, refused.Status)
		_, refused = gate.Admit(httptest.NewRequest("GET", "/ws?ticket="+ticket, nil))
		require.NotNil(t, refused)
		assert.Equal(t, 401, refused.Status)

		require.NoError(t, os.WriteFile(file, []byte("no JSON"), 0o600))
		time.Sleep(2 * time.Second)
		refused = gate.Message(ctx, "192.0.2.1")
		require.NotNil(t, refused)
		assert.Equal(t, 503, refused.Status, "it is not known who was revoked")

		expired := auth.Caller{ID: "jwt iss sub", Expires: time.Now().Add(10 * time.Second)}
		ticket, err = gate.Ticket(auth.WithCaller(t.Context(), expired))
		require.NoError(t, err)
		time.Sleep(11 * time.Second)
		_, refused = gate.Admit(httptest.NewRequest("GET", "/ws?ticket="+ticket, nil))
		require.NotNil(t, refused)
		assert.Equal(t, 401, refused.Status)
	})
}
