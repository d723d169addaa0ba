package main

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrocktest/fakes3"
)

// serveS3 serves an S3 in memory, which batch jobs use, until stop is called. Its
// buckets are those that clients create. It looks at no signature.
func serveS3(addr string, opts *bedrocktest.Options) (url string, stop func(), err error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return "", nil, fmt.Errorf("-s3: %w", err)
	}
	if ip, err := netip.ParseAddr(host); err != nil || !ip.IsLoopback() {
		return "", nil, fmt.Errorf("-s3: the address %q is not on the loopback interface; use 127.0.0.1 or [::1]", addr)
	}
	store, err := fakes3.Memory()
	if err != nil {
		return "", nil, err
	}
	opts.Batch.Store = store
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: store, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener)
	}()
	return "http://" + listener.Addr().String(), func() {
		_ = server.Close()
		<-served
	}, nil
}
