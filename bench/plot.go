package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"
)

// svg draws a race as bars of CPU: the first column of its table, for people
// who would rather look.
func (r *race) svg() []byte {
	const (
		width, label, bar, gap = 820, 345, 22, 10
		top                    = 56
		chart                  = width - label - 110
	)
	var most float64
	for _, row := range r.Rows {
		most = max(most, row.CPU)
	}
	height := top + len(r.Rows)*(bar+gap) + 14
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-labelledby="title desc">`+"\n", width, height)
	fmt.Fprintf(&b, "<title id=\"title\">%s</title>\n<desc id=\"desc\">%s</desc>\n", escaped(r.Title), escaped(r.words()))
	b.WriteString(`<style>
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.heading { font-size: 15px; font-weight: 600 }
.note { fill: #59636e }
.others { fill: #8c959f } .ours { fill: #0969da } .limit { fill: #d1d9e0 }
@media (prefers-color-scheme: dark) { text { fill: #f0f6fc } .note { fill: #9198a1 } .others { fill: #656c76 } .ours { fill: #4493f8 } .limit { fill: #3d444d } }
</style>
`)
	fmt.Fprintf(&b, "<text class=\"heading\" x=\"0\" y=\"18\">%s</text>\n", escaped(r.Title))
	fmt.Fprintf(&b, "<text class=\"note\" x=\"0\" y=\"38\">CPU time per %s, less is better; × is beside %s</text>\n", escaped(r.Per), escaped(r.Baseline))
	for i, row := range r.Rows {
		class := "others"
		switch {
		case strings.HasPrefix(row.Name, "bedrockkit"):
			class = "ours"
		case strings.HasPrefix(row.Name, "limit"):
			class = "limit"
		}
		y := top + i*(bar+gap)
		length := max(1, row.CPU/most*chart)
		fmt.Fprintf(&b, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", label-10, y+15, escaped(row.Name))
		fmt.Fprintf(&b, "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" rx=\"3\"/>\n", class, label, y, length, bar)
		fmt.Fprintf(&b, "<text x=\"%.1f\" y=\"%d\">%s (%.2f ×)</text>\n", label+length+8, y+15, duration(row.CPU), row.Ratio)
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// words says the same for people who do not see it.
func (r *race) words() string {
	var parts []string
	for _, row := range r.Rows {
		parts = append(parts, fmt.Sprintf("%s: %s, %.2f times %s", row.Name, duration(row.CPU), row.Ratio, r.Baseline))
	}
	return strings.Join(parts, "; ")
}

func duration(ns float64) string {
	if ns < 10_000 {
		return fmt.Sprintf("%.2f µs", ns/1000)
	}
	return fmt.Sprintf("%.0f µs", ns/1000)
}

func escaped(text string) string {
	var b strings.Builder
	if err := xml.EscapeText(&b, []byte(text)); err != nil {
		panic(err) // a strings.Builder does not fail
	}
	return b.String()
}
