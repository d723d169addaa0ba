// Package quotatest is the conformance suite for implementations of
// [quota.Store].
//
//	func TestConformance(t *testing.T) {
//		quotatest.Run(t, func(t *testing.T) quota.Store { return mystore.New(server) })
//	}
package quotatest
