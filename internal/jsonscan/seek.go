package jsonscan

import "bytes"

// Seek goes to the next byte c, wherever it is, and reports whether there is one.
func (s *Scanner) Seek(c byte) bool {
	i := bytes.IndexByte(s.b[s.at:], c)
	if i < 0 {
		return false
	}
	s.at += i
	return true
}
