package bedrockx

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mangaassist/bedrockkit/cache"
	"github.com/mangaassist/bedrockkit/pricing"
)

// CacheOptions are the options of a [Cache]. The zero value of a field means its
// default.
type CacheOptions struct {
	// Namespace separates the entries of applications and stages that share a store,
	// such as "shop/prod". The default is empty.
	Namespace string

	// Secret makes the keys an HMAC, so that someone who can read the keys of a store
	// cannot find out by trying which prompts are in it; see [cache.NewKeyer]. The
	// default is none.
	Secret []byte

	// TTL is how long an answer is returned again. The default is one hour.
	TTL time.Duration

	// Stale is how long after TTL an old answer is still returned, while a new one is
	// requested in the background. The default is 0, not at all. [Cache.Close] ends
	// the requests in the background.
	Stale time.Duration

	// MaxBytes bounds the size of an entry. A longer answer is not kept. The default
	// is 1 MiB.
	MaxBytes int

	// Pace is the speed at which a hit is streamed, in characters of text a second.
	// The default is 0, all at once.
	Pace float64

	// Ledger records what each hit has saved. The default is none.
	Ledger *pricing.Ledger

	// OnError is called with the errors that no call returns: errors of the store (a
	// [*cache.StoreError]), of the ledger and of a refresh in the background. No error
	// repeats a prompt or an answer. It must be safe for concurrent use. The default
	// does nothing.
	OnError func(ctx context.Context, err error)
}

// A Cache answers calls that were answered before. If many equal calls run at the same
// time, it sends only one. It is a step of the pipeline: see Options.Cache. Clients
// may share one. It is safe for concurrent use.
//
// It keeps only whole answers, and only what [CachePolicy] allows. A streamed answer
// and a unary one are the same to it. If the store fails, the call is sent to the
// model.
type Cache struct {
	store   cache.Store
	keyer   *cache.Keyer
	options CacheOptions

	fills      atomic.Uint64 // entries that flights have stored
	mu         sync.Mutex
	flights    map[cache.Key]*flight
	refreshing map[cache.Key]bool
	stats      CacheStats
	closed     bool

	background context.Context // of refreshes
	stop       context.CancelFunc
	refreshes  sync.WaitGroup
}

// NewCache returns a cache over a store, such as one of package
// cache/memcache.
func NewCache(store cache.Store, optFns ...func(*CacheOptions)) *Cache {
	c := &Cache{store: store, flights: map[cache.Key]*flight{}, refreshing: map[cache.Key]bool{}}
	for _, fn := range optFns {
		fn(&c.options)
	}
	if c.options.TTL <= 0 {
		c.options.TTL = time.Hour
	}
	if c.options.MaxBytes <= 0 {
		c.options.MaxBytes = 1 << 20
	}
	c.options.Stale = min(max(c.options.Stale, 0), math.MaxInt64-c.options.TTL) // both are added
	if c.options.OnError == nil {
		c.options.OnError = func(context.Context, error) {}
	}
	c.keyer = cache.NewKeyer(c.options.Secret)
	c.stats.Misses, c.stats.Unkept = map[CacheReason]uint64{}, map[CacheReason]uint64{}
	c.background, c.stop = context.WithCancel(context.Background())
	return c
}

// Close ends the refreshes in the background, and returns when they have ended. It
// does not close the store. Calls still work, with hits but without refreshes. Only a
// cache with CacheOptions.Stale needs Close.
func (c *Cache) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.stop()
	c.refreshes.Wait()
	return nil
}

// CachePolicy says which answers may be kept and returned again.
type CachePolicy struct {
	// Off sends the call without the cache.
	Off bool

	// Fresh always asks the service, even if the cache has an answer, and keeps the
	// new answer.
	Fresh bool

	// AnyTemperature also keeps the answer to a request with a temperature above 0, or
	// without a temperature. A repeated question then gets the same answer instead of
	// a new one. Embeddings have no temperature and need it too.
	AnyTemperature bool

	// ToolUse also keeps an answer that asks for tools. The tool use ids of a hit are
	// those of the first answer.
	ToolUse bool

	// Outside also keeps an answer that depends on something outside the request that
	// may change: a file in S3 or on another server, a tool that the service runs, a
	// draft of a guardrail, or a prompt of Prompt Management without its version.
	Outside bool

	// Similar finds another question that means the same, so that a call can get its
	// answer; package bedrockx/semantic has one. It is used if the cache has no answer
	// to the question itself. The request must have a single message with only text
	// (in Converse, or in a body with messages), or be a chat of Cohere without a
	// history. Everything else in the two requests must be equal. The default is none.
	Similar Similar

	// Vary is what the answer depends on in addition to the request, such as headers
	// that an SDK option sets.
	Vary []cache.Param
}

// Similar finds questions that mean the same. scope stands for everything else that
// must be equal: the tenant, the model, the system prompt and the rest of the request.
// If Find fails, CacheOptions.OnError gets the error, and the call goes on. It must be
// safe for concurrent use.
type Similar interface {
	// Find returns the key of the answer to a question that means the same as text, or
	// the zero Key if there is none. If the model then answers the call, add is called
	// with the key of that answer, unless add is nil.
	Find(ctx context.Context, scope cache.Key, text string) (key cache.Key, add func(cache.Key) error, err error)
}
