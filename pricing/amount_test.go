package pricing_test

import (
	"encoding/json"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/pricing"
)

func amount(t testing.TB, s string) pricing.Amount {
	t.Helper()
	a, err := pricing.ParseAmount(s)
	require.NoError(t, err)
	return a
}

func TestParseAmount(t *testing.T) {
	for in, want := range map[string]string{
		"0": "0", "-0": "0", "0.004672305": "0.004672305", "1600": "1600", "007.50": "7.5",
		"-12.000000000000001":                     "-12.000000000000001",
		"0.0010000000000000000":                   "0.001",
		"99999999999999999999999.999999999999999": "99999999999999999999999.999999999999999",
	} {
		assert.Equal(t, want, amount(t, in).String(), in)
	}
	for _, in := range []string{
		"", "-", ".5", "5.", "1e3", "+1", " 1", "1,000", "$1", "0x10", "--1", "1.2.3", "NaN",
		"0.0000000000000001", "999999999999999999999999", "٣",
	} {
		_, err := pricing.ParseAmount(in)
		assert.ErrorIs(t, err, pricing.ErrInvalidAmount, in)
	}
}

func TestMustAmount(t *testing.T) {
	assert.Equal(t, amount(t, "0.05"), pricing.MustAmount("0.05"))
	assert.PanicsWithValue(t, `pricing: invalid decimal: "5c"; a decimal looks like 0.25`, func() { pricing.MustAmount("5c") })
}

func TestAmountArithmeticAgreesWithBig(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	random := func() (pricing.Amount, *big.Rat) {
		n := new(big.Int).SetUint64(rnd.Uint64())
		n.Lsh(n, uint(rnd.IntN(55)))
		if rnd.IntN(2) == 0 {
			n.Neg(n)
		}
		r := new(big.Rat).SetFrac(n, big.NewInt(1e15))
		return amount(t, r.FloatString(15)), r
	}
	for range 2000 {
		a, ra := random()
		b, rb := random()
		require.Zero(t, a.Rat().Cmp(ra))
		require.Zero(t, a.Add(b).Rat().Cmp(new(big.Rat).Add(ra, rb)))
		require.Zero(t, a.Sub(b).Rat().Cmp(new(big.Rat).Sub(ra, rb)))
		require.Zero(t, a.Neg().Rat().Cmp(new(big.Rat).Neg(ra)))
		require.Equal(t, ra.Cmp(rb), a.Cmp(b))
		require.Equal(t, ra.Sign(), a.Sign())
		require.Zero(t, a.Mul(-7).Rat().Cmp(new(big.Rat).Mul(ra, big.NewRat(-7, 1))))
		require.Equal(t, ra.FloatString(6), withZeros(a.Round(6), 6), "Round is half away from zero, as FloatString is")
	}
}

func withZeros(a pricing.Amount, places int) string { return a.Rat().FloatString(places) }

func TestRateOfAgreesWithBig(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		r := pricing.Rate(rnd.Int64N(1e18))
		n := rnd.Int64N(1e15) - rnd.Int64N(1e15)
		want := new(big.Rat).Mul(big.NewRat(int64(r), 1e15), big.NewRat(n, 1))
		require.Zero(t, want.Cmp(r.Of(n).Rat()), "%v of %d", r, n)
	}
}

func TestAmountOverflowPanics(t *testing.T) {
	most := amount(t, "170000000000000000000000")
	assert.Panics(t, func() { most.Add(most) })
	assert.Panics(t, func() { most.Neg().Sub(most) })
	assert.Panics(t, func() { most.Mul(math.MaxInt64) })
	assert.True(t, most.Add(most.Neg()).IsZero())
}

func TestManySmallAmountsSumExactly(t *testing.T) {
	var sum pricing.Amount
	var floats float64
	half := amount(t, "0.0005")
	for range 1_000_000 {
		sum = sum.Add(half)
		floats += 0.0005
	}
	assert.Equal(t, "500", sum.String())
	assert.NotEqual(t, 500.0, floats, "the reason why money is no float")
}

func TestAmountJSON(t *testing.T) {
	type invoice struct {
		Cost pricing.Amount `json:"cost"`
		None pricing.Amount `json:"none,omitzero"`
	}
	data, err := json.Marshal(invoice{Cost: amount(t, "0.004672305")})
	require.NoError(t, err)
	assert.JSONEq(t, `{"cost":"0.004672305"}`, string(data))

	for _, in := range []string{`{"cost":"0.004672305"}`, `{"cost":0.004672305}`} {
		var got invoice
		require.NoError(t, json.Unmarshal([]byte(in), &got))
		assert.Equal(t, amount(t, "0.004672305"), got.Cost)
	}
	var got invoice
	require.NoError(t, json.Unmarshal([]byte(`{"cost":null}`), &got))
	assert.True(t, got.Cost.IsZero())
	for _, in := range []string{`{"cost":"1e3"}`, `{"cost":1e3}`, `{"cost":true}`, `{"cost":{}}`, `{"cost":""}`} {
		assert.ErrorIs(t, json.Unmarshal([]byte(in), &got), pricing.ErrInvalidAmount, in)
	}

	sums := map[string]pricing.Amount{"a": amount(t, "1.5")}
	data, err = json.Marshal(sums)
	require.NoError(t, err)
	assert.JSONEq(t, `{"a":"1.5"}`, string(data))
}

func TestAmountDisplay(t *testing.T) {
	tests := []struct {
		in     string
		digits int
		want   string
	}{
		{"0", 3, "$0.00"},
		{"1600", 3, "$1,600.00"},
		{"48000", 1, "$48,000.00"},
		{"1234567.891", 3, "$1,234,567.89"},
		{"0.004672305", 3, "$0.00467"},
		{"0.004672305", 6, "$0.00467231"},
		{"0.00000000875", 2, "$0.0000000088"},
		{"-0.5", 0, "-$0.50"},
		{"-1234.5", 0, "-$1,234.50"},
		{"0.0999", 1, "$0.10"},
		{"999.999", 3, "$1,000.00"},
		{"0.000000000000001", 3, "$0.000000000000001"},
	}
	for _, tt := range tests {
		assert.Equal(t, tt.want, amount(t, tt.in).Display(tt.digits), tt.in)
	}
	assert.Equal(t, "2", amount(t, "1.5").Round(0).String())
	assert.Equal(t, "-2", amount(t, "-1.5").Round(-3).String())
	assert.InDelta(t, 0.004672305, amount(t, "0.004672305").Float64(), 0)
}

func TestParseRate(t *testing.T) {
	r, err := pricing.ParseRate("0.00875")
	require.NoError(t, err)
	assert.Equal(t, pricing.Rate(8_750_000), r)
	assert.Equal(t, "0.00875", r.String())
	assert.Equal(t, "0.00000000875", r.Of(1).String())
	for _, in := range []string{"-1", "0.0000000001", "1000000001", "x", ""} {
		_, err := pricing.ParseRate(in)
		assert.ErrorIs(t, err, pricing.ErrInvalidAmount, in)
	}
}

func FuzzParseAmount(f *testing.F) {
	for _, s := range []string{"0", "-0.5", "1600", "0.004672305", "1e9", "99999999999999999999999.9", "-"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := pricing.ParseAmount(s)
		if err != nil {
			require.ErrorIs(t, err, pricing.ErrInvalidAmount)
			return
		}
		want, ok := new(big.Rat).SetString(s)
		require.True(t, ok, s)
		require.Zero(t, want.Cmp(a.Rat()))
		again, err := pricing.ParseAmount(a.String())
		require.NoError(t, err)
		require.Equal(t, a, again)
	})
}
