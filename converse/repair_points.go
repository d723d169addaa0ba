package converse

import (
	"slices"
	"strconv"

	"github.com/mangaassist/bedrockkit"
)

func (m *repairer) dropLeadingPoints(msg *repaired) {
	for len(msg.pieces) > 0 {
		if _, ok := msg.pieces[0].Content.(CachePoint); !ok {
			return
		}
		m.change(msg.pieces[0].path(), "a cache point with nothing before it was left out")
		msg.pieces = msg.pieces[1:]
	}
}

// cachePoints fixes where the points stand, how many there are and their TTLs.
func (m *repairer) cachePoints() {
	uncached := m.subject.no(bedrockkit.FeaturePromptCache)
	m.out.Tools = slices.Clone(m.out.Tools)
	for i := range m.out.Tools {
		if t := &m.out.Tools[i]; t.CachePoint != nil && (uncached || m.subject.PromptCache.Tools == bedrockkit.No) {
			m.change("toolConfig.tools["+strconv.Itoa(i)+"]", "the cache point was left out, which the model does not take here")
			t.CachePoint = nil
		}
	}
	if uncached {
		m.out.System = slices.DeleteFunc(m.out.System, func(c Content) bool { // our own slice
			_, ok := c.(CachePoint)
			if ok {
				m.change("system", "a cache point was left out: the model caches no prompts")
			}
			return ok
		})
	}
	for i := range m.messages {
		m.messages[i].pieces = m.place(m.messages[i].pieces, uncached)
	}
	m.bound()
	m.ttls()
}

// place moves cache points before the blocks that they may not follow.
func (m *repairer) place(pieces []piece, uncached bool) []piece {
	kept := make([]piece, 0, len(pieces))
	for _, p := range pieces {
		if _, ok := p.Content.(CachePoint); !ok {
			kept = append(kept, p)
			continue
		}
		if uncached {
			m.change(p.path(), "a cache point was left out: the model caches no prompts")
			continue
		}
		at := len(kept)
		for at > 0 && !cacheable(kept[at-1].Content) {
			at--
		}
		isPoint := false
		if at > 0 {
			_, isPoint = kept[at-1].Content.(CachePoint)
		}
		switch {
		case at == len(kept):
			kept = append(kept, p)
		case at == 0 || isPoint:
			m.change(p.path(), "a cache point was left out, which the service does not take here")
		default:
			m.change(p.path(), "a cache point was put before blocks that it may not follow")
			kept = slices.Insert(kept, at, p)
		}
	}
	return kept
}

// bound leaves out the points that are too many: the oldest of the messages
// first, as the tools and the system prompt change least.
func (m *repairer) bound() {
	surplus := countPoints(m.out.Tools, m.out.System) - m.subject.maxPoints()
	for _, msg := range m.messages {
		for _, p := range msg.pieces {
			if _, ok := p.Content.(CachePoint); ok {
				surplus++
			}
		}
	}
	drop := func(c Content, path string) bool {
		if _, ok := c.(CachePoint); !ok || surplus <= 0 {
			return false
		}
		surplus--
		m.change(path, "a cache point was left out: %d are allowed", m.subject.maxPoints())
		return true
	}
	for i := range m.messages {
		m.messages[i].pieces = slices.DeleteFunc(m.messages[i].pieces, func(p piece) bool { return drop(p.Content, p.path()) })
	}
	m.out.System = slices.DeleteFunc(m.out.System, func(c Content) bool { return drop(c, "system") })
	for i := range m.out.Tools {
		if t := &m.out.Tools[i]; t.CachePoint != nil && drop(*t.CachePoint, "toolConfig.tools["+strconv.Itoa(i)+"]") {
			t.CachePoint = nil
		}
	}
}

// countPoints is how many cache points stand before the messages.
func countPoints(tools []ToolSpec, system Contents) (n int) {
	for _, t := range tools {
		if t.CachePoint != nil {
			n++
		}
	}
	for _, c := range system {
		if _, ok := c.(CachePoint); ok {
			n++
		}
	}
	return n
}

// ttls makes TTLs that are not allowed the default one.
func (m *repairer) ttls() {
	short := false
	mend := func(p CachePoint, path string) CachePoint {
		long := p.TTL == "30m" || p.TTL == "1h"
		if (long || p.TTL == "5m") && (long && short || m.subject.PromptCache.TTL(p.TTL) == bedrockkit.No) {
			m.change(path, "the TTL of a cache point became the default one")
			p.TTL = ""
		}
		short = short || p.TTL == "" || p.TTL == "5m"
		return p
	}
	for i := range m.out.Tools {
		if t := &m.out.Tools[i]; t.CachePoint != nil {
			p := mend(*t.CachePoint, "toolConfig.tools["+strconv.Itoa(i)+"]")
			t.CachePoint = &p
		}
	}
	for i, c := range m.out.System {
		if p, ok := c.(CachePoint); ok {
			m.out.System[i] = mend(p, "system["+strconv.Itoa(i)+"]")
		}
	}
	for _, msg := range m.messages {
		for j, piece := range msg.pieces {
			if p, ok := piece.Content.(CachePoint); ok {
				msg.pieces[j].Content = mend(p, piece.path())
			}
		}
	}
}
