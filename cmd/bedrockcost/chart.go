package main

import (
	"bytes"
	"encoding/xml"
	"fmt"

	"github.com/mangaassist/bedrockkit/pricing"
)

// colours are told apart with any kind of colour vision (Okabe and Ito).
var colours = map[pricing.Dimension]string{
	pricing.Input: "#0072b2", pricing.Output: "#d55e00", pricing.CacheRead: "#009e73", pricing.CacheWrite5m: "#cc79a7",
}

const (
	chartWidth = 760
	labelWidth = 330
	barHeight  = 26
	rowHeight  = 40
	titleSpace = 70
)

// chart draws where the money of a forecast goes: a bar for each model, made
// of its dimensions, and one for each saving.
func chart(in *pricing.Workload, f *pricing.Forecast) []byte {
	var b bytes.Buffer
	var scale pricing.Amount // the longest bar
	width := func(a pricing.Amount) float64 {
		if scale.Sign() <= 0 || a.Sign() <= 0 {
			return 0
		}
		return (chartWidth - labelWidth - 110) * a.Float64() / scale.Float64()
	}
	type bar struct {
		name  string
		total pricing.Amount
		parts []pricing.Part // none: a saving
	}
	var bars []bar
	for _, m := range f.PerModel {
		bars = append(bars, bar{string(m.Model), m.Cost, m.Parts})
	}
	for _, s := range []bar{
		{name: "saved by caching responses", total: f.Savings.ResponseCache},
		{name: "saved by caching prompts", total: f.Savings.PromptCache},
		{name: "saved by batches", total: f.Savings.Batch},
	} {
		if s.total.Sign() > 0 {
			bars = append(bars, s)
		}
	}
	for _, r := range bars {
		if r.total.Cmp(scale) > 0 {
			scale = r.total
		}
	}
	height := titleSpace + rowHeight*len(bars) + 40
	title := fmt.Sprintf("%s in %d days, %d messages a day", f.Cost.Display(3), f.Days, in.MessagesPerDay)
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 %d %d" width="%d" height="%d" font-family="sans-serif" font-size="13">`+"\n",
		chartWidth, height, chartWidth, height)
	fmt.Fprintf(&b, "<title>%s</title>\n<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n", escape(title))
	fmt.Fprintf(&b, `<text x="16" y="30" font-size="18" font-weight="bold">Where the money goes: %s</text>`+"\n", escape(title))
	used, batches := map[pricing.Dimension]bool{}, false
	for i, r := range bars {
		y := titleSpace + rowHeight*i
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end" font-size="12">%s</text>`+"\n", labelWidth-8, y+18, escape(clip(r.name)))
		x := float64(labelWidth)
		if r.parts == nil {
			fmt.Fprintf(&b, `<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="none" stroke="#666666" stroke-dasharray="4 3"/>`+"\n", x, y, width(r.total), barHeight)
			x += width(r.total)
		}
		for _, p := range r.parts {
			opacity := 1.0
			if p.Tier == pricing.TierBatch {
				opacity, batches = 0.55, true
			}
			used[p.Dimension] = true
			fmt.Fprintf(&b, `<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s" fill-opacity="%g"><title>%s, tier %s: %s</title></rect>`+"\n",
				x, y, width(p.Amount), barHeight, colours[p.Dimension], opacity, p.Dimension, p.Tier, escape(p.Amount.Display(3)))
			x += width(p.Amount)
		}
		fmt.Fprintf(&b, `<text x="%.1f" y="%d">%s</text>`+"\n", x+8, y+18, escape(r.total.Display(3)))
	}
	x := 16
	for _, d := range pricing.Dimensions() {
		if !used[d] {
			continue
		}
		fmt.Fprintf(&b, `<rect x="%d" y="%d" width="12" height="12" fill="%s"/><text x="%d" y="%d">%s</text>`+"\n",
			x, height-30, colours[d], x+17, height-19, d)
		x += 130
	}
	if batches {
		fmt.Fprintf(&b, `<text x="%d" y="%d">paler: by batches</text>`+"\n", x, height-19)
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// clip shortens what has no room beside a bar, such as an ARN.
func clip(name string) string {
	const room = 48
	if len(name) <= room {
		return name
	}
	return "…" + name[len(name)-room:]
}

func escape(s string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(s)) // a bytes.Buffer takes all
	return b.String()
}
