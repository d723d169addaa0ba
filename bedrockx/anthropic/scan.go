package anthropic

import "github.com/mangaassist/bedrockkit/internal/jsonscan"

// scan reads the response that nearly every one is, of texts and nothing that
// this version does not know, and reports whether it is one. It takes a third
// of the time of encoding/json.
func (r *Response) scan(data []byte) bool {
	v := Response{}
	s := jsonscan.New(data)
	ok := s.Object(func(key []byte) bool {
		switch string(key) {
		case "id":
			return text(&s, &v.ID)
		case "type":
			return text(&s, &v.Type)
		case "role":
			return text(&s, &v.Role)
		case "model":
			return text(&s, &v.Model)
		case "stop_reason":
			return text(&s, &v.StopReason)
		case "stop_sequence":
			return s.Word("null") || text(&s, &v.StopSequence)
		case "content":
			v.Content = Blocks{}
			return s.List(func() bool {
				var b Block
				ok := s.Object(func(key []byte) bool {
					switch string(key) {
					case "type":
						return text(&s, &b.Type)
					case "text":
						return text(&s, &b.Text)
					case "citations":
						return s.Word("null")
					}
					return false
				})
				v.Content = append(v.Content, b)
				return ok && b.Type == "text"
			})
		case "usage":
			return s.Object(func(key []byte) bool {
				switch string(key) {
				case "input_tokens":
					return count(&s, &v.Usage.InputTokens)
				case "output_tokens":
					return count(&s, &v.Usage.OutputTokens)
				case "cache_read_input_tokens":
					return count(&s, &v.Usage.CacheReadInputTokens)
				case "cache_creation_input_tokens":
					return count(&s, &v.Usage.CacheCreationInputTokens)
				case "cache_creation":
					if v.Usage.CacheCreation == nil {
						v.Usage.CacheCreation = new(CacheCreation)
					}
					return s.Object(func(key []byte) bool {
						switch string(key) {
						case "ephemeral_5m_input_tokens":
							return count(&s, &v.Usage.CacheCreation.Ephemeral5m)
						case "ephemeral_30m_input_tokens":
							return count(&s, &v.Usage.CacheCreation.Ephemeral30m)
						case "ephemeral_1h_input_tokens":
							return count(&s, &v.Usage.CacheCreation.Ephemeral1h)
						}
						return false
					})
				case "service_tier":
					return text(&s, &v.Usage.ServiceTier)
				}
				return false
			})
		}
		return false
	})
	if !ok || !s.End() {
		return false
	}
	*r = v
	return true
}

func text(s *jsonscan.Scanner, to *string) bool {
	t, ok := s.Text()
	*to = t
	return ok
}

func count(s *jsonscan.Scanner, to *int64) bool {
	n, ok := s.Number()
	*to = int64(n)
	return ok
}
