package bedrocktest_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/bedrocktest"
)

// outcomes sends n requests by hand and tells how each ended.
func outcomes(t *testing.T, n int, path string, optFns ...func(*bedrocktest.Options)) []string {
	t.Helper()
	srv := echoServer(t, optFns...)
	var got []string
	for range n {
		client := srv.HTTPClient()
		resp, err := client.Do(request(t, srv, path, `{"messages":[`+user+`]}`))
		require.NoError(t, err)
		var b strings.Builder
		buf := make([]byte, 4096)
		var readErr error
		for readErr == nil {
			var n int
			n, readErr = resp.Body.Read(buf)
			b.Write(buf[:n])
		}
		resp.Body.Close()
		r := srv.Requests()
		o := r[len(r)-1].Outcome
		got = append(got, fmt.Sprint(resp.StatusCode, " ", o.Code, o.End))
	}
	return got
}

func withFaults(faults ...string) func(*bedrocktest.Options) {
	return func(o *bedrocktest.Options) {
		o.Seed = 42
		for _, s := range faults {
			f, err := bedrocktest.ParseFault(s)
			if err != nil {
				panic(err)
			}
			o.Faults = append(o.Faults, f)
		}
	}
}

func TestFaults(t *testing.T) {
	const stream = "/model/" + haiku + "/converse-stream"
	assert.Equal(t, []string{"200 ", "429 ThrottlingException", "200 "},
		outcomes(t, 3, stream, withFaults("nth=2,error=ThrottlingException")))
	assert.Equal(t, []string{"200 ", "200 cut", "200 ", "200 cut"},
		outcomes(t, 4, stream, withFaults("op=ConverseStream,every=2,cut=50")))
	assert.Equal(t, []string{"200 ", "200 "},
		outcomes(t, 2, stream, withFaults("op=Converse,error=ThrottlingException")))
	assert.Equal(t, []string{"200 aborted"}, outcomes(t, 1, stream, withFaults("abort=10")))
	assert.Equal(t, []string{"200 "}, outcomes(t, 1, stream, withFaults("html=200")))

	a := outcomes(t, 200, "/model/"+haiku+"/converse", withFaults("chance=0.2,error=InternalServerException"))
	b := outcomes(t, 200, "/model/"+haiku+"/converse", withFaults("chance=0.2,error=InternalServerException"))
	assert.Equal(t, a, b, "the seed decides")
	failed := strings.Count(strings.Join(a, ","), "500")
	assert.InDelta(t, 40, failed, 20)
}

// A fault that replaces the answer leaves the script alone.
func TestFaultKeepsTheScript(t *testing.T) {
	srv := bedrocktest.NewServer(t, inProcess, withFaults("nth=1,error=ServiceUnavailableException"))
	srv.Reply(bedrocktest.Text("Hello"))
	for i, want := range []int{503, 200} {
		resp, _ := do(t, srv, request(t, srv, "/model/"+haiku+"/converse", `{"messages":[`+user+`]}`))
		assert.Equal(t, want, resp.StatusCode, i)
	}
}

func TestFaultDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := echoServer(t, withFaults("delay=5s", "pace=1"))
		began := time.Now()
		_, err := readStream(t, srv.Client(), &bedrockruntime.ConverseStreamInput{ModelId: aws.String(haiku), Messages: userText("四五")})
		require.NoError(t, err)
		assert.Equal(t, 10*time.Second, time.Since(began)) // You, said, :, 四, 五
	})
}

func TestParseFaultErrors(t *testing.T) {
	for s, want := range map[string]string{
		"":                                   "no such setting",
		"nth=2":                              "does not say what happens",
		"op=Nothing,cut=1":                   "no such operation",
		"cut=x":                              "a whole number is expected",
		"cut=-1":                             "a whole number is expected",
		"chance=2,cut=1":                     "a number above 0",
		"chance=NaN,cut=1":                   "a number above 0",
		"chance=0,cut=1":                     "a number above 0",
		"nth=0,cut=1":                        "counted from 1",
		"every=0,cut=1":                      "counted from 1",
		"nth=1,every=2,end=1":                "twice which requests",
		"nth=1,nth=2,cut=1":                  "it is said twice",
		"cut=1,abort=2":                      "only one thing can happen",
		"error=ThrottlingException,delay=1s": "only one thing can happen",
		"error=Oops":                         "no such exception",
		"html=7":                             "an HTTP status",
		"exception=x@1":                      "an exception and a number",
		"stall=x":                            "a number of events",
		"delay=3":                            "a duration",
		"pace=0":                             "tokens a second",
		"frobnicate=1,cut=1":                 "no such setting",
	} {
		_, err := bedrocktest.ParseFault(s)
		require.Error(t, err, s)
		assert.Contains(t, err.Error(), want)
	}
}

// What cannot be meant is told when the server is started.
func TestOptionErrors(t *testing.T) {
	cut := func(r *bedrocktest.Reply) { r.CutAfter(1) }
	for want, opt := range map[string]func(*bedrocktest.Options){
		`fault 1: it does not say what happens`: func(o *bedrocktest.Options) { o.Faults = []bedrocktest.Fault{{Nth: 1}} },
		`fault 1: no such operation: "Convers"`: func(o *bedrocktest.Options) { o.Faults = []bedrocktest.Fault{{Op: "Convers", Apply: cut}} },
		`fault 1: requests are counted from 1`:  func(o *bedrocktest.Options) { o.Faults = []bedrocktest.Fault{{Nth: -1, Apply: cut}} },
		`fault 1: a chance of 5`:                func(o *bedrocktest.Options) { o.Faults = []bedrocktest.Fault{{Chance: 5, Apply: cut}} },
		`fault 2: it says twice which requests`: func(o *bedrocktest.Options) {
			o.Faults = []bedrocktest.Fault{{Apply: cut}, {Every: 2, Chance: 0.5, Apply: cut}}
		},
		`guardrail "g": the pattern card: error parsing regexp`: func(o *bedrocktest.Options) {
			o.Guardrails = []bedrocktest.Guardrail{{ID: "g", Patterns: map[string]string{"card": "("}}}
		},
		`guardrail "": it has no ID`: func(o *bedrocktest.Options) { o.Guardrails = []bedrocktest.Guardrail{{}} },
	} {
		_, err := bedrocktest.New(inProcess, opt)
		require.ErrorContains(t, err, "bedrocktest: "+want)
	}
}

func FuzzParseFault(f *testing.F) {
	f.Add("op=ConverseStream,nth=2,abort=300")
	f.Add("chance=0.05,exception=ModelStreamErrorException@3")
	f.Fuzz(func(t *testing.T, s string) {
		if strings.Contains(s, "gzip") {
			return // it builds a body of that size
		}
		fault, err := bedrocktest.ParseFault(s)
		if err == nil && fault.Instead == nil && fault.Apply == nil {
			t.Errorf("%q: a fault that does nothing", s)
		}
	})
}

func TestScript(t *testing.T) {
	sc, err := bedrocktest.ParseScript(strings.NewReader(`[
		{"when": {"contains": "WEATHER", "tool_result": false}, "repeat": true,
		 "blocks": [{"reasoning": "hm"}, {"text": "Let me look."}, {"tool_use": {"name": "weather", "input": {"city": "Tokyo"}}}]},
		{"when": {"model": "amazon.nova-lite-v1:0"}, "error": "ThrottlingException", "status": 400, "message": "slow", "header": {"Retry-After": "2"}},
		{"text": "Hello!", "stop": "stop_sequence", "usage": {"input_tokens": 7, "output_tokens": 8}},
		{"blocks": [{"chunks": ["a", "b"]}], "faults": ["cut=0"]},
		{"status": 503},
		{"error": "MyException", "status": 418, "message": "mine"}
	]`))
	require.NoError(t, err)
	srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) {
		o.InProcess, o.Responder = true, sc.Responder(bedrocktest.Echo)
	})
	ask := func(model, text string) (int, string) {
		resp, body := do(t, srv, request(t, srv, "/model/"+model+"/converse", `{"messages":[{"role":"user","content":[{"text":"`+text+`"}]}]}`))
		return resp.StatusCode, body
	}
	for range 2 {
		_, body := ask(haiku, "How is the weather?")
		assert.Contains(t, body, `"name":"weather"`)
	}
	status, body := ask("amazon.nova-lite-v1:0", "x")
	assert.Equal(t, 400, status)
	assert.Equal(t, "slow", message(body))
	_, body = ask(haiku, "x")
	assert.Contains(t, body, `"text":"Hello!"`)
	assert.Contains(t, body, `"inputTokens":7`)
	assert.Contains(t, body, `"stopReason":"stop_sequence"`)
	_, body = ask(haiku, "x")
	assert.Empty(t, body)
	status, body = ask(haiku, "x")
	assert.Equal(t, 503, status)
	assert.Equal(t, "{}", body)
	status, body = ask(haiku, "x")
	assert.Equal(t, 418, status)
	assert.Equal(t, "mine", message(body))
	_, body = ask(haiku, "x")
	assert.Contains(t, body, "You said: x")
	assert.Nil(t, sc.Responder(nil)(context.Background(), &bedrocktest.Request{}))
}

func TestScriptErrors(t *testing.T) {
	for s, want := range map[string]string{
		`{`:             "reading a script",
		``:              "line 1: unexpected end of JSON input",
		`{"text": "a"}`: "must be an array of steps",
		"[\n{\"text\":\"a\"},\n{\"text\":\"b\",}]": "line 3: invalid character",
		`[] x`:                                            "invalid character 'x' after top-level value",
		`[null]`:                                          "step 1: it is null",
		`[{"text": "b"},{"txt": "a"}]`:                    `step 2: json: unknown field "txt"`,
		`[{"text": "a", "delay": "soon"}]`:                "step 1: delay",
		`[{"text": "a", "delay": "-1s"}]`:                 "0 or more",
		`[{"text": "a", "pace": -1}]`:                     "0 or more",
		`[{"text":"a"},{"faults": ["x"]}]`:                "step 2: fault",
		`[{"faults": ["html=200"]}]`:                      "replaces the answer",
		`[{"faults": ["nth=2,cut=1"]}]`:                   "said by when",
		`[{"blocks": [{"tool_use": {}}]}]`:                "block 1: the tool has no name",
		`[{"blocks": [{}]}]`:                              "one of text, reasoning and tool_use",
		`[{"blocks": [{"text": "a", "reasoning": "b"}]}]`: "one of text, reasoning and tool_use",
		`[{"when": {"op": "X"}}]`:                         "no such operation",
		`[{"error": "X"}]`:                                "needs a status",
		`[{"error": "X", "status": 99}]`:                  "no HTTP status",
		`[{"error": "ThrottlingException", "text": "a"}]`: "an answer and an error",
		`[{"status": 503, "text": "a"}]`:                  "an answer and an error",
		`[{"message": "a"}]`:                              "that of an error",
		`[{"delay": "1s"}]`:                               "it says nothing",
	} {
		_, err := bedrocktest.ParseScript(strings.NewReader(s))
		require.Error(t, err, s)
		assert.Contains(t, err.Error(), want)
	}
}

// Faults change copies: what one request gets is not in the way of another that
// is answered with the same value at the same time.
func TestFaultsLeaveTheReplyAlone(t *testing.T) {
	keep := func(frames []bedrocktest.Frame) []bedrocktest.Frame { return frames }
	reply := bedrocktest.Text("Hello").Edit(keep).Edit(keep).Edit(keep)
	second := make(chan struct{})
	srv := bedrocktest.NewServer(t, inProcess, func(o *bedrocktest.Options) {
		o.Faults = []bedrocktest.Fault{
			{Nth: 1, Apply: func(r *bedrocktest.Reply) { r.EndAfter(1); <-second }},
			{Nth: 2, Apply: func(r *bedrocktest.Reply) { r.EndAfter(2); close(second) }},
		}
		o.Responder = func(context.Context, *bedrocktest.Request) *bedrocktest.Reply { return reply }
	})
	var wg sync.WaitGroup
	for range 2 {
		req := request(t, srv, "/model/"+haiku+"/converse-stream", `{"messages":[`+user+`]}`)
		wg.Go(func() {
			resp, err := srv.HTTPClient().Do(req)
			if assert.NoError(t, err) {
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		})
	}
	wg.Wait()
	var events []int
	for _, r := range srv.Requests() {
		events = append(events, r.Outcome.Events)
	}
	assert.ElementsMatch(t, []int{1, 2}, events)
}
