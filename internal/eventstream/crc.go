package eventstream

import (
	"encoding/binary"
	"hash/crc32"
	"sync"
)

// checksum continues the CRC of a frame over p. hash/crc32 takes 16 bytes at a
// time, from 64 on, and what is left over one by one: for the short frames of a
// token that is most of its time. So the rest is done here, by the same method
// ("slicing by 8") that hash/crc32 has for lengths between.
func checksum(crc uint32, p []byte) uint32 {
	if whole := len(p) &^ 15; whole > 0 {
		crc = crc32.Update(crc, crc32.IEEETable, p[:whole])
		p = p[whole:]
	}
	t := slicing()
	crc = ^crc
	if len(p) >= 8 {
		crc ^= binary.LittleEndian.Uint32(p)
		crc = t[7][byte(crc)] ^ t[6][byte(crc>>8)] ^ t[5][byte(crc>>16)] ^ t[4][crc>>24] ^
			t[3][p[4]] ^ t[2][p[5]] ^ t[1][p[6]] ^ t[0][p[7]]
		p = p[8:]
	}
	if len(p) >= 4 {
		crc ^= binary.LittleEndian.Uint32(p)
		crc = t[3][byte(crc)] ^ t[2][byte(crc>>8)] ^ t[1][byte(crc>>16)] ^ t[0][crc>>24]
		p = p[4:]
	}
	for _, b := range p {
		crc = t[0][byte(crc)^b] ^ crc>>8
	}
	return ^crc
}

// slicing returns the tables: the n-th has what a byte does to the CRC n bytes
// later.
var slicing = sync.OnceValue(func() *[8][256]uint32 {
	var t [8][256]uint32
	t[0] = *crc32.IEEETable
	for i := range t[0] {
		for n := 1; n < len(t); n++ {
			before := t[n-1][i]
			t[n][i] = t[0][byte(before)] ^ before>>8
		}
	}
	return &t
})
