// Package webhooktest checks that a [webhook.Store] does what it promises.
//
//	func TestStore(t *testing.T) {
//		webhooktest.Run(t, func(t *testing.T) webhook.Store { return mystore.New(t.TempDir()) })
//	}
package webhooktest
