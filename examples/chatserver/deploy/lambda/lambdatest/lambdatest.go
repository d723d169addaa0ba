package lambdatest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// timeout is how long a function may take for an event.
const timeout = 20 * time.Second

// Run is for TestMain: it runs the function's main in a process that Lambda or
// [Start] has started, and does nothing otherwise.
func Run(main func()) {
	if os.Getenv("AWS_LAMBDA_RUNTIME_API") != "" {
		main()
		os.Exit(0)
	}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// A Result is what a function has sent for an event.
type Result struct {
	Body   []byte
	Failed bool // the function has failed, and the body says why

	// These are empty if the emulator ran the function.
	Chunks  []Chunk
	Header  http.Header
	Trailer http.Header // has the error of a response that broke off
}

// A Chunk is a piece of a response.
type Chunk struct {
	Data []byte
	At   time.Duration // since the event was sent
}

// A Function is a process that waits for events. It gets one at a time.
type Function struct {
	tb  testing.TB
	mu  sync.Mutex // held while it works on an event
	url string     // of the emulator, or empty

	events  chan []byte
	began   chan time.Time // when the event was sent that is worked on
	results chan Result
	ended   chan struct{} // the process has
	log     *bytes.Buffer // what it has logged, when it has ended
}

// Start starts the function of this test with an environment of its own: these
// variables, and those of an AWS account that does not exist. It ends with the test.
func Start(tb testing.TB, env ...string) *Function {
	tb.Helper()
	f := &Function{tb: tb, events: make(chan []byte), began: make(chan time.Time, 1), results: make(chan Result), ended: make(chan struct{}), log: &bytes.Buffer{}}
	env = append([]string{
		"AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_LAMBDA_FUNCTION_NAME=function", "_HANDLER=bootstrap",
		fmt.Sprintf("AWS_LAMBDA_FUNCTION_TIMEOUT=%d", timeout/time.Second),
	}, env...)
	cmd := exec.Command(program(tb))
	if rie := os.Getenv("LAMBDA_RIE"); rie != "" {
		front, back := freeAddr(tb), freeAddr(tb)
		cmd = exec.Command(rie, "--log-level", "error", "--runtime-interface-emulator-address", front, "--runtime-api-address", back, cmd.Path)
		f.url = "http://" + front + "/2015-03-31/functions/function/invocations"
	} else {
		api := httptest.NewServer(f.runtimeAPI())
		tb.Cleanup(func() {
			api.CloseClientConnections() // the function waits for an event
			api.Close()
		})
		env = append(env, "AWS_LAMBDA_RUNTIME_API="+strings.TrimPrefix(api.URL, "http://"))
	}
	cmd.Env, cmd.Stdout, cmd.Stderr = env, f.log, f.log
	must(tb, cmd.Start())
	go func() {
		defer close(f.ended)
		_ = cmd.Wait() // it is killed
	}()
	tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-f.ended
		if tb.Failed() {
			tb.Logf("the function's log:\n%s", f.log)
		}
	})
	return f
}

// program is what runs: this test's own, or one that was built.
func program(tb testing.TB) string {
	if builds := os.Getenv("LAMBDA_BUILDS"); builds != "" {
		folder, err := os.Getwd()
		must(tb, err)
		return filepath.Join(builds, filepath.Base(folder))
	}
	self, err := os.Executable()
	must(tb, err)
	return self
}

func freeAddr(tb testing.TB) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(tb, err)
	defer listener.Close()
	return listener.Addr().String()
}

// Emulated reports whether AWS's emulator runs the function: then a [Result] has no
// chunks.
func (f *Function) Emulated() bool { return f.url != "" }

// Invoke sends an event, as JSON, and waits for the end of the response.
func (f *Function) Invoke(event any) Result {
	f.tb.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	data, err := json.Marshal(event)
	must(f.tb, err)
	if f.Emulated() {
		return f.emulate(data)
	}
	late := time.After(timeout + 5*time.Second)
	select {
	case f.events <- data:
	case <-f.ended:
		f.tb.Fatal("the function has ended before it has asked for an event")
	case <-late:
		f.tb.Fatal("the function asks for no event")
	}
	select {
	case result := <-f.results:
		return result
	case <-f.ended:
		f.tb.Fatal("the function has ended before its response")
	case <-late:
		f.tb.Fatal("the function does not respond")
	}
	return Result{}
}

// emulate sends an event to the emulator, which may not listen yet.
func (f *Function) emulate(event []byte) Result {
	client := http.Client{Timeout: timeout + 5*time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		response, err := client.Post(f.url, "application/json", bytes.NewReader(event))
		if err != nil && time.Since(began) < 10*time.Second {
			continue
		}
		must(f.tb, err)
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		must(f.tb, err)
		return Result{Body: body, Failed: bytes.Contains(body, []byte(`"errorMessage"`))}
	}
}

// runtimeAPI is the Lambda Runtime API: it gives out events and takes responses.
func (f *Function) runtimeAPI() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", func(w http.ResponseWriter, r *http.Request) {
		select {
		case event := <-f.events:
			began := time.Now()
			f.began <- began
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd")
			w.Header().Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(began.Add(timeout).UnixMilli()))
			w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:123456789012:function:function")
			w.Write(event)
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/{outcome}", func(w http.ResponseWriter, r *http.Request) {
		began := <-f.began
		result := Result{Failed: r.PathValue("outcome") == "error", Header: r.Header}
		piece := make([]byte, 64<<10)
		for {
			n, err := r.Body.Read(piece)
			if n > 0 {
				result.Chunks = append(result.Chunks, Chunk{bytes.Clone(piece[:n]), time.Since(began)})
				result.Body = append(result.Body, piece[:n]...)
			}
			if err != nil {
				break
			}
		}
		result.Trailer = r.Trailer
		w.WriteHeader(http.StatusAccepted)
		select {
		case f.results <- result:
		case <-r.Context().Done():
		}
	})
	return mux
}

// samples is the folder of the sample events.
var samples = sync.OnceValues(func() (string, error) {
	module, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/aws/aws-lambda-go").Output()
	return filepath.Join(strings.TrimSpace(string(module)), "events", "testdata"), err
})

// Event reads one of the sample events of aws-lambda-go, by its file's name.
func Event[T any](tb testing.TB, name string) T {
	tb.Helper()
	folder, err := samples()
	must(tb, err)
	data, err := os.ReadFile(filepath.Join(folder, name))
	must(tb, err)
	var event T
	must(tb, json.Unmarshal(data, &event))
	return event
}
