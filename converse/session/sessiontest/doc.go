// Package sessiontest checks that a [session.Store] keeps the promises of its
// documentation.
//
//	func TestConformance(t *testing.T) {
//		sessiontest.Run(t, func(t *testing.T) session.Store { return open(t) })
//	}
package sessiontest
