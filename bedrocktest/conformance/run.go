package conformance

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/internal/eventstream"
	"github.com/mangaassist/bedrockkit/pricing"
)

// A Target is a Bedrock that cases are sent to.
type Target struct {
	// Runtime and Control are the endpoints, as https://host.
	Runtime, Control string

	// Region is what requests are signed for and priced by.
	Region string

	// Credentials sign the requests.
	Credentials aws.CredentialsProvider

	// Client sends them. The default is http.DefaultClient.
	Client *http.Client

	// Live says that the target is an account: cases that are local are skipped.
	Live bool
}

// Fake is a server of package bedrocktest as a target. It needs the Options that
// [ForFake] sets.
func Fake(srv *bedrocktest.Server) *Target {
	cfg := srv.Config()
	return &Target{Runtime: srv.URL(), Control: srv.URL(), Region: cfg.Region, Credentials: cfg.Credentials, Client: srv.HTTPClient()}
}

// ForFake sets what the cases need of a fake: a model that answers, a guardrail,
// an application inference profile.
func ForFake(o *bedrocktest.Options) {
	o.Responder = bedrocktest.Echo
	o.Guardrails = []bedrocktest.Guardrail{{ID: "gr1", Version: "1", Words: []string{"forbidden"}, InputMessage: "Blocked."}}
	o.Profiles = map[bedrockkit.ModelID]bedrockkit.ModelID{
		"arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/conformance": "anthropic.claude-haiku-4-5-20251001-v1:0",
	}
}

// Account is the service in a region as a target.
func Account(cfg aws.Config) *Target {
	return &Target{
		Runtime: "https://bedrock-runtime." + cfg.Region + ".amazonaws.com", Control: "https://bedrock." + cfg.Region + ".amazonaws.com",
		Region: cfg.Region, Credentials: cfg.Credentials, Live: true,
	}
}

// A Result is what came of one case. Differences is empty if the target answers
// as the case says; Skipped says why it was not sent.
type Result struct {
	Case        Case
	Skipped     string
	Differences []string
}

// maxAnswer bounds what is read of an answer.
const maxAnswer = 8 << 20

// Run sends the cases, one after the other, and returns what came of each. What
// a request can cost is set aside from the budget before it is sent; what was
// answered counts as spent in full, so that the budget is a bound. It fails if
// a request cannot be sent or the context ends; what came before is returned.
func (t *Target) Run(ctx context.Context, cases []Case, budget *pricing.Budget) (Report, error) {
	var report Report
	for _, c := range cases {
		r := Result{Case: c}
		bound, skipped := t.reserve(c, budget)
		if r.Skipped = skipped; skipped == "" {
			answer, err := t.send(ctx, c)
			if err != nil {
				return report, fmt.Errorf("conformance: %s: %w", c.Name, err)
			}
			spent := pricing.Spend{}
			if answer.status == http.StatusOK {
				spent = bound
			}
			budget.Settle(bound, spent)
			r.Differences = answer.differences(c)
		}
		report = append(report, r)
	}
	return report, nil
}

// reserve sets aside what a case can cost, or says why it is not sent.
func (t *Target) reserve(c Case, budget *pricing.Budget) (pricing.Spend, string) {
	if t.Live && c.Local != "" {
		return pricing.Spend{}, c.Local
	}
	if !t.Live || !c.asks() {
		return pricing.Spend{}, ""
	}
	r := pricing.Request{Text: string(c.Body), Tools: true, MaxOutputTokens: c.maxTokens()}
	if bytes.Contains(c.Body, []byte(`"cachePoint"`)) || bytes.Contains(c.Body, []byte(`"cache_control"`)) {
		r.CacheWrite = pricing.CacheWrite5m // or the dearest
	}
	bound, err := pricing.Default().Bound(c.Model, r,
		func(o *pricing.CostOptions) { o.Region = t.Region })
	spend := pricing.Spend{Cost: bound}
	if err == nil {
		err = budget.Reserve(spend)
	}
	if err != nil {
		return pricing.Spend{}, err.Error()
	}
	return spend, ""
}

// maxTokens is the bound that the request itself has on its output, in any of
// the bodies; 0 for none.
func (c Case) maxTokens() int64 {
	var body struct {
		InferenceConfig struct {
			MaxTokens    int64 `json:"maxTokens"`
			MaxNewTokens int64 `json:"max_new_tokens"`
		} `json:"inferenceConfig"`
		MaxTokens           int64 `json:"max_tokens"`
		MaxCompletionTokens int64 `json:"max_completion_tokens"`
		MaxGenLen           int64 `json:"max_gen_len"`
	}
	_ = json.Unmarshal(c.Body, &body) // a body that cannot be read has no bound
	return max(body.InferenceConfig.MaxTokens, body.InferenceConfig.MaxNewTokens, body.MaxTokens, body.MaxCompletionTokens, body.MaxGenLen, 0)
}

// An answer is what the target sent.
type answer struct {
	status  int
	code    string
	message string
	bodies  []any // the body, or the payloads of a stream's events
	events  []string
}

func (t *Target) send(ctx context.Context, c Case) (*answer, error) {
	endpoint, path := t.Runtime, c.Path
	if c.control() {
		endpoint = t.Control
	}
	if name, ok := operations[c.Op]; ok {
		path = "/model/" + url.PathEscape(string(c.Model)) + "/" + name
	}
	method := http.MethodPost
	if c.Body == nil {
		method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(ctx, method, endpoint+path, bytes.NewReader(c.Body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	for name, value := range c.Headers {
		req.Header.Set(name, value)
	}
	creds, err := t.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(c.Body)
	if err := v4.NewSigner().SignHTTP(ctx, creds, req, hex.EncodeToString(sum[:]), "bedrock", t.Region, time.Now()); err != nil {
		return nil, err
	}
	client := t.Client
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	a := &answer{status: resp.StatusCode}
	a.code, _, _ = strings.Cut(resp.Header.Get("X-Amzn-Errortype"), ":")
	body := io.LimitReader(resp.Body, maxAnswer)
	if c.streams() && resp.StatusCode == http.StatusOK {
		return a, a.readEvents(body)
	}
	data, err := io.ReadAll(body)
	if err != nil {
		return nil, err
	}
	var v any
	if json.Unmarshal(data, &v) == nil {
		a.bodies = append(a.bodies, v)
		a.message, _ = member(v, "message").(string)
	}
	return a, nil
}

func (a *answer) readEvents(body io.Reader) error {
	frames := eventstream.NewReader(body, 0)
	for {
		f, err := frames.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		kind := string(f.EventType)
		if kind == "" {
			kind = string(f.ExceptionType)
		}
		a.events = append(a.events, kind)
		payload := f.Payload
		var chunk struct {
			Bytes []byte `json:"bytes"`
		}
		if kind == "chunk" && json.Unmarshal(payload, &chunk) == nil {
			payload = chunk.Bytes
		}
		var v any
		if json.Unmarshal(payload, &v) == nil {
			a.bodies = append(a.bodies, v)
		}
	}
}

// differences says where the answer is another than that of the case.
func (a *answer) differences(c Case) (all []string) {
	differ := func(what string, want, got any) {
		all = append(all, fmt.Sprintf("%s: want %v, got %v", what, want, got))
	}
	if a.status != c.Status {
		differ("status", c.Status, strconv.Itoa(a.status)+" "+a.message)
		return all
	}
	if a.code != c.Code {
		differ("code", c.Code, a.code)
	}
	if !strings.Contains(a.message, c.Message) {
		differ("message", c.Message, a.message)
	}
	for _, path := range c.Has {
		found := false
		for _, body := range a.bodies {
			found = found || member(body, path) != nil
		}
		if !found {
			differ("member", path, "none")
		}
	}
	rest := a.events
	for _, want := range c.Events {
		i := 0
		for i < len(rest) && rest[i] != want {
			i++
		}
		if i == len(rest) {
			differ("events", strings.Join(c.Events, " "), strings.Join(a.events, " "))
			break
		}
		rest = rest[i+1:]
	}
	return all
}

// member follows a path of keys and indexes.
func member(v any, path string) any {
	for key := range strings.SplitSeq(path, ".") {
		switch c := v.(type) {
		case map[string]any:
			v = c[key]
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i < 0 || i >= len(c) {
				return nil
			}
			v = c[i]
		default:
			return nil
		}
	}
	return v
}

// A Report is what came of the cases, in their order.
type Report []Result

// Different are the results of cases that the target answers in another way.
func (r Report) Different() (list []Result) {
	for _, result := range r {
		if len(result.Differences) > 0 {
			list = append(list, result)
		}
	}
	return list
}

// Skipped is how many cases were not sent.
func (r Report) Skipped() (n int) {
	for _, result := range r {
		if result.Skipped != "" {
			n++
		}
	}
	return n
}

// Table is a table in Markdown of where the target differs, ready for an issue,
// with a line of counts before it.
func (r Report) Table() string {
	different := r.Different()
	var b strings.Builder
	fmt.Fprintf(&b, "%d cases: %d differ, %d were skipped.\n", len(r), len(different), r.Skipped())
	if len(different) == 0 {
		return b.String()
	}
	b.WriteString("\n| case | operation | model | difference | source |\n| --- | --- | --- | --- | --- |\n")
	for _, result := range different {
		c := result.Case
		for _, d := range result.Differences {
			cells := []string{c.Name, string(c.Op), string(c.Model), d, c.Source}
			for i, cell := range cells {
				cells[i] = strings.NewReplacer("|", "\\|", "\n", " ").Replace(cell)
			}
			fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | "))
		}
	}
	return b.String()
}
