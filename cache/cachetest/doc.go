// Package cachetest checks that a [cache.Store] does what it promises.
//
//	func TestStore(t *testing.T) {
//		cachetest.Run(t, func(t *testing.T) cache.Store {
//			return mystore.New(t.TempDir())
//		})
//	}
//
// Run it with -race.
package cachetest
