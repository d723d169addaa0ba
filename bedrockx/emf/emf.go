package emf

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/mangaassist/bedrockkit/bedrockx"
)

// Options are those of [Middleware]. The zero value of a field means its
// default.
type Options struct {
	// Namespace of the metrics; the default is "Bedrock".
	Namespace string

	// Dimensions are the sets of dimensions that each metric is kept by, at
	// most 30 in a set. Known are Operation, Model, Region and the names of
	// Properties and of what Tags returns. The default is one set of Operation
	// and Model. A set with a name that a call has no value for is left out
	// for that call; where none is left, its metrics have no dimensions.
	Dimensions [][]string

	// Properties are added to each line.
	Properties map[string]string

	// Tags returns properties of one call, such as a tenant that its context
	// holds. It must be safe for concurrent use.
	Tags func(context.Context, *bedrockx.Call) map[string]string

	// Now is the clock; the default is time.Now.
	Now func() time.Time

	// OnError is told what a write failed with. The default does nothing: a
	// call does not fail for a line that was lost.
	OnError func(error)
}

// The bounds of the specification.
const (
	maxDimensions = 30
	maxName       = 250  // characters of a dimension's name
	maxValue      = 1024 // bytes of a dimension's value
)

// Middleware returns a policy that writes a line to w when a call has ended,
// with one Write each, one at a time. It panics where the dimensions are more
// than the format allows, which is a mistake of the program.
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
	for _, set := range o.Dimensions {
		if len(set) > maxDimensions {
			panic(fmt.Sprintf("emf: a set of %d dimensions; the format allows %d", len(set), maxDimensions))
		}
		for _, name := range set {
			if n := utf8.RuneCountInString(name); n == 0 || n > maxName {
				panic(fmt.Sprintf("emf: the dimension %q has %d characters; the format allows 1 to %d", name, n, maxName))
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
	set("Region", call.Region())
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
		w.o.OnError(failed)
	}
}

// dimensions are the sets whose values the line has, shortened to what the
// format allows.
func (w *writer) dimensions(line map[string]any) [][]string {
	sets := [][]string{}
next:
	for _, set := range w.o.Dimensions {
		for _, name := range set {
			value, ok := line[name].(string)
			if !ok || value == "" {
				continue next
			}
			if len(value) > maxValue {
				line[name] = strings.ToValidUTF8(value[:maxValue], "")
			}
		}
		sets = append(sets, set)
	}
	if len(sets) == 0 {
		sets = append(sets, []string{}) // the format wants a set
	}
	return sets
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}
