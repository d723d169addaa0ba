// Package quotatest is the conformance suite for implementations of
// [bedrockx.QuotaStore].
//
//	func TestConformance(t *testing.T) {
//		quotatest.Run(t, func(t *testing.T) bedrockx.QuotaStore { return mystore.New(server) })
//	}
package quotatest
