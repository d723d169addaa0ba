package bedrocktest

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/textproto"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/mangaassist/bedrockkit"
)

// A Recorder is an HTTP client that passes requests on and keeps what goes over
// the wire, to be replayed later. It is put around the client of a real
// configuration:
//
//	rec := bedrocktest.NewRecorder(cfg.HTTPClient)
//	cfg.HTTPClient = rec
//	… // talk to Bedrock
//	os.WriteFile("testdata/greeting.txtar", rec.Capture().Text(), 0o644)
//
// What authenticates is not kept: of the headers only those that describe the
// content are, of the query nothing that signs, and the account numbers in ARNs
// and of the owners of buckets are replaced. Prompts and answers are kept, for
// that is what is recorded. A bidirectional stream passes and is not recorded.
// Its methods may be called by many goroutines.
type Recorder struct {
	next interface {
		Do(*http.Request) (*http.Response, error)
	}
	mu        sync.Mutex
	exchanges []*Exchange
}

// NewRecorder records what goes through next, such as aws.Config.HTTPClient or
// an [http.Client]. Nil is http.DefaultClient.
func NewRecorder(next interface {
	Do(*http.Request) (*http.Response, error)
}) *Recorder {
	if next == nil {
		next = http.DefaultClient
	}
	return &Recorder{next: next}
}

// maxRecorded bounds a body that is recorded, in bytes.
const maxRecorded = 64 << 20

// Do sends a request and records it. The body must have at most 64 MiB.
func (rec *Recorder) Do(r *http.Request) (*http.Response, error) {
	path := r.URL.EscapedPath()
	if rt, _, _ := match(r.Method, path); rt.op == bedrockkit.OpInvokeModelWithBidirectionalStream {
		return rec.next.Do(r) // its body lasts as long as the session
	}
	e := &Exchange{Method: r.Method, Path: string(redact([]byte(path))), Query: keptQuery(r.URL.Query()), RequestHeader: kept(r.Header)}
	if r.Body != nil && r.Body != http.NoBody {
		body, err := io.ReadAll(io.LimitReader(r.Body, maxRecorded+1))
		r.Body.Close()
		if err != nil {
			return nil, err
		}
		if len(body) > maxRecorded {
			return nil, fmt.Errorf("bedrocktest: recording %s %s: the request's body has more than %d bytes", r.Method, path, maxRecorded)
		}
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(body))
		e.Request = redact(body)
	}
	resp, err := rec.next.Do(r)
	if err != nil {
		return nil, err
	}
	e.Status, e.ResponseHeader = resp.StatusCode, kept(resp.Header)
	rec.mu.Lock()
	rec.exchanges = append(rec.exchanges, e)
	rec.mu.Unlock()
	resp.Body = &tee{ReadCloser: resp.Body, rec: rec, e: e}
	return resp, nil
}

// tee keeps what is read of a response.
type tee struct {
	io.ReadCloser
	rec *Recorder
	e   *Exchange
}

func (t *tee) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	t.rec.mu.Lock()
	if len(t.e.Response)+n <= maxRecorded {
		t.e.Response = append(t.e.Response, p[:n]...)
	}
	t.rec.mu.Unlock()
	return n, err
}

// Capture is what was recorded so far.
func (rec *Recorder) Capture() *Capture {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	c := &Capture{}
	for _, e := range rec.exchanges {
		copied := *e
		copied.Response = redact(slices.Clone(e.Response))
		c.Exchanges = append(c.Exchanges, &copied)
	}
	return c
}

// kept are the headers that describe the content.
func kept(h http.Header) http.Header {
	out := http.Header{}
	for key, values := range h {
		switch key = textproto.CanonicalMIMEHeaderKey(key); {
		case key == "Content-Type", key == "Accept", key == "Retry-After", key == "Content-Encoding",
			key == "X-Amzn-Errortype", key == "X-Amzn-Requestid", strings.HasPrefix(key, "X-Amzn-Bedrock-"):
			for _, v := range values {
				out.Add(key, string(redact([]byte(v))))
			}
		}
	}
	return out
}

// keptQuery is a query without what signs a URL, in the order of its keys.
func keptQuery(q url.Values) string {
	q = maps.Clone(q)
	maps.DeleteFunc(q, func(key string, _ []string) bool { return strings.HasPrefix(strings.ToLower(key), "x-amz-") })
	return string(redact([]byte(q.Encode())))
}

var accountNumber = regexp.MustCompile(`((?i:arn(?::|%3A)aws[a-z-]*(?::|%3A)[a-z0-9-]*(?::|%3A)[a-z0-9-]*(?::|%3A))|"(?:b|s3B)ucketOwner"\s*:\s*")\d{12}`)

// redact replaces account numbers. A stream is taken apart for it, because its
// frames hold checksums and its chunks base64.
func redact(b []byte) []byte {
	if events, ok := decodeEvents(b); ok {
		if accountNumber.Match(events) {
			b, _ = encodeEvents(accountNumber.ReplaceAll(events, []byte("${1}"+accountID)))
		}
		return b
	}
	return accountNumber.ReplaceAll(b, []byte("${1}"+accountID))
}
