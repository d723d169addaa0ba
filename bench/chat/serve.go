package chat

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"

	"github.com/mangaassist/bedrockkit/examples/chatserver/app"
	"github.com/mangaassist/bedrockkit/examples/chatserver/auth"
)

// A Kind is one server. The zero value is MangaAssist with a frame for each token and
// without a cache, as Baseline has.
type Kind struct {
	Baseline bool
	Coalesce time.Duration // of MangaAssist; 0 means that each token is sent at once
	Cache    bool
}

// A Footprint is what a server's process has used and holds.
type Footprint struct {
	CPU        time.Duration
	Mallocs    uint64
	Allocated  uint64 // bytes, in all
	Held       uint64 // bytes of heap and stacks
	Goroutines int
}

// Serve runs a server in this process. The environment says where Bedrock is, as it
// does for the AWS SDK. Its address is the first line of out; then each line of in is
// answered with a Footprint. It returns with the end of in, while answers may be under
// way: the process is to end.
func Serve(ctx context.Context, kind Kind, in io.Reader, out io.Writer) error {
	// What is logged is written, but nobody reads it.
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	log := slog.New(slog.NewJSONHandler(null, nil))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	if kind.Baseline {
		err = serveBaseline(ctx, listener, log, served)
	} else {
		err = serveManga(ctx, kind, listener, log, served)
	}
	if err != nil {
		return err
	}
	fmt.Fprintln(out, listener.Addr())
	enc := json.NewEncoder(out)
	for lines := bufio.NewScanner(in); lines.Scan(); {
		if err := enc.Encode(footprint()); err != nil {
			return err
		}
	}
	select {
	case err := <-served:
		return err
	default:
		return nil
	}
}

const (
	haiku  = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
	sonnet = "us.anthropic.claude-sonnet-4-6"
)

func serveBaseline(ctx context.Context, listener net.Listener, log *slog.Logger, served chan<- error) error {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	b, err := NewBaseline(bedrockruntime.NewFromConfig(cfg), haiku, log)
	if err != nil {
		return err
	}
	web := &http.Server{Handler: b.Handler(), ReadHeaderTimeout: 10 * time.Second}
	go func() { served <- web.Serve(listener) }()
	return nil
}

func serveManga(ctx context.Context, kind Kind, listener net.Listener, log *slog.Logger, served chan<- error) error {
	s := app.FromEnv(func(string) string { return "" })
	s.Bedrock, s.Haiku, s.Sonnet, s.Cache, s.Coalesce = "aws", haiku, sonnet, "off", kind.Coalesce
	if kind.Coalesce == 0 {
		s.Coalesce = -1
	}
	if kind.Cache {
		s.Cache = "memory"
	}
	s.Limits = func(o *auth.LimitOptions) { o.PerMinute, o.PerAddress, o.Answers = -1, -1, -1 }
	server, err := app.Build(ctx, s, log)
	if err != nil {
		return err
	}
	go func() { served <- server.Serve(ctx, listener) }()
	return nil
}

// footprint looks at this process. Its second collection gives back what the first
// one has halved.
func footprint() Footprint {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	f := Footprint{CPU: time.Duration(u.Utime.Nano() + u.Stime.Nano()), Goroutines: runtime.NumGoroutine()}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	f.Mallocs, f.Allocated = m.Mallocs, m.TotalAlloc
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	f.Held = m.HeapInuse + m.StackInuse
	return f
}
