// Package webhook tells the ends of jobs to callback URLs, as Standard Webhooks
// describes (https://www.standardwebhooks.com): signed, again until they are
// taken, and only to addresses of the public internet.
//
//	deliverer, err := webhook.New(webhook.NewMemoryStore(), []string{secret})
//	if err != nil {
//		return err
//	}
//	go deliverer.Run(ctx) // or deliverer.Deliver(ctx), now and then
//
// A [Deliverer] is an [asyncq.Notifier]: give it to a worker. Notify stores a
// [Delivery]; Run sends it. Package dynamowebhook has a store that outlives the
// process. The body is an [Event], which names the result and does not hold it.
//
// # The other side
//
//	http.Handle("POST /webhooks/fm-result", receiver)
//
// where receiver, err := webhook.NewReceiver(next, []string{secret}) checks the
// signature before next sees the request. A delivery may come twice: [ID] tells
// what to recognise it by.
//
// # Secrets
//
// [NewSecret] makes one. To rotate, the sender signs with the new and the old one
// (the new first), then the receivers take the new one, then the sender leaves
// the old one out. A receiver takes several as well.
//
// # Where it connects to
//
// A callback URL comes from a request, so it may be aimed at what only this
// program can reach. It must be https, without a user, and its port one of
// Options.Ports. The address is checked when it is dialled, after the name was
// looked up and for every connection, so neither a name nor a lookup that changes
// its answer leads to a private, loopback, link-local or otherwise special
// address. No proxy is used, and no redirect followed.
package webhook
