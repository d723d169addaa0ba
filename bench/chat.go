package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mangaassist/bedrockkit/bench/chat"
)

// A chat server and the same by hand, each in a process of its own, ask the same
// model and are asked by the same clients. What is measured is the server's process.

const (
	chatTokens = 300 // of an answer
	chatPace   = 100 // tokens a second of an answer
	chatAtOnce = 1_000_000
	chatAsked  = `{"type":"chat","request_id":"bench%d","model":"haiku","messages":[{"role":"user","content":"Which manga is like One Piece?"}]}`
	chatQuery  = `{"query":"Which manga is like One Piece?"}`

	handSocket = "by hand, WebSocket"
	handEvents = "by hand, server-sent events"
	ourSocket  = "MangaAssist, WebSocket"
	ourEvents  = "MangaAssist, server-sent events"
)

// A speaker is a server and how it is spoken with.
type speaker struct {
	name   string
	kind   chat.Kind
	events bool
}

var (
	speakers = []speaker{
		{name: handSocket, kind: chat.Kind{Baseline: true}},
		{name: ourSocket},
		{name: handEvents, kind: chat.Kind{Baseline: true}, events: true},
		{name: ourEvents, events: true},
	}
	coalesced = speaker{name: ourSocket + ", text of 50 ms a frame", kind: chat.Kind{Coalesce: 50 * time.Millisecond}}
	remembers = speaker{name: ourSocket + ", the same and cached", kind: chat.Kind{Coalesce: 50 * time.Millisecond, Cache: true}}
	gathered  = speaker{name: ourSocket + ", text of 250 ms a frame", kind: chat.Kind{Coalesce: 250 * time.Millisecond}}
)

// chatModel is the model's handler: each answer has so many tokens at so many a
// second, all with a flush, as the last request to /pace has said.
func chatModel() http.Handler {
	var tps, tokens atomic.Int64
	whole := converseFrames(2000)
	head, tail := whole[0], whole[2001:]
	mux := http.NewServeMux()
	mux.HandleFunc("POST /pace", func(_ http.ResponseWriter, r *http.Request) {
		for name, value := range map[string]*atomic.Int64{"tps": &tps, "tokens": &tokens} {
			n, _ := strconv.ParseInt(r.FormValue(name), 10, 64)
			value.Store(n)
		}
	})
	mux.HandleFunc("POST /model/{model}/converse-stream", func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/vnd.amazon.eventstream")
		flusher := http.NewResponseController(w)
		n, every := int(tokens.Load()), time.Second/time.Duration(max(1, tps.Load()))
		began := time.Now()
		w.Write(head)
		for i := range n {
			if wait := time.Until(began.Add(time.Duration(i) * every)); wait > 0 {
				select {
				case <-time.After(wait):
				case <-r.Context().Done():
					return
				}
			}
			if _, err := w.Write(whole[i+1]); err != nil {
				return
			}
			flusher.Flush()
		}
		for _, frame := range tail {
			w.Write(frame)
		}
	})
	return mux
}

// pace sets how the model answers.
func (c *course) pace(tps, tokens int) error {
	client := c.server.client("chat", true)
	defer client.CloseIdleConnections()
	resp, err := client.Post(fmt.Sprintf("https://%s/pace?tps=%d&tokens=%d", host, tps, tokens), "", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the model's server says %s", resp.Status)
	}
	return nil
}

// A chatServer is a running server.
type chatServer struct {
	speaker
	addr  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	out   *bufio.Reader
}

func (c *course) startChat(s speaker) (*chatServer, error) {
	ca, err := os.CreateTemp("", "bench-*.pem")
	if err != nil {
		return nil, err
	}
	defer os.Remove(ca.Name())
	if _, err := io.WriteString(ca, c.server.Cert); err != nil {
		return nil, err
	}
	ca.Close()
	kind, err := json.Marshal(s.kind)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(c.ctx, self, "-chat", string(kind), "-cpuprofile", c.profile)
	cmd.Stderr = os.Stderr
	cmd.Env = append(os.Environ(), "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY=example", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull, "AWS_CA_BUNDLE="+ca.Name(), "AWS_ENDPOINT_URL_BEDROCK_RUNTIME=https://"+c.server.Addrs["chat"])
	started := &chatServer{speaker: s, cmd: cmd}
	if started.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	started.out = bufio.NewReader(stdout)
	line, err := started.out.ReadString('\n')
	if err != nil {
		started.stop()
		return nil, fmt.Errorf("%s did not start", s.name)
	}
	started.addr = strings.TrimSpace(line)
	return started, nil
}

func (s *chatServer) footprint() (f chat.Footprint, err error) {
	if _, err := io.WriteString(s.stdin, "\n"); err != nil {
		return f, err
	}
	line, err := s.out.ReadBytes('\n')
	if err != nil {
		return f, err
	}
	return f, json.Unmarshal(line, &f)
}

// stop ends the process at once: answers that are under way would go on for their
// readers.
func (s *chatServer) stop() {
	s.stdin.Close()
	s.cmd.Wait()
}

// chat asks each server at a rate; the model writes so many tokens a second.
func (c *course) chat(rate, pace int) (*race, error) {
	if err := c.pace(pace, chatTokens); err != nil {
		return nil, err
	}
	asked := max(2, rate*c.work/4)
	how := fmt.Sprintf("at %d a second", pace)
	if pace == chatAtOnce {
		how = "that come as fast as they can"
	}
	r := &race{Title: fmt.Sprintf("%d messages a second, answers of %d tokens %s", rate, chatTokens, how), Per: "message", Baseline: handSocket}
	return r, c.speak(r, append(slices.Clone(speakers), coalesced, remembers), func(s *chatServer) (result, error) { return c.answers(s, rate, asked) })
}

// speak measures each speaker with a server of its own, in turns.
func (c *course) speak(r *race, speakers []speaker, measure func(*chatServer) (result, error)) error {
	speakers = slices.DeleteFunc(speakers, func(s speaker) bool { return !c.only.MatchString(s.name) })
	var samples []result
	for round := range max(1, c.rounds/4) {
		for k := range speakers {
			s, err := c.startChat(speakers[(k+round)%len(speakers)])
			if err != nil {
				return err
			}
			row, err := measure(s)
			s.stop()
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			row.Name = s.name
			samples = append(samples, row)
		}
	}
	for _, s := range speakers {
		r.Rows = append(r.Rows, medianOf(s.name, samples))
	}
	r.divide()
	return nil
}

// answers asks so many questions at a rate, each over its own connection that was
// used before.
func (c *course) answers(s *chatServer, rate, asked int) (result, error) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1000}}
	defer client.CloseIdleConnections()
	var idle []answerer
	var mu sync.Mutex
	take := func() (answerer, error) {
		mu.Lock()
		if n := len(idle); n > 0 {
			a := idle[n-1]
			idle = idle[:n-1]
			mu.Unlock()
			return a, nil
		}
		mu.Unlock()
		return s.dial(c.ctx, client)
	}
	var heard listener
	var firsts []float64
	failed := make(chan error, 1)
	question := func() {
		a, err := take()
		var first time.Duration
		if err == nil {
			first, err = a.ask(c.ctx, &heard)
		}
		if err != nil {
			select {
			case failed <- err:
			default:
			}
			return
		}
		mu.Lock()
		defer mu.Unlock()
		idle = append(idle, a)
		firsts = append(firsts, first.Seconds()*1000)
	}
	run := func(n int, every time.Duration) error {
		var wg sync.WaitGroup
		began := time.Now()
		for i := range n {
			time.Sleep(time.Until(began.Add(time.Duration(i) * every)))
			wg.Go(question)
		}
		wg.Wait()
		select {
		case err := <-failed:
			return err
		default:
			return c.ctx.Err()
		}
	}
	defer func() {
		for _, a := range idle {
			a.close()
		}
	}()
	// To warm up, as many as will be under way at once.
	if err := run(min(asked, rate*chatTokens/chatPace), time.Second/time.Duration(rate)); err != nil {
		return result{}, err
	}
	before, err := s.footprint()
	if err != nil {
		return result{}, err
	}
	heard, firsts = listener{}, nil
	if err := run(asked, time.Second/time.Duration(rate)); err != nil {
		return result{}, err
	}
	after, err := s.footprint()
	if err != nil {
		return result{}, err
	}
	if text, want := heard.text.Load(), int64(asked*textBytes(chatTokens)); text != want {
		return result{}, fmt.Errorf("heard %d bytes of text, there are %d", text, want)
	}
	n := float64(asked)
	slices.Sort(firsts)
	row := result{CPU: float64(after.CPU-before.CPU) / n, Allocs: float64(after.Mallocs-before.Mallocs) / n, Bytes: float64(after.Allocated-before.Allocated) / n,
		Frames: float64(heard.frames.Load()) / n, First: firsts[len(firsts)/2], Late: firsts[(len(firsts)*99-1)/100]}
	return row, nil
}

// sockets holds answers that come slowly.
func (c *course) sockets(many int, speakers []speaker) (*race, error) {
	const tps = 20
	if err := c.pace(tps, 1200); err != nil {
		return nil, err
	}
	r := &race{Title: fmt.Sprintf("%d answers at once of %d tokens a second; bytes are what an answer holds in the server's memory", many, tps), Per: "token", Baseline: speakers[0].name}
	return r, c.speak(r, speakers, func(s *chatServer) (result, error) { return c.watch(s, many, tps) })
}

// watch opens many answers and looks at the server for a while.
func (c *course) watch(s *chatServer, many, tps int) (result, error) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}}
	before, err := s.footprint()
	if err != nil {
		return result{}, err
	}
	ctx, cancel := context.WithCancel(c.ctx)
	var heard listener
	var wg sync.WaitGroup
	failed := make(chan error, 1)
	defer wg.Wait()
	defer cancel()
	began := time.Now()
	for i := range many {
		time.Sleep(time.Until(began.Add(time.Duration(i) * 2 * time.Millisecond)))
		wg.Go(func() {
			a, err := s.dial(ctx, client)
			if err == nil {
				defer a.close()
				_, err = a.ask(ctx, &heard)
			}
			if ctx.Err() == nil {
				select {
				case failed <- errors.Join(errors.New("an answer ended too early"), err):
				default:
				}
			}
		})
	}
	rate := func(window time.Duration) (tokens float64, used, took time.Duration, err error) {
		from, err := s.footprint()
		if err != nil {
			return 0, 0, 0, err
		}
		text, began := heard.text.Load(), time.Now()
		time.Sleep(window)
		took = time.Since(began)
		text = heard.text.Load() - text
		to, err := s.footprint()
		return float64(text) / tokenBytes, to.CPU - from.CPU, took, err
	}
	time.Sleep(time.Second)
	window := time.Duration(c.work) * 200 * time.Millisecond
	tokens, used, took, err := rate(window)
	if err != nil {
		return result{}, err
	}
	after, err := s.footprint()
	if err != nil {
		return result{}, err
	}
	select {
	case err := <-failed:
		return result{}, err
	default:
	}
	n := float64(many)
	return result{CPU: float64(used) / tokens, Goroutines: float64(after.Goroutines-before.Goroutines) / n,
		Bytes: (float64(after.Held) - float64(before.Held)) / n, Pace: tokens / (n * float64(tps) * took.Seconds())}, nil
}

// tokenBytes is about what a token has in the long answers of sockets: those from 100
// to 999.
const tokenBytes = float64(len(" token100"))
