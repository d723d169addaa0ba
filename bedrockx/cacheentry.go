package bedrockx

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/cache"
	"github.com/mangaassist/bedrockkit/pricing"
)

// kept is an answer as a store has it.
type kept struct {
	fresh     time.Time // until when it is given without a refresh
	frames    bool      // body is a stream, which has no unary form that is known
	both      bool      // body, of a unary answer, can be given as a stream without a loss
	tools     bool      // it asks for tools
	model     bedrockkit.ModelID
	requestID string
	tier      bedrockkit.ServiceTier
	usage     bedrockkit.Usage // what it took
	priced    bool
	cost      pricing.Amount
	body      []byte // as the service has sent it, or as it would have
}

// keptV1 is the first byte of an entry. After it come a CRC-32C of all that
// follows, the sum of the key and the fields in their order: numbers as varints,
// strings after their length. So a store that damages an entry, or returns that
// of another key, is found out.
const keptV1 = 1

const keptHeader = 1 + 4 + len(cache.Key{}.Sum)

const (
	keptFrames = 1 << iota
	keptUnknown
	keptPriced
	keptTools
	keptBoth
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errKept = errors.New("cache: an entry is damaged, of another key, or of a form that this version does not know")

func counts(u *bedrockkit.Usage) []*int64 {
	return []*int64{&u.InputTokens, &u.OutputTokens, &u.CacheReadTokens, &u.CacheWrite5mTokens, &u.CacheWrite30mTokens, &u.CacheWrite1hTokens}
}

func (k *kept) encode(key *cache.Key) []byte {
	b := make([]byte, 0, len(k.body)+256)
	flags := byte(0)
	if k.frames {
		flags |= keptFrames
	}
	if k.both {
		flags |= keptBoth
	}
	if k.usage.Unknown {
		flags |= keptUnknown
	}
	if k.tools {
		flags |= keptTools
	}
	cost := ""
	if k.priced {
		flags |= keptPriced
		cost = k.cost.String()
	}
	b = append(b, keptV1, 0, 0, 0, 0)
	b = append(b, key.Sum[:]...)
	b = append(b, flags)
	b = binary.AppendVarint(b, k.fresh.UnixMilli())
	for _, s := range []string{string(k.model), k.requestID, string(k.tier), cost} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	for _, n := range counts(&k.usage) {
		b = binary.AppendVarint(b, *n)
	}
	b = append(b, k.body...)
	binary.BigEndian.PutUint32(b[1:], crc32.Checksum(b[5:], castagnoli))
	return b
}

// decode reads the entry of a key. It shares the body.
func (k *kept) decode(key *cache.Key, b []byte) error {
	if len(b) <= keptHeader || b[0] != keptV1 || [32]byte(b[5:]) != key.Sum || binary.BigEndian.Uint32(b[1:]) != crc32.Checksum(b[5:], castagnoli) {
		return errKept
	}
	flags := b[keptHeader]
	k.both = flags&keptBoth != 0
	k.frames, k.usage.Unknown, k.priced, k.tools = flags&keptFrames != 0, flags&keptUnknown != 0, flags&keptPriced != 0, flags&keptTools != 0
	b = b[keptHeader+1:]
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
