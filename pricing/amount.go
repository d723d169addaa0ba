package pricing

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"math/bits"
	"strings"
)

// Amount is an exact amount of US dollars: a whole number of quadrillionths (10⁻¹⁵
// USD) in 128 bits. That is the cost of one token at a [Rate] of one unit, so a cost
// is never rounded. The zero value is zero dollars. Compare amounts with ==.
//
// In JSON and text an Amount is a decimal string, "0.004672305". Amounts up to
// 10²³ dollars fit; arithmetic beyond that panics.
type Amount struct {
	hi int64
	lo uint64
}

const (
	amountDigits = 15 // decimal places of an Amount
	maxAmountLen = 64 // bytes of text that ParseAmount reads
)

// ErrInvalidAmount is the error of a text that is not a valid amount or rate.
var ErrInvalidAmount = errors.New("invalid decimal")

// ParseAmount reads a decimal number of dollars such as "0.004672305" or
// "-12". It has no exponent and at most 15 decimal places. The error is
// [ErrInvalidAmount].
func ParseAmount(s string) (Amount, error) {
	v, err := parseDecimal(s, amountDigits)
	if err != nil {
		return Amount{}, err
	}
	a, ok := amountOf(v)
	if !ok {
		return Amount{}, fmt.Errorf("%w: %q does not fit; at most 10²³ dollars do", ErrInvalidAmount, s)
	}
	return a, nil
}

// MustAmount is [ParseAmount] for constants. It panics if s is not an amount.
//
//	o.MaxCost = new(pricing.MustAmount("0.05"))
func MustAmount(s string) Amount {
	a, err := ParseAmount(s)
	if err != nil {
		panic("pricing: " + err.Error())
	}
	return a
}

// parseDecimal reads s as a whole number of 10^-places.
func parseDecimal(s string, places int) (*big.Int, error) {
	if len(s) > maxAmountLen {
		return nil, fmt.Errorf("%w: %d bytes, at most %d are read", ErrInvalidAmount, len(s), maxAmountLen)
	}
	digits, neg := strings.CutPrefix(s, "-")
	whole, frac, point := strings.Cut(digits, ".")
	if whole == "" || point && frac == "" || strings.Trim(whole+frac, "0123456789") != "" {
		return nil, fmt.Errorf("%w: %q; a decimal looks like 0.25", ErrInvalidAmount, s)
	}
	frac = strings.TrimRight(frac, "0")
	if len(frac) > places {
		return nil, fmt.Errorf("%w: %q has %d decimal places, at most %d are exact", ErrInvalidAmount, s, len(frac), places)
	}
	v, _ := new(big.Int).SetString(whole+frac+strings.Repeat("0", places-len(frac)), 10)
	if neg {
		v.Neg(v)
	}
	return v, nil
}

func formatDecimal(v *big.Int, places int) string {
	s := new(big.Int).Abs(v).String()
	if len(s) <= places {
		s = strings.Repeat("0", places-len(s)+1) + s
	}
	whole, frac := s[:len(s)-places], strings.TrimRight(s[len(s)-places:], "0")
	if frac != "" {
		whole += "." + frac
	}
	if v.Sign() < 0 {
		whole = "-" + whole
	}
	return whole
}

// amountOf converts a whole number of 10⁻¹⁵ dollars.
func amountOf(v *big.Int) (Amount, bool) {
	if v.BitLen() > 127 {
		return Amount{}, false
	}
	abs := new(big.Int).Abs(v)
	lo := new(big.Int).And(abs, new(big.Int).SetUint64(1<<64-1)).Uint64()
	a := Amount{hi: int64(abs.Rsh(abs, 64).Uint64()), lo: lo}
	if v.Sign() < 0 {
		a = a.Neg()
	}
	return a, true
}

func (a Amount) int() *big.Int {
	v := big.NewInt(a.hi)
	v.Lsh(v, 64)
	return v.Add(v, new(big.Int).SetUint64(a.lo))
}

// Add returns a + b.
func (a Amount) Add(b Amount) Amount {
	lo, carry := bits.Add64(a.lo, b.lo, 0)
	hi, _ := bits.Add64(uint64(a.hi), uint64(b.hi), carry)
	if (a.hi < 0) == (b.hi < 0) && (a.hi < 0) != (int64(hi) < 0) {
		panic("pricing: amount overflow")
	}
	return Amount{int64(hi), lo}
}

// Sub returns a - b.
func (a Amount) Sub(b Amount) Amount { return a.Add(b.Neg()) }

// Neg returns -a.
func (a Amount) Neg() Amount {
	lo, borrow := bits.Sub64(0, a.lo, 0)
	hi, _ := bits.Sub64(0, uint64(a.hi), borrow)
	return Amount{int64(hi), lo}
}

// Mul returns n times a.
func (a Amount) Mul(n int64) Amount {
	v := a.int()
	p, ok := amountOf(v.Mul(v, big.NewInt(n)))
	if !ok {
		panic("pricing: amount overflow")
	}
	return p
}

// Cmp returns -1, 0 or +1 as a is less than, equal to or more than b.
func (a Amount) Cmp(b Amount) int {
	switch {
	case a == b:
		return 0
	case a.hi < b.hi, a.hi == b.hi && a.lo < b.lo:
		return -1
	}
	return 1
}

// Sign returns -1, 0 or +1 as a is negative, zero or positive.
func (a Amount) Sign() int { return a.Cmp(Amount{}) }

// IsZero reports whether a is zero. JSON's omitzero uses it.
func (a Amount) IsZero() bool { return a == Amount{} }

// Rat returns a in dollars, exactly.
func (a Amount) Rat() *big.Rat {
	return new(big.Rat).SetFrac(a.int(), pow10(amountDigits))
}

// Float64 returns the float64 nearest to a in dollars, for metrics and charts. Do not
// add such floats: a million times $0.0005 is then not 500.
func (a Amount) Float64() float64 {
	f, _ := a.Rat().Float64()
	return f
}

// amountOfRat rounds dollars half away from zero to 10⁻¹⁵.
func amountOfRat(r *big.Rat) (Amount, bool) {
	num := new(big.Int).Mul(r.Num(), pow10(amountDigits))
	return amountOf(divRound(num, r.Denom()))
}

// divRound returns x / y rounded half away from zero; y is positive.
func divRound(x, y *big.Int) *big.Int {
	q, m := new(big.Int).QuoRem(x, y, new(big.Int))
	if m.Abs(m).Lsh(m, 1).Cmp(y) >= 0 {
		q.Add(q, big.NewInt(int64(x.Sign())))
	}
	return q
}

func pow10(n int) *big.Int {
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil)
}

// Round returns a rounded half away from zero to so many decimal places, from 0 to 15.
// Use it only for display, and add exact amounts.
func (a Amount) Round(places int) Amount {
	unit := pow10(amountDigits - min(max(places, 0), amountDigits))
	v := divRound(a.int(), unit)
	r, ok := amountOf(v.Mul(v, unit))
	if !ok {
		panic("pricing: amount overflow")
	}
	return r
}

// String returns the exact decimal, without needless digits: "0.004672305", "1600".
func (a Amount) String() string { return formatDecimal(a.int(), amountDigits) }

// Display returns a in a form for people: a dollar sign, separated thousands and so
// many significant digits, but always at least whole cents: "$1,600.00", "$0.00467".
// If digits is less than one, it is three.
func (a Amount) Display(digits int) string {
	if digits < 1 {
		digits = 3
	}
	places := amountDigits
	if n := len(new(big.Int).Abs(a.int()).String()); !a.IsZero() {
		places = amountDigits - n + digits // the place of the last significant digit
	}
	if a.IsZero() || places < 2 {
		places = 2
	}
	s, neg := strings.CutPrefix(a.Round(places).String(), "-")
	whole, frac, _ := strings.Cut(s, ".")
	if len(frac) < 2 {
		frac += strings.Repeat("0", 2-len(frac))
	}
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if neg {
		return "-$" + whole + "." + frac
	}
	return "$" + whole + "." + frac
}

// MarshalText returns the exact decimal.
func (a Amount) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads what [ParseAmount] does.
func (a *Amount) UnmarshalText(text []byte) (err error) {
	*a, err = ParseAmount(string(text))
	return err
}

// UnmarshalJSON reads a decimal, as a string or as a number. Null is zero dollars.
func (a *Amount) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*a = Amount{}
		return nil
	}
	s, err := unquoteDecimal(data)
	if err != nil {
		return err
	}
	return a.UnmarshalText([]byte(s))
}

func unquoteDecimal(data []byte) (string, error) {
	if len(data) == 0 || data[0] != '"' {
		return string(data), nil
	}
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		return "", fmt.Errorf("%w: %w", ErrInvalidAmount, err)
	}
	return s, nil
}

// Rate is a price in nano-USD (10⁻⁹ USD) per 1,000,000 units: 3,300,000,000 is $3.30
// per million tokens. In JSON and text it is the decimal number of dollars per million
// units, "3.3". A rate of 0 means that something is free.
type Rate int64

const (
	rateDigits = 9
	maxRate    = Rate(1e18) // $1,000 a unit
	maxUnits   = int64(1e15)
)

// ParseRate reads dollars per million units, such as "0.00875": at most nine
// decimal places, not negative and at most a billion. The error is
// [ErrInvalidAmount].
func ParseRate(s string) (Rate, error) {
	v, err := parseDecimal(s, rateDigits)
	if err != nil {
		return 0, err
	}
	if v.Sign() < 0 || v.Cmp(big.NewInt(int64(maxRate))) > 0 {
		return 0, fmt.Errorf("%w: %q; a rate is from 0 to 10⁹ dollars per million units", ErrInvalidAmount, s)
	}
	return Rate(v.Int64()), nil
}

// Of returns the price of so many units, exactly. Negative numbers are
// credits.
func (r Rate) Of(units int64) Amount {
	hi, lo := bits.Mul64(abs64(int64(r)), abs64(units))
	a := Amount{int64(hi), lo}
	if (r < 0) != (units < 0) {
		return a.Neg()
	}
	return a
}

func abs64(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

// String returns dollars per million units, exactly.
func (r Rate) String() string { return formatDecimal(big.NewInt(int64(r)), rateDigits) }

// MarshalText returns dollars per million units.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads what [ParseRate] does.
func (r *Rate) UnmarshalText(text []byte) (err error) {
	*r, err = ParseRate(string(text))
	return err
}

// UnmarshalJSON reads a decimal, as a string or as a number. Null is an error, not a
// rate of 0.
func (r *Rate) UnmarshalJSON(data []byte) error {
	s, err := unquoteDecimal(data)
	if err != nil {
		return err
	}
	return r.UnmarshalText([]byte(s))
}
