package webhook

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// resolver answers each question for an IPv4 address with the next of these; the
// last one stays. It speaks DNS over a pipe.
func resolver(addresses ...string) *net.Resolver {
	var asked atomic.Int64
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			defer server.Close()
			for {
				var size [2]byte
				if _, err := io.ReadFull(server, size[:]); err != nil {
					return
				}
				query := make([]byte, binary.BigEndian.Uint16(size[:]))
				if _, err := io.ReadFull(server, query); err != nil {
					return
				}
				end := 12
				for query[end] != 0 {
					end += int(query[end]) + 1
				}
				end += 5 // the root, type and class
				answer := append([]byte{}, query[:end]...)
				copy(answer[2:12], []byte{0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0})
				if query[end-3] == 1 { // type A
					n := int(asked.Add(1))
					ip := netip.MustParseAddr(addresses[min(n, len(addresses))-1]).As4()
					answer[7] = 1
					answer = append(answer, 0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
					answer = append(answer, ip[:]...)
				}
				if _, err := server.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
					return
				}
			}
		}()
		return client, nil
	}}
}

// What is not public is refused when it is dialled, however it is named; nothing
// reaches the server, which listens there.
func TestRefused(t *testing.T) {
	s := newSite(t, status(200))
	none := func(o *Options) { o.AllowPrefixes = nil }
	for name, tt := range map[string]struct {
		url    string
		optFns []func(*Options)
	}{
		"loopback":            {s.url(t, "127.0.0.1"), nil},
		"loopback, IPv6":      {s.url(t, "::1"), nil},
		"loopback, mapped":    {s.url(t, "::ffff:127.0.0.1"), nil},
		"all addresses":       {s.url(t, "0.0.0.0"), nil},
		"all addresses, IPv6": {s.url(t, "::"), nil},
		"loopback, NAT64":     {s.url(t, "64:ff9b::127.0.0.1"), nil},
		"loopback, 6to4":      {s.url(t, "2002:7f00:1::"), nil},
		"loopback, a zone":    {s.url(t, "::1%25lo"), nil},
		"by name, mapped":     {s.url(t, "example.com"), []func(*Options){func(o *Options) { o.Resolver = resolver("::ffff:10.0.0.1") }}},
		"private":             {s.url(t, "10.0.0.1"), nil},
		"private, 172.16/12":  {s.url(t, "172.16.0.1"), nil},
		"private, 192.168/16": {s.url(t, "192.168.1.1"), nil},
		"shared":              {s.url(t, "100.64.0.1"), nil},
		"link-local metadata": {s.url(t, "169.254.169.254"), nil},
		"link-local, IPv6":    {s.url(t, "fe80::1"), nil},
		"unique local, IPv6":  {s.url(t, "fd00:ec2::254"), nil},
		"by name":             {s.url(t, "example.com"), []func(*Options){func(o *Options) { o.Resolver = resolver("127.0.0.1") }}},
		"by name, private":    {s.url(t, "example.com"), []func(*Options){func(o *Options) { o.Resolver = resolver("192.168.0.10") }}},
		"localhost":           {s.url(t, "localhost"), nil},
		"another port":        {"https://127.0.0.1:1/", nil},
		"not https":           {"http://127.0.0.1/", nil},
		"a user":              {"https://user:canary@127.0.0.1/", nil},
		"no host":             {"https:///path", nil},
		"no URL":              {"https://[::1", nil},
		"too long":            {"https://127.0.0.1/" + strings.Repeat("x", 2048), nil},
		"not allowed":         {s.url(t, "127.0.0.1"), []func(*Options){func(o *Options) { o.Allow = func(context.Context, string) error { return errors.New("unknown") } }}},
	} {
		t.Run(name, func(t *testing.T) {
			s.store = NewMemoryStore()
			d := s.deliverer(t, append([]func(*Options){none}, tt.optFns...)...)
			require.NoError(t, d.Notify(t.Context(), note(tt.url)))
			_, err := d.Deliver(t.Context())
			require.NoError(t, err)
			end := s.delivery(t)
			assert.Equal(t, Failed, end.State)
			assert.Equal(t, "refused", end.LastError)
		})
	}
	assert.Zero(t, s.hits.Load())
}

// A redirect is an answer like another that is not 2xx, and is not followed.
func TestRedirect(t *testing.T) {
	inner := newSite(t, status(200))
	s := newSite(t, http.RedirectHandler(inner.URL, http.StatusTemporaryRedirect))
	d := s.deliverer(t, func(o *Options) {
		o.Ports = append(o.Ports, inner.port(t)) // so that following would succeed
	})
	require.NoError(t, d.Notify(t.Context(), note(s.url(t, "127.0.0.1"))))
	for range 4 {
		_, err := d.Deliver(t.Context())
		require.NoError(t, err)
	}
	assert.EqualValues(t, 3, s.hits.Load())
	assert.Zero(t, inner.hits.Load())
	assert.Equal(t, Failed, s.delivery(t).State)
	assert.Equal(t, 307, s.delivery(t).LastStatus)
}

// The name of a receiver that answers well, and then leads elsewhere.
func TestRebinding(t *testing.T) {
	s := newSite(t, status(500))
	d := s.deliverer(t, func(o *Options) { o.Resolver = resolver("127.0.0.1", "127.0.0.2") })
	require.NoError(t, d.Notify(t.Context(), note(s.url(t, "example.com"))))
	_, err := d.Deliver(t.Context())
	require.NoError(t, err)
	assert.EqualValues(t, 1, s.hits.Load(), "127.0.0.1 is allowed here, as a public address is elsewhere")
	assert.Equal(t, Pending, s.delivery(t).State)
	_, err = d.Deliver(t.Context())
	require.NoError(t, err)
	assert.EqualValues(t, 1, s.hits.Load())
	assert.Equal(t, "refused", s.delivery(t).LastError)
	assert.Equal(t, Failed, s.delivery(t).State)
}

func TestGone(t *testing.T) {
	s := newSite(t, status(http.StatusGone))
	d := s.deliverer(t)
	require.NoError(t, d.Notify(t.Context(), note(s.url(t, "127.0.0.1"))))
	_, err := d.Deliver(t.Context())
	require.NoError(t, err)
	assert.Equal(t, Gone, s.delivery(t).State)
	require.Len(t, s.ended, 1)
	assert.Equal(t, s.url(t, "127.0.0.1"), s.ended[0].URL)
}

// A body without an end is not read to its end.
func TestEndlessResponse(t *testing.T) {
	s := newSite(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	}))
	d := s.deliverer(t)
	require.NoError(t, d.Notify(t.Context(), note(s.url(t, "127.0.0.1"))))
	_, err := d.Deliver(t.Context())
	require.NoError(t, err)
	assert.Equal(t, Delivered, s.delivery(t).State)
}

func TestWords(t *testing.T) {
	s := newSite(t, status(200))
	for want, tt := range map[string]func(*Options){
		"certificate": func(o *Options) { o.RootCAs = nil },
		"timeout":     func(o *Options) { o.Timeout = time.Nanosecond },
	} {
		s.store = NewMemoryStore()
		d := s.deliverer(t, tt)
		require.NoError(t, d.Notify(t.Context(), note(s.url(t, "127.0.0.1"))))
		_, err := d.Deliver(t.Context())
		require.NoError(t, err)
		assert.Equal(t, want, s.delivery(t).LastError)
		assert.Equal(t, Pending, s.delivery(t).State)
	}
}
