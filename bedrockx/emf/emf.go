package emf

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mangaassist/bedrockkit/bedrockx"
)

// Options are the options of [Middleware]. The zero value of a field means its
// default.
type Options struct {
	// Namespace is the namespace of the metrics: 1 to 255 letters, digits, spaces and
	// . - _ / # : and the first must not be a colon. The default is "Bedrock".
	Namespace string

	// Dimensions are the sets of dimensions of each metric, at most 30 names in a set.
	// The names are Operation, Model, Region and the names of Properties and of what
	// Tags returns. The default is one set of Operation and Model. If a call has no
	// value for a name, the sets with that name are left out for the call; if no set
	// is left, its metrics have no dimensions. A name has printable ASCII and does not
	// begin with a colon. In a value, other characters are written as \u and their
	// code, because CloudWatch would drop the line. A blank value counts as no value.
	Dimensions [][]string

	// Properties are added to each line.
	Properties map[string]string

	// Tags returns properties of one call, such as a tenant from its context. It must
	// be safe for concurrent use.
	Tags func(context.Context, *bedrockx.Call) map[string]string

	// Now is the clock; the default is time.Now.
	Now func() time.Time

	// OnError is called with the error of a write. It must be safe for concurrent use.
	// The default does nothing; a call does not fail because of a lost line.
	OnError func(ctx context.Context, err error)
}

// The bounds of the specification.
const (
	maxDimensions = 30
	maxNamespace  = 255
	maxName       = 250  // characters of a dimension's name
	maxValue      = 1024 // characters of a dimension's value
)

// Middleware returns a policy that writes a line to w when a call has ended. Each line
// is one Write, and only one Write runs at a time. It panics if CloudWatch would
// refuse the namespace or a dimension, because that is a mistake of the program.
func Middleware(w io.Writer, optFns ...func(*Options)) bedrockx.Middleware {
	var o Options
	for _, fn := range optFns {
		fn(&o)
	}
	if o.Namespace == "" {
		o.Namespace = "Bedrock"
	}
	if len(o.Dimensions) == 0 {
		o.Dimensions = [][]string{{"Operation", "Model"}}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if !namespace.MatchString(o.Namespace) {
		panic(fmt.Sprintf("emf: the namespace %q is not 1 to %d of letters, digits, spaces and . - _ / # :", o.Namespace, maxNamespace))
	}
	for _, set := range o.Dimensions {
		if len(set) > maxDimensions {
			panic(fmt.Sprintf("emf: a set of %d dimensions; the format allows %d", len(set), maxDimensions))
		}
		for _, name := range set {
			if n := len(name); strings.TrimSpace(name) == "" || n > maxName || ascii(name) != name || name[0] == ':' {
				panic(fmt.Sprintf("emf: the dimension %q is not 1 to %d printable ASCII characters, the first of them no colon", name, maxName))
			}
		}
	}
	writer := &writer{w: w, o: o}
	return func(next bedrockx.Handler) bedrockx.Handler {
		return func(ctx context.Context, call *bedrockx.Call) error {
			requested := string(call.Model)
			call.OnEnd(func(err error) { writer.call(ctx, call, requested, err) })
			return next(ctx, call)
		}
	}
}

type writer struct {
	o  Options
	mu sync.Mutex
	w  io.Writer
}

// A metric is a definition in the line's metadata.
type metric struct {
	Name string `json:"Name"`
	Unit string `json:"Unit,omitempty"`
}

func (w *writer) call(ctx context.Context, call *bedrockx.Call, requested string, err error) {
	line := map[string]any{}
	for name, value := range w.o.Properties {
		line[name] = value
	}
	if w.o.Tags != nil {
		for name, value := range w.o.Tags(ctx, call) {
			line[name] = value
		}
	}
	set := func(name, value string) {
		if value != "" {
			line[name] = value
		}
	}
	set("Operation", string(call.Op))
	set("Model", string(call.Model))
	set("Region", call.Region)
	set("RequestId", call.RequestID)
	set("StopReason", string(call.StopReason))
	set("ErrorKind", string(bedrockx.KindOf(err)))
	if requested != string(call.Model) {
		set("RequestedModel", requested)
	}

	var metrics []metric
	measure := func(name, unit string, value any) {
		metrics = append(metrics, metric{name, unit})
		line[name] = value
	}
	measure("Calls", "Count", 1)
	measure("Errors", "Count", count(err != nil))
	measure("Latency", "Milliseconds", milliseconds(call.Latency))
	if call.FirstOutput > 0 {
		measure("FirstOutput", "Milliseconds", milliseconds(call.FirstOutput))
	}
	if u := call.Usage; !u.Unknown && (err == nil || u.Total() > 0) {
		measure("InputTokens", "Count", u.InputTokens)
		measure("OutputTokens", "Count", u.OutputTokens)
		measure("CacheReadTokens", "Count", u.CacheReadTokens)
		measure("CacheWriteTokens", "Count", u.CacheWrite5mTokens+u.CacheWrite30mTokens+u.CacheWrite1hTokens)
	}
	if call.Cost != nil {
		measure("CostUSD", "None", json.Number(call.Cost.String()))
	}
	measure("Attempts", "Count", call.Attempts)
	measure("CacheHit", "Count", count(call.CacheHit))
	measure("Fallback", "Count", count(call.Fallback))

	line["_aws"] = map[string]any{
		"Timestamp": w.o.Now().UnixMilli(),
		"CloudWatchMetrics": []any{map[string]any{
			"Namespace": w.o.Namespace, "Dimensions": w.dimensions(line), "Metrics": metrics,
		}},
	}
	data, failed := json.Marshal(line)
	if failed == nil {
		w.mu.Lock()
		_, failed = w.w.Write(append(data, '\n'))
		w.mu.Unlock()
	}
	if failed != nil && w.o.OnError != nil {
		w.o.OnError(ctx, failed)
	}
}

// dimensions are the sets whose values the line has, in the form that CloudWatch
// accepts.
func (w *writer) dimensions(line map[string]any) [][]string {
	sets := [][]string{}
next:
	for _, set := range w.o.Dimensions {
		for _, name := range set {
			value, ok := line[name].(string)
			if !ok || strings.TrimSpace(value) == "" {
				continue next
			}
			line[name] = ascii(value)
		}
		sets = append(sets, set)
	}
	if len(sets) == 0 {
		sets = append(sets, []string{}) // the format wants a set
	}
	return sets
}

// namespace is a namespace that CloudWatch accepts (Amazon CloudWatch API
// Reference, PutMetricData).
var namespace = regexp.MustCompile(`^[0-9A-Za-z.\-_/# ][0-9A-Za-z.\-_/#: ]{0,254}$`)

// ascii is a text in printable ASCII, as short as the value of a dimension may be.
func ascii(text string) string {
	var b strings.Builder
	for _, r := range text {
		piece := string(r)
		if r < ' ' || r > '~' {
			piece = strings.Trim(strconv.QuoteToASCII(piece), `"`)
		}
		if b.Len()+len(piece) > maxValue {
			break
		}
		b.WriteString(piece)
	}
	return b.String()
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}
