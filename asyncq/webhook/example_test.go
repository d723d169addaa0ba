package webhook_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"

	"github.com/mangaassist/bedrockkit/asyncq"
	"github.com/mangaassist/bedrockkit/asyncq/webhook"
)

func Example() {
	secret := webhook.NewSecret()

	// The receiver, which is somebody else's server.
	receiver, err := webhook.NewReceiver(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		fmt.Println("received", webhook.ID(r.Context()))
	}), []string{secret})
	if err != nil {
		fmt.Println(err)
		return
	}
	srv := httptest.NewTLSServer(receiver)
	defer srv.Close()

	// The sender. Only this example may connect to the loopback interface.
	deliverer, err := webhook.New(webhook.NewMemoryStore(), []string{secret}, func(o *webhook.Options) {
		address := netip.MustParseAddrPort(srv.Listener.Addr().String())
		o.AllowPrefixes = []netip.Prefix{netip.PrefixFrom(address.Addr(), 32)}
		o.Ports = []uint16{address.Port()}
		o.RootCAs = srv.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer deliverer.Close()

	ctx := context.Background()
	// A worker does this when a job has ended.
	err = deliverer.Notify(ctx, asyncq.Notification{
		ID: "job-1.completed", CallbackURL: srv.URL + "/webhooks/fm-result",
		Status: asyncq.Status{ID: "job-1", State: asyncq.Completed, ResultKey: "results/job-1"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	attempts, err := deliverer.Deliver(ctx) // or Run, in a goroutine
	fmt.Println(attempts, err)
	// Output:
	// received msg_zRrLZARDDgJrZVMgSyJtCLJMc2qAx2sEN9DllbjbQes
	// 1 <nil>
}
