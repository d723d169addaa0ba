package metrics

import (
	"bufio"
	"io"
	"slices"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// write writes metrics in the text format of Prometheus, version 0.0.4. Names and
// units become what OpenTelemetry's compatibility specification says
// (Prometheus and OpenMetrics Compatibility): dots are underscores, a unit is a
// suffix, and so is the total of a counter.
func write(w io.Writer, data *metricdata.ResourceMetrics) error {
	t := text{bufio.NewWriter(w)}
	var all []metricdata.Metrics
	for _, scope := range data.ScopeMetrics {
		all = append(all, scope.Metrics...)
	}
	slices.SortFunc(all, func(a, b metricdata.Metrics) int { return strings.Compare(a.Name, b.Name) })
	for _, m := range all {
		name := underscores(m.Name) + suffix(m.Unit)
		switch d := m.Data.(type) {
		case metricdata.Sum[int64]:
			numbers(t, m, name, d.IsMonotonic, d.DataPoints)
		case metricdata.Sum[float64]:
			numbers(t, m, name, d.IsMonotonic, d.DataPoints)
		case metricdata.Gauge[int64]:
			numbers(t, m, name, false, d.DataPoints)
		case metricdata.Gauge[float64]:
			numbers(t, m, name, false, d.DataPoints)
		case metricdata.Histogram[int64]:
			histograms(t, m, name, d.DataPoints)
		case metricdata.Histogram[float64]:
			histograms(t, m, name, d.DataPoints)
		}
	}
	return t.Flush()
}

type text struct{ *bufio.Writer }

// head says what the lines after it are.
func (t text) head(m metricdata.Metrics, name, kind string) {
	t.WriteString("# HELP " + name + " " + strings.NewReplacer(`\`, `\\`, "\n", `\n`).Replace(m.Description) + "\n")
	t.WriteString("# TYPE " + name + " " + kind + "\n")
}

func (t text) line(name, labels, value string) {
	t.WriteString(name)
	if labels != "" {
		t.WriteString("{" + labels + "}")
	}
	t.WriteString(" " + value + "\n")
}

func numbers[N int64 | float64](t text, m metricdata.Metrics, name string, counter bool, points []metricdata.DataPoint[N]) {
	kind := "gauge"
	if counter {
		kind, name = "counter", name+"_total"
	}
	t.head(m, name, kind)
	for _, p := range points {
		t.line(name, labels(p.Attributes), number(float64(p.Value)))
	}
}

func histograms[N int64 | float64](t text, m metricdata.Metrics, name string, points []metricdata.HistogramDataPoint[N]) {
	t.head(m, name, "histogram")
	for _, p := range points {
		own := labels(p.Attributes)
		with := own
		if with != "" {
			with += ","
		}
		var sum uint64
		for i, bound := range p.Bounds {
			sum += p.BucketCounts[i]
			t.line(name+"_bucket", with+`le="`+number(bound)+`"`, strconv.FormatUint(sum, 10))
		}
		t.line(name+"_bucket", with+`le="+Inf"`, strconv.FormatUint(p.Count, 10))
		t.line(name+"_sum", own, number(float64(p.Sum)))
		t.line(name+"_count", own, strconv.FormatUint(p.Count, 10))
	}
}

// labels are the attributes of a point, in the order of their names.
func labels(set attribute.Set) string {
	var parts []string
	for iter := set.Iter(); iter.Next(); {
		kv := iter.Attribute()
		value := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(strings.ToValidUTF8(kv.Value.String(), "\ufffd"))
		parts = append(parts, underscores(string(kv.Key))+`="`+value+`"`)
	}
	return strings.Join(parts, ",")
}

func number(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

// underscores is a name as Prometheus takes it.
func underscores(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, name)
}

// suffix is what a unit adds to a name. One in braces is a word for people.
func suffix(unit string) string {
	switch {
	case unit == "s":
		return "_seconds"
	case unit == "" || unit[0] == '{':
		return ""
	}
	return "_" + underscores(unit)
}
