package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrocktest/fakes3"
	"github.com/mangaassist/bedrockkit/examples/chatserver/catalog"
)

const bucket = "manga-batch"

// clients are what a program uses of AWS. There, it has one configuration:
// bedrock.NewFromConfig(cfg) and s3.NewFromConfig(cfg).
type clients struct {
	bedrock aws.Config
	s3      *s3.Client
}

func dial(url string) clients {
	cfg := aws.Config{
		Region:       "us-east-1",
		BaseEndpoint: aws.String(url + "/bedrock"),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "fake", SecretAccessKey: "fake"}, nil
		}),
	}
	return clients{bedrock: cfg, s3: s3.NewFromConfig(cfg, func(o *s3.Options) {
		o.BaseEndpoint, o.UsePathStyle = aws.String(url+"/s3"), true
	})}
}

// services are what AWS would be.
type services struct {
	url     string
	gate    *gate
	answers atomic.Int64 // of the models
	stop    func()
}

// serve serves a fake Bedrock and an S3 over a folder on loopback.
func serve(folder string, seed uint64) (*services, error) {
	store, err := fakes3.Folder(folder, bucket)
	if err != nil {
		return nil, err
	}
	s := &services{}
	fake, err := bedrocktest.New(func(o *bedrocktest.Options) {
		o.InProcess = true // it is served below
		o.JobDuration = time.Second
		o.Batch.Store = store
		o.Batch.Plan = func(string) bedrocktest.BatchPlan { return bedrocktest.BatchPlan{FailEvery: 500} }
		o.Responder = func(_ context.Context, r *bedrocktest.Request) *bedrocktest.Reply {
			s.answers.Add(1)
			return bedrocktest.Text(answer(r.LastText()))
		}
	})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/bedrock/", http.StripPrefix("/bedrock", fake))
	mux.Handle("/s3/", http.StripPrefix("/s3", store))
	s.gate = &gate{next: mux, random: rand.New(rand.NewPCG(seed, 0))}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, fake.Close())
	}
	server := &http.Server{Handler: s.gate, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener)
	}()
	s.url = "http://" + listener.Addr().String()
	s.stop = func() {
		_ = server.Close()
		<-served
		_ = fake.Close()
	}
	return s, nil
}

// answer is what a model would say.
func answer(question string) string {
	id := strings.TrimRight(strings.SplitN(question+"  ", " ", 3)[1], ",:")
	m, ok := catalog.Default().ByID(id)
	switch {
	case !ok:
		return "I do not know it."
	case strings.HasPrefix(question, "Translate"):
		_, volume, _ := strings.Cut(question, "第")
		title := m.English
		if title == "" {
			title = m.Romaji
		}
		return fmt.Sprintf("%s, vol. %s", title, strings.TrimSuffix(volume, "巻"))
	case strings.HasPrefix(question, "Rank"):
		return strconv.Itoa(len(question) * 7 % 101)
	}
	return fmt.Sprintf(`{"themes":[%q],"reading_level":"%s"}`, m.Genres[0], m.Demographic)
}

// A gate counts requests and kills the child at one of them.
type gate struct {
	next http.Handler

	mu     sync.Mutex
	random *rand.Rand
	seen   int
	target int
	after  bool // the request is served first
	lives  int
	kill   func()
}

func (g *gate) arm(kill func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	within := max(14, 30-4*g.lives) // requests: no life has fewer, and the first ones have more to do
	g.lives++
	g.seen, g.target, g.after, g.kill = 0, 1+g.random.IntN(within), g.random.IntN(2) == 0, kill
}

func (g *gate) disarm() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.kill = nil
}

func (g *gate) at() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.target
}

// strike returns what kills the child, if it is this request's turn.
func (g *gate) strike() (kill func(), after bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.seen++
	if g.kill == nil || g.seen < g.target {
		return nil, false
	}
	kill, g.kill = g.kill, nil
	return kill, g.after
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	kill, after := g.strike()
	if kill != nil && !after {
		kill()
		panic(http.ErrAbortHandler)
	}
	g.next.ServeHTTP(w, r)
	if kill != nil {
		kill()
		panic(http.ErrAbortHandler)
	}
}

// peakRSS is the most memory that a process had, in megabytes; 0 where the system
// does not say.
func peakRSS(pid int) float64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kb / 1024
		}
	}
	return 0
}

// ownPeakRSS is that of this process, or what Go has taken from the system.
func ownPeakRSS() float64 {
	if mb := peakRSS(os.Getpid()); mb > 0 {
		return mb
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.Sys) / (1 << 20)
}
