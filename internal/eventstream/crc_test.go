package eventstream

import (
	"hash/crc32"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
)

// The checksum is that of hash/crc32, for every length, place and beginning.
func TestChecksum(t *testing.T) {
	p := make([]byte, 300)
	random := rand.NewChaCha8([32]byte{1})
	random.Read(p)
	for from := range 17 {
		for to := from; to <= len(p); to++ {
			sum := crc32.ChecksumIEEE(p[:from])
			if got, want := checksum(sum, p[from:to]), crc32.ChecksumIEEE(p[:to]); got != want {
				assert.Equal(t, want, got, "bytes %d to %d", from, to)
				return
			}
		}
	}
}
