package pricing

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"time"
)

// Spend is what requests have used, or may use at most.
type Spend struct {
	Cost   Amount // in US dollars
	Tokens int64  // of input and output together
}

// maxSpend is the most that is counted: more is a mistake, and sums of it could
// overflow.
var maxSpend = Spend{Cost: maxEntryCost, Tokens: 1e15}

// Add returns the sum of s and t. If the tokens exceed an int64, they are its maximum.
func (s Spend) Add(t Spend) Spend {
	sum := Spend{Cost: s.Cost.Add(t.Cost), Tokens: s.Tokens + t.Tokens}
	if s.Tokens > 0 && t.Tokens > 0 && sum.Tokens < 0 {
		sum.Tokens = math.MaxInt64
	}
	return sum
}

func (s Spend) sub(t Spend) Spend { return Spend{s.Cost.Sub(t.Cost), s.Tokens - t.Tokens} }

// Check returns an error if s is negative or more than can be counted: a
// trillion dollars or 10¹⁵ tokens.
func (s Spend) Check() error {
	if s.Cost.Sign() < 0 || s.Tokens < 0 || s.Cost.Cmp(maxSpend.Cost) > 0 || s.Tokens > maxSpend.Tokens {
		return fmt.Errorf("%w: $%s and %d tokens cannot be counted", ErrInvalidUsage, s.Cost, s.Tokens)
	}
	return nil
}

// A Unit is the unit of a [Budget].
type Unit int

// The units of a [Budget].
const (
	Dollars Unit = iota
	Tokens
)

// exceeds reports whether s is more than limit, in the unit.
func (u Unit) exceeds(s, limit Spend) bool {
	if u == Tokens {
		return s.Tokens > limit.Tokens
	}
	return s.Cost.Cmp(limit.Cost) > 0
}

// Text returns s in the unit, such as "$0.25" or "900 tokens".
func (u Unit) Text(s Spend) string {
	if u == Tokens {
		return fmt.Sprintf("%d tokens", s.Tokens)
	}
	return "$" + s.Cost.String()
}

// A Budget bounds what a group of requests may use, in US dollars or in tokens: the
// requests of a conversation, a tenant or a day. Before a request is sent, Reserve
// reserves the most that it can use. Afterwards, Settle replaces that by what it used.
// So requests at the same time cannot exceed the budget. Package bedrockx does both
// for the budgets in its options.
//
// A budget is in the memory of the process. It is safe for concurrent use.
type Budget struct {
	limit  Spend
	unit   Unit
	period time.Duration // 0: for ever

	mu       sync.Mutex
	began    time.Time // of the period
	spent    Spend
	reserved Spend
}

const day24 = 24 * time.Hour

// NewBudget returns a budget of limit US dollars, which is never reset.
func NewBudget(limit Amount) *Budget { return &Budget{limit: Spend{Cost: limit}} }

// NewDailyBudget returns a budget of limit US dollars that is reset each day at 00:00
// UTC. What is reserved at that moment counts for the new day.
func NewDailyBudget(limit Amount) *Budget {
	return &Budget{limit: Spend{Cost: limit}, period: day24}
}

// NewTokenBudget returns a budget of limit tokens, of input and output together, which
// is never reset. It needs no prices.
func NewTokenBudget(limit int64) *Budget { return &Budget{limit: Spend{Tokens: limit}, unit: Tokens} }

// NewDailyTokenBudget returns a budget of limit tokens, of input and output together,
// that is reset each day like that of [NewDailyBudget].
func NewDailyTokenBudget(limit int64) *Budget {
	return &Budget{limit: Spend{Tokens: limit}, unit: Tokens, period: day24}
}

// Unit returns the unit of the budget.
func (b *Budget) Unit() Unit { return b.unit }

// Spent returns what was spent so far, in US dollars. For a daily budget, it is what
// was spent on this day in UTC. For a budget of tokens, it is the part whose cost is
// known.
func (b *Budget) Spent() Amount { return b.now().Cost }

// SpentTokens returns what was spent so far, in tokens of input and output together.
// For a daily budget, it is what was spent on this day in UTC.
func (b *Budget) SpentTokens() int64 { return b.now().Tokens }

func (b *Budget) now() Spend {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.roll()
	return b.spent
}

// Remaining returns what is not spent and not reserved, in US dollars. It is 0 for a
// budget of tokens. It is negative if requests used more than was reserved for them.
func (b *Budget) Remaining() Amount {
	if b.unit != Dollars {
		return Amount{}
	}
	return b.left().Cost
}

// RemainingTokens returns what is not spent and not reserved, in tokens. It is 0 for a
// budget of dollars.
func (b *Budget) RemainingTokens() int64 {
	if b.unit != Tokens {
		return 0
	}
	return b.left().Tokens
}

func (b *Budget) left() Spend {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.roll()
	return b.remains()
}

// remains is what is not spent and not set aside. The budget is locked.
func (b *Budget) remains() Spend { return b.limit.sub(b.spent.Add(b.reserved)) }

// roll begins a new period if the old one is over. What is set aside stays so:
// it will be spent in the new one.
func (b *Budget) roll() {
	if b.period == 0 {
		return
	}
	if began := time.Now().UTC().Truncate(b.period); began.After(b.began) {
		b.began, b.spent = began, Spend{}
	}
}

// ErrOverBudget is the error of a request that may use more than the budget has left.
var ErrOverBudget = errors.New("over budget")

// overBudget is an ErrOverBudget with its numbers.
type overBudget struct {
	bound, left, limit Spend
	unit               Unit
}

func (e *overBudget) Error() string {
	return fmt.Sprintf("the call may take up to %s, and %s of %s are left", e.unit.Text(e.bound), e.unit.Text(e.left), e.unit.Text(e.limit))
}

func (e *overBudget) Is(target error) bool { return target == ErrOverBudget }

// Reserve reserves the most that a request can use. It returns [ErrOverBudget] if less
// than that is left, and [ErrInvalidUsage] if bound is negative or more than can be
// counted. After an error nothing is reserved.
func (b *Budget) Reserve(bound Spend) error {
	if err := bound.Check(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.roll()
	if left := b.remains(); b.unit.exceeds(bound, left) {
		return &overBudget{bound: bound, left: left, limit: b.limit, unit: b.unit}
	}
	b.reserved = b.reserved.Add(bound)
	return nil
}

// Settle replaces what was reserved for a request, by one or more calls of Reserve, by
// what was spent.
func (b *Budget) Settle(reserved, spent Spend) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.roll()
	b.reserved = b.reserved.sub(reserved)
	b.spent = b.spent.Add(spent)
}
