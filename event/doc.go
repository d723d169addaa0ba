// Package event has the events of a streamed answer, and the decoders that make events
// from a model's own chunks. Package stream yields them to its readers, under the same
// names. Use this package to write a decoder.
//
// To read a model that no package of this module knows, write one type:
//
//	type decoder struct{ begun bool }
//
//	func (*decoder) Name() string { return "jamba" }
//
//	func (d *decoder) Decode(chunk []byte, to event.Sink) error {
//		var v struct{ Text, Stop string }
//		if err := json.Unmarshal(chunk, &v); err != nil {
//			return err
//		}
//		if !d.begun {
//			d.begun = true
//			if err := to.Add(event.Event{Type: event.MessageStart}); err != nil {
//				return err
//			}
//		}
//		…
//	}
//
// Package event/eventtest tests a decoder.
package event
