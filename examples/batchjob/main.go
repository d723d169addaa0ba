// Command batchjob enriches a catalogue of manga, translates its titles and ranks
// its volumes for a query, as batch jobs of Amazon Bedrock: each night's work of a
// store, at half the price of live calls.
//
//	go run ./examples/batchjob
//	go run ./examples/batchjob -n 10000 -interrupt 5
//
// It needs no account. The program itself stands in for AWS: a fake Bedrock whose
// batch jobs take a second, and an S3 over the files of a temporary folder. The work
// is done by a child process, through the SDK's clients and over HTTP. With
// -interrupt it is killed (SIGKILL) at random requests and started again, and the
// last line of the output counts what was lost or done twice: nothing.
//
// Read sets.go first: it is what you would write.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"strconv"

	"github.com/mangaassist/bedrockkit/pricing"
)

func main() {
	records := flag.Int("n", 600, "how many `records` there are, in all three sets")
	interrupt := flag.Int("interrupt", 0, "how `often` the job's process is killed")
	seed := flag.Uint64("seed", 1, "what the moments of that are drawn from")
	services := flag.String("work", "", "do the job, with the services at this `URL`; the program starts itself so")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), "batchjob enriches a catalogue, translates titles and ranks volumes, as batch jobs. It needs no account.\n\n")
		flag.PrintDefaults()
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if *records < 3 || *interrupt < 0 {
		log.Fatalf("-n is %d and -interrupt is %d; n must be at least 3, interrupt at least 0", *records, *interrupt)
	}
	var err error
	if *services != "" {
		err = work(ctx, os.Stdout, os.Stderr, *services, *records)
	} else {
		_, err = run(ctx, os.Stdout, os.Stderr, *records, *interrupt, *seed)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// A summary is the last line of the output.
type summary struct {
	Records int `json:"records"`
	Done    int `json:"done"`
	Failed  int `json:"failed"` // with an error of the service
	Lost    int `json:"lost"`
	Doubled int `json:"doubled"` // results, or answers that were paid for, beyond one for a record

	PeakRSS     float64        `json:"peak_rss_mb"` // of the child, the largest one
	Interrupted int            `json:"interrupted"`
	Cost        pricing.Amount `json:"cost_usd"`
	LiveCost    pricing.Amount `json:"live_cost_usd"`
}

// run serves what AWS would be, and has the work done by children until one of them
// has come to its end.
func run(ctx context.Context, out, bar io.Writer, records, interrupt int, seed uint64) (summary, error) {
	folder, err := os.MkdirTemp("", "batchjob")
	if err != nil {
		return summary{}, err
	}
	defer os.RemoveAll(folder)
	s, err := serve(folder, seed)
	if err != nil {
		return summary{}, err
	}
	defer s.stop()
	var sum summary
	peak := 0.0
	for killed := 0; ; killed++ {
		last, rss, err := s.child(ctx, out, bar, records, killed < interrupt)
		peak = max(peak, rss)
		if errors.Is(err, errKilled) {
			fmt.Fprintf(out, "killed the job's process at its request %d and started another one\n", s.gate.at())
			continue
		}
		if err != nil {
			return sum, err
		}
		if err := json.Unmarshal(last, &sum); err != nil {
			return sum, fmt.Errorf("the job's last line is %q: %w", last, err)
		}
		sum.Interrupted = killed
		break
	}
	sum.PeakRSS = max(peak, sum.PeakRSS)
	sum.Doubled += max(0, int(s.answers.Load())-sum.Done)
	line, err := json.Marshal(sum)
	if err != nil {
		return sum, err
	}
	_, err = fmt.Fprintf(out, "%s\n", line)
	return sum, err
}

var errKilled = errors.New("the child was killed")

// child starts a process that does the work, and returns the last line of its
// output and the most memory that it had before it was killed. The lines before
// go to out.
func (s *services) child(ctx context.Context, out, bar io.Writer, records int, kill bool) (last []byte, rss float64, err error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, 0, err
	}
	cmd := exec.CommandContext(ctx, exe, "-work", s.url, "-n", strconv.Itoa(records))
	cmd.Stderr = bar
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, 0, err
	}
	killed, started := make(chan float64, 1), make(chan *os.Process, 1)
	if kill {
		s.gate.arm(func() {
			process := <-started
			killed <- peakRSS(process.Pid)
			_ = process.Kill() // it may have ended by itself
		})
	}
	if err := cmd.Start(); err != nil {
		return nil, 0, err
	}
	started <- cmd.Process
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if last != nil {
			fmt.Fprintf(out, "%s\n", last)
		}
		last = append([]byte{}, lines.Bytes()...)
	}
	err = cmd.Wait()
	s.gate.disarm()
	select {
	case rss = <-killed:
		return nil, rss, errKilled
	default:
	}
	if err = errors.Join(lines.Err(), err); err != nil {
		return nil, 0, fmt.Errorf("the job's process: %w", err)
	}
	return last, 0, nil
}
