// Package eventstream reads and writes frames of the
// application/vnd.amazon.eventstream encoding, in which Amazon Bedrock sends
// its response streams.
//
// A frame is a prelude (total length, headers length, CRC-32 of both), headers,
// a payload and a CRC-32 of all before it:
//
//	r := eventstream.NewReader(body, 0)
//	for {
//		frame, err := r.Next() // valid until the next call
//		if err == io.EOF {
//			break
//		}
//		…
//	}
//
// # Limits
//
// Nothing that a frame claims is believed before it was checked: a length that
// cannot be is refused at the prelude, and memory grows with what has arrived,
// never with what was announced. The reader keeps one buffer for all frames.
//
// Source of the format: "Event stream encoding" of the Smithy specification
// for Amazon Event Stream, and the official test vectors in testdata.
package eventstream
