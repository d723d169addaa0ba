package converse

import (
	"slices"

	"github.com/mangaassist/bedrockkit"
)

// WithCachePoints adds a cache point after each part that the next request will
// repeat: the tools, the system prompt and the last two messages of the user. (The
// earlier of the two was the end of the previous request.) It does not change the
// slices of r. ttl is "5m" or "1h"; it is five minutes if the model does not support
// an hour.
//
// It follows the rules of the service: at most four points, no point where the model
// takes none or the prefix is too short to be cached, no point after content that it
// may not follow, and no longer TTL after a shorter one. If the tools, the system
// prompt or the messages already have a point, no point is added to that part. The
// request is returned unchanged if its model is not in [bedrockkit.Capabilities], or
// does not cache prompts.
//
// [Response.Usage] has the tokens that were read and written, and
// [Response.PromptCache] what that saved and cost.
func WithCachePoints(r Request, ttl string) Request {
	s := subjectOf(r.Model, bedrockkit.Capabilities)
	return r.withCachePoints(ttl, &s)
}

func (r *Request) withCachePoints(ttl string, s *subject) Request {
	cache := s.PromptCache
	if s.Supports(bedrockkit.FeaturePromptCache) != bedrockkit.Yes || r.isPrompt() {
		return *r
	}
	if ttl == "5m" || ttl == "1h" && cache.TTL("1h") != bedrockkit.Yes {
		ttl = "" // the default
	}
	out := *r
	own := r.ownPoints()
	left := s.maxPoints() - len(own)
	tools, system, users := r.prefixSizes()

	// By what is most worth one: the system prompt with the tools before it is
	// what all conversations begin with.
	fits := func(size int) bool { return left > 0 && size/bytesPerToken >= cache.MinTokens }
	if len(r.System) > 0 && cache.System != bedrockkit.No && !hasPoint(own, inSystem) && fits(system) && cacheable(r.System[len(r.System)-1]) {
		out.System = append(slices.Clone(r.System), CachePoint{TTL: ttlAt(own, inSystem, ttl)})
		left--
	}
	ownMessages := hasPoint(own, inMessages) || cache.Messages == bedrockkit.No
	mark := func(user userMessage) {
		if ownMessages || !fits(user.prefix) {
			return
		}
		content := r.Messages[user.index].Content
		at := len(content)
		for at > 0 && !cacheable(content[at-1]) {
			at--
		}
		if at == 0 {
			return
		}
		if &out.Messages[0] == &r.Messages[0] {
			out.Messages = slices.Clone(r.Messages)
		}
		out.Messages[user.index].Content = slices.Insert(slices.Clone(content), at, Content(CachePoint{TTL: ttlAt(own, inMessages, ttl)}))
		left--
	}
	if len(users) > 0 {
		mark(users[0])
	}
	if len(r.Tools) > 0 && cache.Tools != bedrockkit.No && !hasPoint(own, inTools) && fits(tools) {
		out.Tools = slices.Clone(r.Tools)
		out.Tools[len(out.Tools)-1].CachePoint = &CachePoint{TTL: ttlAt(own, inTools, ttl)}
		left--
	}
	if len(users) > 1 {
		mark(users[1])
	}
	return out
}

// bytesPerToken is what a token has at least, so that a prefix counts as too
// short only where it surely is; a point that comes too early costs nothing.
const bytesPerToken = 3

// The parts of a prompt, in the order in which the service reads them.
const (
	inTools = iota
	inSystem
	inMessages
)

// An ownPoint is a cache point that the caller has put.
type ownPoint struct {
	part int
	ttl  string
}

func (r *Request) ownPoints() (own []ownPoint) {
	for i := range r.Tools {
		if p := r.Tools[i].CachePoint; p != nil {
			own = append(own, ownPoint{inTools, p.TTL})
		}
	}
	for _, c := range r.System {
		if p, ok := c.(CachePoint); ok {
			own = append(own, ownPoint{inSystem, p.TTL})
		}
	}
	for i := range r.Messages {
		for _, c := range r.Messages[i].Content {
			if p, ok := c.(CachePoint); ok {
				own = append(own, ownPoint{inMessages, p.TTL})
			}
		}
	}
	return own
}

func hasPoint(own []ownPoint, part int) bool {
	return slices.ContainsFunc(own, func(p ownPoint) bool { return p.part == part })
}

// ttlAt is the TTL of a point of ours in a part: the one that is wanted, unless
// a point of the caller's has a shorter one before it or a longer one after it.
func ttlAt(own []ownPoint, part int, ttl string) string {
	for _, p := range own {
		short := p.ttl == "" || p.ttl == "5m"
		switch {
		case p.part < part && short:
			return ""
		case p.part > part && !short && ttl == "":
			return p.ttl
		}
	}
	return ttl
}

// A userMessage is one of the user's messages, and the bytes up to its end.
type userMessage struct{ index, prefix int }

// prefixSizes is about the bytes of the tools, of them with the system prompt,
// and of all up to each of the last two messages of the user, the last first.
func (r *Request) prefixSizes() (tools, system int, users []userMessage) {
	for i := range r.Tools {
		t := &r.Tools[i]
		tools += len(t.Name) + len(t.Description) + len(t.InputSchema) + frame
	}
	system = tools + promptSize(r.System)
	size := system
	for i := range r.Messages {
		size += promptSize(r.Messages[i].Content)
		if r.Messages[i].Role == RoleUser {
			users = append(users, userMessage{i, size})
		}
	}
	slices.Reverse(users)
	return tools, system, users[:min(2, len(users))]
}

// promptSize is about the bytes of content as text; a picture, a film or a
// sound counts as much as a long one.
func promptSize(contents Contents) (n int) {
	const media = 6 << 10
	for _, c := range contents {
		switch c := c.(type) {
		case nil:
		case Image, Video, Audio, GuardImage:
			n += media
		case Document:
			n += max(media, c.sizeHint())
		default:
			n += c.sizeHint()
		}
	}
	return n
}
