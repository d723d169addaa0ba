// Package queuetest checks that a queue behaves as Amazon SQS does, as far as a
// producer and a worker rely on it. It is for servers and embedded queues that
// stand in for the service in tests.
//
//	func TestQueue(t *testing.T) {
//		queuetest.Run(t, func(t *testing.T) queuetest.Queue { return memqueue.New() })
//	}
//
// [TestStatusStore] and [TestBlobStore] do the same for stores of statuses, and of
// results and payloads.
package queuetest
