package quota_test

import (
	"bytes"
	"fmt"
)

// plot draws a day as two panels of lines, an hour's mean at each quarter of an hour:
// what was asked and answered, and what was throttled.
func plot(questions []question, results map[string]*tally) []byte {
	const width, left, right, top, panel, gap = 820, 56, 190, 66, 170, 56
	var asked minutes
	for _, q := range questions {
		asked[min(len(asked)-1, int(q.at.Minutes()))]++
	}
	type line struct {
		class, label string
		of           *minutes
	}
	panels := []struct {
		title string
		lines []line
	}{
		{"questions a minute", []line{
			{"asked", "asked", &asked},
			{"limit", "answered, oracle", &results["oracle"].answered},
			{"ours", "answered, limiter", &results[shared].answered},
		}},
		{"requests a minute that the service throttles", []line{
			{"others", "SDK, standard retries", &results["SDK, standard retries"].throttled},
			{"adaptive", "SDK, adaptive retries", &results["SDK, adaptive retries"].throttled},
			{"ours", "limiter", &results[shared].throttled},
		}},
	}
	var b bytes.Buffer
	height := top + len(panels)*(panel+gap)
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-labelledby="title desc">`+"\n", width, height)
	fmt.Fprintf(&b, "<title id=\"title\">A simulated day with a quota that its evening exceeds</title>\n<desc id=\"desc\">Of %d questions the limiter answers %d and the oracle %d. "+
		"Throttled are %d requests of the SDK with standard retries, %d with adaptive ones and %d of the limiter.</desc>\n", len(questions),
		results[shared].answered.sum(), results["oracle"].answered.sum(), results["SDK, standard retries"].throttled.sum(),
		results["SDK, adaptive retries"].throttled.sum(), results[shared].throttled.sum())
	b.WriteString(`<style>
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.heading { font-size: 15px; font-weight: 600 }
.note { fill: #59636e }
polyline { fill: none; stroke-width: 2 }
.grid { stroke: #d1d9e0 }
.asked { stroke: #afb8c1; stroke-dasharray: 4 3 } .limit { stroke: #1a7f37; stroke-width: 4; opacity: .5 }
.ours { stroke: #0969da } .others { stroke: #8c959f } .adaptive { stroke: #bc4c00 }
@media (prefers-color-scheme: dark) { text { fill: #f0f6fc } .note { fill: #9198a1 } .grid { stroke: #3d444d } .ours { stroke: #4493f8 } }
</style>
`)
	fmt.Fprintf(&b, "<text class=\"heading\" x=\"0\" y=\"18\">A simulated day with a quota that its evening exceeds</text>\n")
	fmt.Fprintf(&b, "<text class=\"note\" x=\"0\" y=\"38\">%d questions, %d processes; the means of an hour</text>\n", len(questions), processes)
	for i, p := range panels {
		y0 := float64(top + i*(panel+gap) + panel) // the axis
		most := 1.0
		means := make([][]float64, len(p.lines))
		for k, l := range p.lines {
			for at := 0; at <= len(l.of); at += 15 {
				from, to := max(0, at-30), min(len(l.of), at+30)
				sum := 0
				for _, n := range l.of[from:to] {
					sum += n
				}
				means[k] = append(means[k], float64(sum)/float64(to-from))
				most = max(most, means[k][len(means[k])-1])
			}
		}
		x := func(hour float64) float64 { return left + hour/24*(width-left-right) }
		y := func(v float64) float64 { return y0 - v/most*(panel-24) }
		fmt.Fprintf(&b, "<text class=\"note\" x=\"0\" y=\"%.0f\">%s</text>\n", y0-panel+6, p.title)
		for _, v := range []float64{0, most / 2, most} {
			fmt.Fprintf(&b, "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/><text class=\"note\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.0f</text>\n",
				left, width-right, y(v), y(v), left-8, y(v)+4, v)
		}
		for hour := 0; hour <= 24; hour += 6 {
			fmt.Fprintf(&b, "<text class=\"note\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%d:00</text>\n", x(float64(hour)), y0+18, hour)
		}
		for k, l := range p.lines {
			fmt.Fprintf(&b, "<polyline class=\"%s\" points=\"", l.class)
			for q, v := range means[k] {
				fmt.Fprintf(&b, "%.1f,%.1f ", x(float64(q)/4), y(v))
			}
			b.WriteString("\"/>\n")
			at := y0 - panel + 30 + float64(k)*20
			fmt.Fprintf(&b, "<line class=\"%s\" x1=\"%d\" x2=\"%d\" y1=\"%.0f\" y2=\"%.0f\" stroke-width=\"3\"/><text x=\"%d\" y=\"%.0f\">%s</text>\n",
				l.class, width-right+8, width-right+24, at, at, width-right+30, at+4, l.label)
		}
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}
