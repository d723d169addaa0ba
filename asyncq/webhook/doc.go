// Package webhook sends a notification to a callback URL at the end of a job, as
// Standard Webhooks describes (https://www.standardwebhooks.com). Deliveries are
// signed, are repeated until the receiver accepts them, and go only to addresses of
// the public internet.
//
//	deliverer, err := webhook.New(webhook.NewMemoryStore(), []string{secret})
//	if err != nil {
//		return err
//	}
//	go deliverer.Run(ctx) // or deliverer.Deliver(ctx), now and then
//
// A [Deliverer] is an [asyncq.Notifier]: give it to a worker. Notify stores a
// [Delivery]; Run sends it. Package dynamowebhook has a store that outlives the
// process. The body is an [Event]. It has the key of the result, but not the result.
//
// # The other side
//
//	http.Handle("POST /webhooks/fm-result", receiver)
//
// where receiver, err := webhook.NewReceiver(next, []string{secret}) checks the
// signature before next sees the request. A delivery may come twice: use [ID] to
// recognize it.
//
// # Secrets
//
// [NewSecret] makes a secret. To rotate secrets, first sign with the new and the old
// one (the new one first), then let the receivers accept the new one, then remove the
// old one from the sender. A receiver also accepts several secrets.
//
// # Receivers that hang
//
// Each URL has its own lane, with at most four attempts at the same time. After an
// attempt has taken a quarter of a second, it no longer delays other URLs, and
// deliveries that wait for the same URL are postponed in the store. If a receiver does
// not answer in time, it gets no attempt for Options.Timeout, and for twice as long
// after each further attempt, up to ten minutes. A postponed delivery does not lose an
// attempt.
//
// # Where it connects to
//
// A callback URL comes from a request, so it may point to something that only this
// program can reach. It must satisfy an [asyncq.CallbackPolicy] of Options.Ports and
// Options.AllowPrefixes. A producer has already checked it by its own policy
// (asyncq.ProducerOptions.Callbacks). The address is checked when it is dialed, after
// the name was looked up, for every connection. So a name, or a lookup that changes
// its answer, cannot lead to a private, loopback, link-local or other special address.
// No proxy is used, and redirects are not followed.
package webhook
