package pricing

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/mangaassist/bedrockkit"
)

// Entry is one request, for a [Ledger].
type Entry struct {
	Tenant string             // who pays; may be empty
	Model  bedrockkit.ModelID // as it was called
	Time   time.Time          // of the request; the zero time is now
	Usage  bedrockkit.Usage
	Cost   Amount // from 0 to a trillion dollars

	// Unpriced means that the cost is a lower bound, as in an [UnpricedError].
	Unpriced bool
}

// Sum is what one tenant used of one model on one day.
type Sum struct {
	Tenant   string             `json:"tenant,omitempty"`
	Model    bedrockkit.ModelID `json:"model"`
	Day      string             `json:"day"` // YYYY-MM-DD, in UTC
	Requests int64              `json:"requests"`
	Unpriced int64              `json:"unpriced,omitempty"` // requests whose cost is not, or only partly, in Cost
	Usage    bedrockkit.Usage   `json:"usage"`
	Cost     Amount             `json:"cost"`
}

// LedgerOptions are the options of [NewLedger].
type LedgerOptions struct {
	// MaxSums bounds how many sums are kept. Default: 100,000.
	MaxSums int
}

// Ledger sums costs by tenant, model and day, exactly. It is safe for concurrent use.
// Its JSON is the list of its sums. [Ledger.Merge] adds them to another ledger.
type Ledger struct {
	max int

	mu   sync.Mutex
	sums map[ledgerKey]*Sum
}

type ledgerKey struct {
	tenant string
	model  bedrockkit.ModelID
	day    int32
}

// ErrLedgerFull is the error of an entry or a sum that would exceed MaxSums. It was
// not added. [Ledger.Take] makes room.
var ErrLedgerFull = errors.New("ledger is full")

var (
	maxEntryCost = Rate(1e9).Of(1e15).Mul(1e3) // 10¹² dollars
	maxSumCost   = maxEntryCost.Mul(1e3)       // so that a hundred million sums can be added up
)

// NewLedger makes an empty ledger.
func NewLedger(optFns ...func(*LedgerOptions)) *Ledger {
	o := LedgerOptions{}
	for _, fn := range optFns {
		fn(&o)
	}
	if o.MaxSums <= 0 {
		o.MaxSums = 100_000
	}
	return &Ledger{max: o.MaxSums, sums: map[ledgerKey]*Sum{}}
}

// Add adds a request. The errors are [ErrInvalidUsage] and [ErrLedgerFull].
func (l *Ledger) Add(e Entry) error {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	s := Sum{Tenant: e.Tenant, Model: e.Model, Requests: 1, Usage: e.Usage, Cost: e.Cost}
	if e.Unpriced || e.Usage.Unknown {
		s.Unpriced = 1
		s.Usage.Unknown = false // the sum of the others is known; Unpriced counts those that are not
	}
	if err := valid(&e.Usage, nil); err != nil {
		return err
	}
	if e.Cost.Sign() < 0 || e.Cost.Cmp(maxEntryCost) > 0 {
		return fmt.Errorf("%w: a cost of $%s; it is from 0 to a trillion dollars", ErrInvalidUsage, e.Cost)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.add(ledgerKey{e.Tenant, e.Model, day(e.Time)}, &s)
}

// add adds a sum; it has the lock.
func (l *Ledger) add(k ledgerKey, s *Sum) error {
	sum := l.sums[k]
	if sum == nil {
		if len(l.sums) >= l.max {
			return fmt.Errorf("%w: it holds %d sums", ErrLedgerFull, len(l.sums))
		}
		sum = &Sum{Tenant: s.Tenant, Model: s.Model, Day: time.Unix(int64(k.day)*86400, 0).UTC().Format(time.DateOnly)}
	}
	usage := sum.Usage.Add(s.Usage)
	for i, n := range counts(&usage) {
		if n < 0 {
			return fmt.Errorf("%w: the sum of %s overflows", ErrInvalidUsage, dimensions[i])
		}
	}
	switch {
	case s.Requests > math.MaxInt64-sum.Requests || s.Unpriced > math.MaxInt64-sum.Unpriced:
		return fmt.Errorf("%w: the sum of requests overflows", ErrInvalidUsage)
	case s.Cost.Cmp(maxSumCost.Sub(sum.Cost)) > 0:
		return fmt.Errorf("%w: a sum of more than $%s", ErrInvalidUsage, maxSumCost)
	}
	sum.Requests += s.Requests
	sum.Unpriced += s.Unpriced
	sum.Usage = usage
	sum.Cost = sum.Cost.Add(s.Cost)
	l.sums[k] = sum
	return nil
}

// Total returns the cost of everything in the ledger.
func (l *Ledger) Total() Amount {
	l.mu.Lock()
	defer l.mu.Unlock()
	var total Amount
	for _, s := range l.sums {
		total = total.Add(s.Cost)
	}
	return total
}

// Sums returns a copy of the sums, by day, tenant and model.
func (l *Ledger) Sums() []Sum {
	l.mu.Lock()
	list := listed(l.sums)
	l.mu.Unlock()
	return sorted(list)
}

// Take returns the sums and empties the ledger, in one step: no entry is lost
// or counted twice between two calls.
func (l *Ledger) Take() []Sum {
	l.mu.Lock()
	sums := l.sums
	l.sums = map[ledgerKey]*Sum{}
	l.mu.Unlock()
	return sorted(listed(sums))
}

func listed(sums map[ledgerKey]*Sum) []Sum {
	list := make([]Sum, 0, len(sums))
	for _, s := range sums {
		list = append(list, *s)
	}
	return list
}

func sorted(list []Sum) []Sum {
	slices.SortFunc(list, func(a, b Sum) int {
		return cmp.Or(cmp.Compare(a.Day, b.Day), cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Model, b.Model))
	})
	return list
}

// Merge adds sums, such as the sums of another process. It stops at the first error;
// that sum and the sums after it are not added.
func (l *Ledger) Merge(sums []Sum) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range sums {
		s := &sums[i]
		d, err := parseDay(s.Day, 0)
		if err != nil || s.Day == "" {
			return fmt.Errorf("merging sum %d: %q is not a day YYYY-MM-DD", i, s.Day)
		}
		if min(s.Requests, s.Unpriced, int64(s.Cost.Sign()), slices.Min(slices.Collect(values(s.Usage)))) < 0 {
			return fmt.Errorf("merging sum %d: %w: a count is negative", i, ErrInvalidUsage)
		}
		if s.Unpriced > s.Requests {
			return fmt.Errorf("merging sum %d: %w: %d unpriced of %d requests", i, ErrInvalidUsage, s.Unpriced, s.Requests)
		}
		if err := l.add(ledgerKey{s.Tenant, s.Model, d}, s); err != nil {
			return fmt.Errorf("merging sum %d: %w", i, err)
		}
	}
	return nil
}

func values(u bedrockkit.Usage) func(func(int64) bool) {
	c := counts(&u)
	return slices.Values(c[:])
}

// MarshalJSON returns the list of the sums.
func (l *Ledger) MarshalJSON() ([]byte, error) { return json.Marshal(l.Sums()) }
