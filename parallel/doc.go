// Package parallel calls a function for many inputs, a bounded number at once.
//
//	for item := range parallel.Map(ctx, 10, slices.Values(titles), analyse) {
//		if item.Err != nil {
//			log.Printf("%s: %v", item.Input, item.Err)
//			continue
//		}
//		fmt.Println(item.Input, item.Result)
//	}
//
// The inputs are a sequence, so they need not fit into memory. A result is
// yielded as soon as there is one. No goroutine outlives the loop.
//
// Throttling is not its business: the calls of a bedrockx.Client wait for their
// quota by themselves. The bound is for memory and connections.
package parallel
