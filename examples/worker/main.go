// Command worker submits a hundred analyses of manga to a queue, has them done by
// a worker in a process of its own, kills that process in the middle of its work,
// starts another one, and counts: nothing is lost, and nothing is done twice.
//
// It needs no account. The program itself stands in for what AWS would be: the
// queues of Amazon SQS, a store of statuses, and Bedrock, served on loopback; the
// results are files. The workers use them as they would use AWS: through the SDK's
// client and over HTTP, so that a worker that is killed takes nothing along.
//
// Read submit and work first: they are what you would write.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mangaassist/bedrockkit/asyncq"
	"github.com/mangaassist/bedrockkit/converse"
)

func main() {
	jobs := flag.Int("jobs", 100, "how many analyses are submitted")
	kills := flag.Int("kills", 1, "how many workers are killed on the way")
	services := flag.String("work", "", "be a worker, with the services at this `URL`; the program starts itself so")
	results := flag.String("results", "", "the `folder` of the results, with -work")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), "worker submits analyses to a queue and kills the workers that do them. It needs no account.\n\n")
		flag.PrintDefaults()
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if *jobs < 1 || *kills < 0 {
		log.Fatalf("-jobs is %d and -kills is %d; jobs must be at least 1, kills at least 0", *jobs, *kills)
	}
	var err error
	if *services != "" {
		err = work(ctx, *services, *results)
	} else {
		err = run(ctx, os.Stdout, *jobs, *kills)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// queueNames are the queues of this program. No request has a group, so there is
// no ordered one.
var queueNames = asyncq.Queues{
	High:       "manga-fm-high-priority",
	Normal:     "manga-fm-normal",
	Low:        "manga-fm-low-priority",
	DeadLetter: "manga-fm-dlq",
}

// submit accepts the analyses: their statuses are stored, and their messages sent.
func submit(ctx context.Context, aws *services, n int) ([]string, error) {
	producer, err := asyncq.NewProducer[asyncq.Inference](aws.queues, func(o *asyncq.ProducerOptions) { o.Queues, o.Status = queueNames, aws.status })
	if err != nil {
		return nil, err
	}
	var requests []asyncq.Request[asyncq.Inference]
	for i := range n {
		requests = append(requests, asyncq.Request[asyncq.Inference]{
			ID:       fmt.Sprintf("volume-%d", i+1),
			Payload:  asyncq.Inference{Prompt: fmt.Sprintf("Analyse volume %d of One Piece.", i+1), MaxTokens: 200},
			Priority: []asyncq.Priority{asyncq.High, asyncq.Normal, asyncq.Low}[i%3],
		})
	}
	var ids []string
	for _, accepted := range producer.SubmitBatch(ctx, requests) {
		if accepted.Err != nil {
			return nil, accepted.Err
		}
		ids = append(ids, accepted.ID)
	}
	return ids, nil
}

// work does jobs until the context ends, or the process that started this one.
func work(ctx context.Context, url, folder string) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() { // ends with the process at the latest
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	aws, err := dial(url, folder)
	if err != nil {
		return err
	}
	chat := converse.New(aws.bedrock, func(o *converse.Options) { o.Model = "us.anthropic.claude-haiku-4-5-20251001-v1:0" })
	worker := asyncq.NewWorker(aws.queues, asyncq.Infer(chat), func(o *asyncq.WorkerOptions) {
		o.Status, o.Results = aws.status, aws.results
		o.Queues = queueNames
		o.Concurrency = 4
		o.Visibility = 3 * time.Second // short, as somebody watches; it is how long a killed worker's jobs wait
	})
	return worker.Run(ctx)
}

// run is what somebody watches.
func run(ctx context.Context, out io.Writer, jobs, kills int) error {
	folder, err := os.MkdirTemp("", "worker")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	url, closeServices, err := serve(ctx)
	if err != nil {
		return err
	}
	defer closeServices()
	aws, err := dial(url, folder)
	if err != nil {
		return err
	}
	ids, err := submit(ctx, aws, jobs)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "submitted %d analyses\n", len(ids))

	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	child, err := start(ctx, url, folder, fail)
	if err != nil {
		return err
	}
	defer func() { child.kill() }()
	fmt.Fprintln(out, "started a worker")
	counts, killed := map[asyncq.State]int{}, 0
	ended := 0
	for s, err := range asyncq.WaitAll(ctx, aws.status, ids, func(o *asyncq.WaitOptions) { o.MaxDelay = 200 * time.Millisecond }) {
		if err != nil {
			return err
		}
		counts[s.State]++
		ended++
		progress(out, ended, len(ids))
		if killed < kills && ended >= (killed+1)*len(ids)/(kills+1)/2 {
			killed++
			child.kill()
			fmt.Fprintf(out, "%skilled the worker in the middle of its work\n", clear(out))
			if child, err = start(ctx, url, folder, fail); err != nil {
				return err
			}
			fmt.Fprintln(out, "started another worker")
		}
	}
	dead := 0
	for _, err := range asyncq.NewDeadLetters(aws.queues, queueNames, aws.status).List(ctx) {
		if err != nil {
			return err
		}
		dead++
	}
	files, err := filepath.Glob(filepath.Join(folder, "b-*")) // the finished files of fileblobs
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s%d accepted = %d completed + %d dead letters; %d results\n", clear(out), len(ids), counts[asyncq.Completed], dead, len(files))
	first, err := aws.status.Get(ctx, ids[0])
	if err != nil {
		return err
	}
	answer, err := asyncq.Result[asyncq.InferenceResult](ctx, aws.results, first)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "the first one: %s\n", answer.Text)
	return nil
}

// progress draws a bar, on a terminal.
func progress(out io.Writer, done, total int) {
	if terminal(out) {
		const width = 50
		n := done * width / max(total, 1)
		fmt.Fprintf(out, "\r[%s%s] %d of %d", strings.Repeat("#", n), strings.Repeat(".", width-n), done, total)
	}
}

// clear ends the line of a bar.
func clear(out io.Writer) string {
	if terminal(out) {
		return "\n"
	}
	return ""
}

func terminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// A process is a worker. It ends when its standard input does, and so with this
// program.
type process struct {
	cmd    *exec.Cmd
	killed atomic.Bool
	ended  chan struct{}
}

// start starts a worker. If it ends and was not killed, fail is called.
func start(ctx context.Context, url, folder string, fail func(error)) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "-work", url, "-results", folder)
	cmd.Stderr = os.Stderr
	if _, err := cmd.StdinPipe(); err != nil { // is closed by Wait
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, ended: make(chan struct{})}
	go func() { // ends with the process
		defer close(p.ended)
		if err := cmd.Wait(); !p.killed.Load() {
			fail(fmt.Errorf("the worker has ended by itself: %w", err))
		}
	}()
	return p, nil
}

// kill ends the process at once, as SIGKILL does, which no process can prepare for.
func (p *process) kill() {
	p.killed.Store(true)
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.ended
}
