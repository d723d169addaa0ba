package bedrockx

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/event"
	"github.com/mangaassist/bedrockkit/internal/family"
)

// The headers of an InvokeModel response that have its usage (API reference,
// InvokeModel; the cache counts are sent where the model has a prompt cache).
const (
	headerInput      = "X-Amzn-Bedrock-Input-Token-Count"
	headerOutput     = "X-Amzn-Bedrock-Output-Token-Count"
	headerCacheRead  = "X-Amzn-Bedrock-Cache-Read-Input-Token-Count"
	headerCacheWrite = "X-Amzn-Bedrock-Cache-Write-Input-Token-Count"
)

// ParseInvokeUsage reads the usage of an InvokeModel response that did not come
// through this package. It reads the body, in the form of its model family, and then
// the headers (an http.Header) if the body has no usage. Both may be nil. The body may
// also be the last chunk of a stream, with its invocation metrics. If neither has a
// usage, it is Unknown. A usage that is not possible is an error.
//
// The bodies of Anthropic, Nova, Titan, Llama, Mistral and of OpenAI's form have the
// usage. For Cohere it is only in the headers. An embedding of an image counts no
// tokens.
func ParseInvokeUsage(header interface{ Get(name string) string }, body []byte) (bedrockkit.Usage, error) {
	if len(body) > 0 {
		u, err := bodyUsage(body)
		if err != nil || !u.Unknown {
			return u, err
		}
	}
	unknown := bedrockkit.Usage{Unknown: true}
	if header == nil || header.Get(headerInput) == "" {
		return unknown, nil
	}
	u, err := headerUsage(header)
	if err == nil && u.TotalInput() == 0 { // an image or the like, which is not counted in tokens
		return unknown, nil
	}
	return u, err
}

func bodyUsage(body []byte) (bedrockkit.Usage, error) {
	unknown := bedrockkit.Usage{Unknown: true}
	var last event.Invocation
	if err := json.Unmarshal(body, &last); err != nil {
		return unknown, fmt.Errorf("reading usage: %w", err)
	}
	if u, told := responsesUsage(body); told {
		if u.Unknown {
			return u, errUsage
		}
		return u, nil
	}
	for _, f := range families {
		if f.Usage == nil {
			continue
		}
		u, told := f.Usage(body)
		if told && u.Unknown {
			return u, errUsage
		}
		if told {
			return u, nil
		}
	}
	return last.Metrics.Usage(), nil
}

var errUsage = errors.New("reading usage: the body's counts cannot be right: one is negative, or larger than what it is a part of")

// responsesUsage is the usage of a body of OpenAI's Responses, or of the event
// that completes a stream of it. Its members are called as those of Anthropic's
// are, but the input includes what was cached; a total or details tell it apart.
func responsesUsage(body []byte) (bedrockkit.Usage, bool) {
	type usage struct {
		Input   *int64 `json:"input_tokens"`
		Output  *int64 `json:"output_tokens"`
		Total   *int64 `json:"total_tokens"`
		Details *struct {
			Read    int64 `json:"cached_tokens"`
			Written int64 `json:"cache_write_tokens"`
		} `json:"input_tokens_details"`
	}
	var v struct {
		Usage    usage
		Response struct{ Usage usage }
	}
	if json.Unmarshal(body, &v) != nil {
		return bedrockkit.Usage{}, false
	}
	u := v.Usage
	if u.Input == nil {
		u = v.Response.Usage
	}
	if u.Input == nil || u.Total == nil && u.Details == nil {
		return bedrockkit.Usage{}, false
	}
	var read, written int64
	if u.Details != nil {
		read, written = u.Details.Read, u.Details.Written
	}
	return family.PromptUsage(u.Input, u.Output, u.Total, read, written), true
}

// headerUsage is the usage that the headers give, unknown if they give none.
// They say nothing of TTLs: a body that gives the usage wins over them.
func headerUsage(header interface{ Get(name string) string }) (bedrockkit.Usage, error) {
	var u bedrockkit.Usage
	told := false
	for _, h := range []struct {
		name string
		n    *int64
	}{{headerInput, &u.InputTokens}, {headerOutput, &u.OutputTokens}, {headerCacheRead, &u.CacheReadTokens}, {headerCacheWrite, &u.CacheWrite5mTokens}} {
		text := header.Get(h.name)
		if text == "" {
			continue
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 {
			return bedrockkit.Usage{Unknown: true}, fmt.Errorf("reading usage: the header %s is %q, which is not a count", h.name, text)
		}
		*h.n = n
		told = true
	}
	if !told {
		u.Unknown = true
	}
	return u, nil
}
