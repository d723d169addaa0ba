package bedrocktest

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mangaassist/bedrockkit"
)

// An answer is a reply made ready for one request: cut to the request's bounds,
// with all that the reply left open.
type answer struct {
	req          *Request
	id           string // of the message
	blocks       []Block
	stop         bedrockkit.StopReason
	stopSequence string
	usage        bedrockkit.Usage
	tier         bedrockkit.ServiceTier
	latency      time.Duration
	firstByte    time.Duration

	streamed bool
	native   family // that of the model, for Converse

	guardedInput, guardedOutput *finding // what a guardrail found
}

// Latencies are computed, so that a response has the same bytes each time.
const (
	firstByteLatency = 180 * time.Millisecond
	defaultRate      = 80 // tokens a second
)

func (x *exchange) complete(r *Reply) *answer {
	s, req := x.s, x.req
	a := &answer{req: req, stop: r.stop, tier: r.tier, guardedInput: x.guarded}
	a.id = identifier(24, "message", string(req.Body), string(req.Model))
	a.streamed, a.native = req.Op.Streaming(), s.nativeFamily(req.Model)
	tool := false
	for i, b := range r.blocks {
		switch {
		case b.ToolUse != nil:
			call := *b.ToolUse
			if call.ID == "" {
				call.ID = "tooluse_" + identifier(22, call.Name, string(call.Input), string(rune(i)), string(req.Body))
			}
			b.ToolUse, tool = &call, true
		case b.Reasoning != nil:
			reasoning := *b.Reasoning
			// Claude alone signs what it thought.
			if reasoning.Signature == "" && reasoning.Redacted == nil && s.isClaude(req) {
				reasoning.Signature = s.sign(req, reasoning.Text)
			}
			b.Reasoning = &reasoning
		}
		if b.pieces == nil {
			b.pieces = b.split(r.chunkSize)
		}
		a.blocks = append(a.blocks, b)
	}
	if a.stop == "" {
		a.stop = bedrockkit.StopEndTurn
		if tool {
			a.stop = bedrockkit.StopToolUse
		}
		a.cutAtStopSequence(req.StopSequences)
		a.cutAtTokens(s.mostTokens(req))
	}
	a.guardAnswer()
	if r.usage != nil {
		a.usage = *r.usage
	} else {
		a.usage = s.usageOf(req, a.outputTokens())
	}
	if a.tier == "" {
		a.tier = bedrockkit.ServiceTier(req.tier)
	}
	rate := r.pace
	if rate <= 0 {
		rate = s.opts.Pace
	}
	if rate <= 0 {
		rate = defaultRate
	}
	a.firstByte = firstByteLatency
	a.latency = a.firstByte + atRate(a.usage.OutputTokens, rate)
	return a
}

// sign is the signature of what the model thought. It tells what the block is
// bound to, where the model binds it.
func (s *Server) sign(req *Request, text string) string {
	if s.capability(req.Model).Thinking.BoundTo("prefix") {
		return req.prefix(len(req.Messages)).signature(text)
	}
	return base64.StdEncoding.EncodeToString([]byte(identifier(60, "signature", text)))
}

// maxAnswer is the longest answer of a model whose own is not known.
const maxAnswer = 128_000

// mostTokens is the longest answer that the request allows.
func (s *Server) mostTokens(req *Request) int64 {
	if req.MaxTokens > 0 {
		return req.MaxTokens
	}
	if n := s.capability(req.Model).MaxOutput; n > 0 {
		return int64(n)
	}
	return maxAnswer
}

// atRate is how long n tokens take at a rate a second, which may be tiny.
func atRate(n int64, rate float64) time.Duration {
	return time.Duration(min(float64(n)/rate*float64(time.Second), 1<<62))
}

// streamText is what a stream sends of a block, piece by piece.
func (b Block) streamText() string {
	switch {
	case b.ToolUse != nil:
		return string(b.ToolUse.Input)
	case b.Reasoning != nil:
		return b.Reasoning.Text
	}
	return b.Text
}

func (b Block) split(size int) []string {
	text := b.streamText()
	if b.Raw != nil && text == "" {
		return nil
	}
	if size <= 0 {
		return tokens(text)
	}
	var pieces []string
	for len(text) > 0 {
		n := 0
		for range size {
			if n == len(text) {
				break
			}
			_, width := utf8.DecodeRuneInString(text[n:])
			n += width
		}
		pieces = append(pieces, text[:n])
		text = text[n:]
	}
	return pieces
}

// truncate keeps the first n bytes of what a block streams.
func (b *Block) truncate(n int) {
	var kept []string
	for _, p := range b.pieces {
		if n <= 0 {
			break
		}
		p = p[:min(n, len(p))]
		kept = append(kept, p)
		n -= len(p)
	}
	b.pieces = kept
	whole := strings.Join(kept, "")
	switch {
	case b.ToolUse != nil:
		call := *b.ToolUse
		call.Input = json.RawMessage(whole)
		b.ToolUse = &call
	case b.Reasoning != nil:
		reasoning := *b.Reasoning
		reasoning.Text = whole
		b.Reasoning = &reasoning
	default:
		b.Text = whole
	}
}

func (a *answer) cutAtStopSequence(sequences []string) {
	for i := range a.blocks {
		b := &a.blocks[i]
		if b.ToolUse != nil || b.Reasoning != nil || b.Text == "" {
			continue
		}
		at := -1
		for _, seq := range sequences {
			if n := strings.Index(b.Text, seq); seq != "" && n >= 0 && (at < 0 || n < at) {
				at, a.stopSequence = n, seq
			}
		}
		if at >= 0 {
			b.truncate(at)
			a.blocks = a.blocks[:i+1]
			a.stop = bedrockkit.StopSequence
			return
		}
	}
}

func (a *answer) cutAtTokens(limit int64) {
	for i := range a.blocks {
		b := &a.blocks[i]
		n := blockTokens(*b)
		if n <= limit {
			limit -= n
			continue
		}
		a.stop, a.stopSequence = bedrockkit.StopMaxTokens, ""
		if limit == 0 {
			a.blocks = a.blocks[:i]
			return
		}
		a.blocks = a.blocks[:i+1]
		text := b.streamText()
		if b.ToolUse != nil {
			limit = max(0, limit-(n-CountTokens(text)))
		}
		keep := 0
		for ; limit > 0 && keep < len(text); limit-- {
			keep += tokenLen(text[keep:])
		}
		b.truncate(keep)
		return
	}
}

func (a *answer) outputTokens() int64 {
	var n int64
	for _, b := range a.blocks {
		n += blockTokens(b)
	}
	return n
}

// input is a tool call's input as a JSON object, for a body that is not
// streamed: one that was cut or is not JSON cannot be in it and becomes {}.
func (c *ToolCall) input() json.RawMessage {
	if len(c.Input) == 0 || !json.Valid(c.Input) {
		return json.RawMessage("{}")
	}
	return c.Input
}
