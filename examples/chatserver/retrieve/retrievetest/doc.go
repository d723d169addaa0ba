// Package retrievetest checks a retrieve.Store of your own. Call [Run] from a
// test of the store:
//
//	func TestStore(t *testing.T) {
//		retrievetest.Run(t, func(t *testing.T) retrieve.Store { return &retrieve.Memory{} })
//	}
package retrievetest
