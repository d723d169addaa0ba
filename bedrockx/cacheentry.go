package bedrockx

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/pricing"
)

// kept is an answer as a store has it.
type kept struct {
	fresh     time.Time // until when it is given without a refresh
	frames    bool      // body is a stream, which has no unary form that is known
	model     bedrockkit.ModelID
	requestID string
	tier      bedrockkit.ServiceTier
	usage     bedrockkit.Usage // what it took
	priced    bool
	cost      pricing.Amount
	body      []byte // as the service has sent it, or as it would have
}

// keptV1 is the first byte of an entry. What follows are the fields in their
// order: numbers as varints, strings after their length.
const keptV1 = 1

const (
	keptFrames = 1 << iota
	keptUnknown
	keptPriced
)

var errKept = errors.New("cache: an entry is not of the form that this version knows")

func counts(u *bedrockkit.Usage) []*int64 {
	return []*int64{&u.InputTokens, &u.OutputTokens, &u.CacheReadTokens, &u.CacheWrite5mTokens, &u.CacheWrite30mTokens, &u.CacheWrite1hTokens}
}

func (k *kept) encode() []byte {
	b := make([]byte, 0, len(k.body)+256)
	flags := byte(0)
	if k.frames {
		flags |= keptFrames
	}
	if k.usage.Unknown {
		flags |= keptUnknown
	}
	cost := ""
	if k.priced {
		flags |= keptPriced
		cost = k.cost.String()
	}
	b = append(b, keptV1, flags)
	b = binary.AppendVarint(b, k.fresh.UnixMilli())
	for _, s := range []string{string(k.model), k.requestID, string(k.tier), cost} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	for _, n := range counts(&k.usage) {
		b = binary.AppendVarint(b, *n)
	}
	return append(b, k.body...)
}

// decode reads an entry, whose body it shares.
func (k *kept) decode(b []byte) error {
	if len(b) < 2 || b[0] != keptV1 {
		return errKept
	}
	k.frames, k.usage.Unknown, k.priced = b[1]&keptFrames != 0, b[1]&keptUnknown != 0, b[1]&keptPriced != 0
	b = b[2:]
	ok := true
	number := func() int64 {
		v, n := binary.Varint(b)
		if n <= 0 {
			ok = false
			return 0
		}
		b = b[n:]
		return v
	}
	text := func() string {
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			ok = false
			return ""
		}
		s := string(b[n : n+int(size)])
		b = b[n+int(size):]
		return s
	}
	k.fresh = time.UnixMilli(number())
	k.model, k.requestID, k.tier = bedrockkit.ModelID(text()), text(), bedrockkit.ServiceTier(text())
	cost := text()
	for _, n := range counts(&k.usage) {
		*n = number()
		ok = ok && *n >= 0
	}
	if !ok || k.model == "" || len(b) == 0 {
		return errKept
	}
	if k.priced {
		var err error
		if k.cost, err = pricing.ParseAmount(cost); err != nil || k.cost.Sign() < 0 {
			return errKept
		}
	}
	k.body = b
	return nil
}
