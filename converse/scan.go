package converse

import (
	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/internal/jsonscan"
)

// A plainAnswer is what nearly every Converse response is: texts, and nothing
// that this version does not know.
type plainAnswer struct {
	message Message
	usage   bedrockkit.Usage
	reason  bedrockkit.StopReason
	tier    bedrockkit.ServiceTier
	latency bedrockkit.Latency
	took    int // milliseconds
}

// scan reads a response in one pass and reports whether it is a plain answer.
// What it refuses is read by parts.
func (a *plainAnswer) scan(data []byte) bool {
	s := jsonscan.New(data)
	// A member that comes twice is left to those who know which one counts.
	once := func(seen *uint, member uint) bool {
		first := *seen&member == 0
		*seen |= member
		return first
	}
	const (
		output = 1 << iota
		stopReason
		usage
		serviceTier
		performance
		metrics
		message
		role
		content
		inputTokens
		outputTokens
		cacheRead
		cacheWrite
	)
	var seen uint
	var all int64
	count := func(to *int64, member uint) bool {
		n, ok := s.Number()
		*to = int64(n)
		return ok && once(&seen, member)
	}
	ok := s.Object(func(key []byte) bool {
		switch string(key) {
		case "output":
			return once(&seen, output) && s.Object(func(key []byte) bool {
				return string(key) == "message" && once(&seen, message) && s.Object(func(key []byte) bool {
					switch string(key) {
					case "role":
						text, ok := s.Text()
						a.message.Role = Role(text)
						return ok && once(&seen, role)
					case "content":
						a.message.Content = Contents{}
						return once(&seen, content) && s.List(func() bool {
							blocks := 0
							ok := s.Object(func(key []byte) bool {
								if string(key) != "text" {
									return false
								}
								text, ok := s.Text()
								a.message.Content = append(a.message.Content, Text(text))
								blocks++
								return ok
							})
							return ok && blocks == 1
						})
					}
					return false
				})
			})
		case "stopReason":
			text, ok := s.Text()
			a.reason = bedrockkit.StopReason(text)
			return ok && text != "" && once(&seen, stopReason)
		case "usage":
			return once(&seen, usage) && s.Object(func(key []byte) bool {
				switch string(key) {
				case "inputTokens":
					return count(&a.usage.InputTokens, inputTokens)
				case "outputTokens":
					return count(&a.usage.OutputTokens, outputTokens)
				case "cacheReadInputTokens":
					return count(&a.usage.CacheReadTokens, cacheRead)
				case "cacheWriteInputTokens":
					return count(&a.usage.CacheWrite5mTokens, cacheWrite)
				case "totalTokens":
					n, ok := s.Number()
					all = int64(n)
					return ok
				}
				return false
			})
		case "metrics":
			return once(&seen, metrics) && s.Object(func(key []byte) (ok bool) {
				a.took, ok = s.Number()
				return ok && string(key) == "latencyMs"
			})
		case "serviceTier":
			return once(&seen, serviceTier) && s.Object(func(key []byte) bool {
				text, ok := s.Text()
				a.tier = bedrockkit.ServiceTier(text)
				return ok && string(key) == "type"
			})
		case "performanceConfig":
			return once(&seen, performance) && s.Object(func(key []byte) bool {
				text, ok := s.Text()
				a.latency = bedrockkit.Latency(text)
				return ok && string(key) == "latency"
			})
		}
		return false
	})
	const needed = output | message | role | content | stopReason | usage | inputTokens
	// Where the total says that the input includes what was cached, it is read by parts.
	inclusive := all != 0 && all == a.usage.InputTokens+a.usage.OutputTokens && all != a.usage.Total()
	return ok && s.End() && seen&needed == needed && !a.reason.Malformed() && !inclusive
}
