package redisresume

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mangaassist/bedrockkit/stream"
	"github.com/mangaassist/bedrockkit/stream/resume"
)

// Options are the options of a [Log]. The zero value of a field means its default.
type Options struct {
	// Prefix is the beginning of all key names. The default is "bedrockkit:resume:".
	Prefix string

	// Timeout bounds each operation, including dialing a connection, but not the time
	// that a reader waits. The default is 1 s.
	Timeout time.Duration
}

// Client is what a [Log] calls. [*redis.Client] and [*redis.ClusterClient]
// implement it.
type Client interface {
	redis.Scripter
	XRead(context.Context, *redis.XReadArgs) *redis.XStreamSliceCmd
}

// Log is a [resume.Log] in Redis. It is safe for concurrent use.
type Log struct {
	client  Client
	options Options
	lanes   [lanes]lane
}

var _ resume.Log = (*Log)(nil)

// New returns a log that uses a client. It returns an error if the client is a
// go-redis client without ContextTimeoutEnabled, because such a client uses only its
// own timeout of several seconds.
func New(client Client, optFns ...func(*Options)) (*Log, error) {
	if !heedsContext(client) {
		return nil, errors.New("redisresume: the client does not heed the timeouts of contexts; make it with ContextTimeoutEnabled: true")
	}
	var o Options
	for _, fn := range optFns {
		fn(&o)
	}
	if o.Prefix == "" {
		o.Prefix = "bedrockkit:resume:"
	}
	if o.Timeout <= 0 {
		o.Timeout = time.Second
	}
	l := &Log{client: client, options: o}
	for i := range l.lanes {
		l.lanes[i].init()
	}
	return l, nil
}

func heedsContext(client Client) bool {
	switch c := client.(type) {
	case *redis.Client:
		return c.Options().ContextTimeoutEnabled
	case *redis.ClusterClient:
		return c.Options().ContextTimeoutEnabled
	case *redis.Ring:
		return c.Options().ContextTimeoutEnabled
	}
	return true // one of the caller's own
}

//go:embed resume.lua
var source string

var script = redis.NewScript(source)

// pageSize bounds the messages of a page.
const pageSize = 256

// Begin implements [resume.Log].
func (l *Log) Begin(ctx context.Context, c resume.Claim) error {
	_, err := l.run(ctx, "begin", c.ID, c.Owner, c.Lease.Milliseconds(), c.Keep.Milliseconds())
	return err
}

// Append implements [resume.Log].
func (l *Log) Append(ctx context.Context, c resume.Claim, messages ...stream.Message) (resume.Status, error) {
	args := []any{c.Owner, c.Lease.Milliseconds(), c.Keep.Milliseconds()}
	for _, m := range messages {
		data, err := json.Marshal(m)
		if err != nil {
			return resume.Status{}, err
		}
		last := ""
		if m.Last() {
			last = "last"
		}
		args = append(args, m.Sequence, data, last)
	}
	reply, err := l.run(ctx, "append", c.ID, args...)
	if err != nil {
		return resume.Status{}, err
	}
	return resume.Status{Stopped: reply.int(1) == 1, Unread: time.Duration(reply.int(2)) * time.Millisecond}, nil
}

// Read implements [resume.Log].
func (l *Log) Read(ctx context.Context, id string, after int64, wait time.Duration) (resume.Page, error) {
	after = max(0, after)
	for deadline := time.Now().Add(wait); ; {
		left := max(0, time.Until(deadline))
		reply, err := l.run(ctx, "read", id, after, pageSize, left.Milliseconds(), interrupted)
		if err != nil {
			return resume.Page{}, err
		}
		messages, err := reply.messages(3)
		if err != nil {
			return resume.Page{}, fmt.Errorf("redisresume: read: %w", err)
		}
		if n := len(messages); n > 0 {
			return resume.Page{Messages: messages, Ended: messages[n-1].Last()}, nil
		}
		if ended := reply.int(1) > 0; ended || left == 0 {
			return resume.Page{Ended: ended}, nil
		}
		// Not longer than the lease: then someone has to see that it has run out.
		lease := time.Duration(reply.int(2))*time.Millisecond + time.Millisecond
		if err := l.wait(ctx, id, after, min(left, lease)); err != nil {
			return resume.Page{}, err
		}
	}
}

// Stop implements [resume.Log].
func (l *Log) Stop(ctx context.Context, id string) error {
	_, err := l.run(ctx, "stop", id)
	return err
}

// interrupted is the message of an owner that is gone, with a verb for its
// sequence.
var interrupted = func() string {
	data, err := json.Marshal(resume.Interrupted(-1))
	if err != nil {
		panic(err)
	}
	return strings.Replace(string(data), "-1", "%.0f", 1)
}()

// keys are those of an answer. What is in braces says where they are in a
// cluster: the answers of a lane are together, so that one XREAD waits for all.
func (l *Log) keys(id string) (meta, log string) {
	meta = l.options.Prefix + "{" + strconv.Itoa(laneOf(id)) + "}" + url.PathEscape(id)
	return meta, meta + " log" // no id has a space once it is escaped
}

func laneOf(id string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id))
	return int(h.Sum32() % lanes)
}

// run calls the script within its time and says what went wrong.
func (l *Log) run(ctx context.Context, op, id string, args ...any) (reply, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	meta, log := l.keys(id)
	bounded, cancel := context.WithTimeout(ctx, l.options.Timeout)
	defer cancel()
	got, err := script.Run(bounded, l.client, []string{meta, log}, append([]any{op}, args...)...).Slice()
	r := reply(got)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, fmt.Errorf("redisresume: %s: %w", op, err)
	case len(r) == 0:
		return nil, fmt.Errorf("redisresume: %s: the script returned nothing", op)
	}
	switch r[0] {
	case int64(0):
		return r, nil
	case "exists":
		return nil, resume.ErrExists
	case "lost":
		return nil, resume.ErrLost
	case "unknown":
		return nil, resume.ErrUnknown
	case "gap":
		return nil, fmt.Errorf("%w: after %v; it has 1 to %d", stream.ErrGap, args[0], r.int(1))
	case "missing":
		return nil, fmt.Errorf("redisresume: append: a message is missing after %d", r.int(1))
	}
	return nil, fmt.Errorf("redisresume: %s: the script returned %v", op, r[0])
}

// reply is what the script returned.
type reply []any

// int is a value that Lua returned as a number or as a text of one; 0 if it is
// not there.
func (r reply) int(i int) int64 {
	if i >= len(r) {
		return 0
	}
	switch v := r[i].(type) {
	case int64:
		return v
	case string:
		n, _ := strconv.ParseInt(v, 10, 64)
		return n
	}
	return 0
}

func (r reply) messages(i int) ([]stream.Message, error) {
	if i >= len(r) {
		return nil, errors.New("the script returned no messages")
	}
	entries, _ := r[i].([]any)
	messages := make([]stream.Message, len(entries))
	for j, e := range entries {
		text, _ := e.(string)
		if err := json.Unmarshal([]byte(text), &messages[j]); err != nil {
			return nil, fmt.Errorf("a message is not JSON: %w", err)
		}
	}
	return messages, nil
}
