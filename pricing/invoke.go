package pricing

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/mangaassist/bedrockkit"
)

// The headers of an InvokeModel response that tell its usage (API reference,
// InvokeModel; the cache counts are sent where the model has a prompt cache).
const (
	headerInput      = "X-Amzn-Bedrock-Input-Token-Count"
	headerOutput     = "X-Amzn-Bedrock-Output-Token-Count"
	headerCacheRead  = "X-Amzn-Bedrock-Cache-Read-Input-Token-Count"
	headerCacheWrite = "X-Amzn-Bedrock-Cache-Write-Input-Token-Count"
)

// ParseInvokeUsage reads the usage of an InvokeModel response from its body,
// in the shape of whichever family it is of, or else from its headers, an
// http.Header; both may be nil. The body may also be the last chunk of a response stream, with
// its invocation metrics. A usage that neither tells is Unknown.
//
// Families: Anthropic, Nova, Titan (text and embeddings), Llama, and those that
// answer in OpenAI's shape: OpenAI, Mistral, Jamba, Qwen, DeepSeek and others.
// Cohere tells its usage in the headers only. OpenAI's prompt_tokens include
// what was read from the cache; the buckets of a Usage are disjoint.
func ParseInvokeUsage(header interface{ Get(name string) string }, body []byte) (bedrockkit.Usage, error) {
	if len(body) > 0 {
		u, err := parseInvokeBody(body)
		if err != nil || !u.Unknown {
			return u, err
		}
	}
	if header == nil || header.Get(headerInput) == "" {
		return bedrockkit.Usage{Unknown: true}, nil
	}
	return parseInvokeHeader(header.Get)
}

// invokeBody has the usage fields of all families; those of one are present.
type invokeBody struct {
	Usage *struct {
		// Anthropic
		InputTokens   *int64 `json:"input_tokens"`
		OutputTokens  int64  `json:"output_tokens"`
		CacheRead     int64  `json:"cache_read_input_tokens"`
		CacheCreation int64  `json:"cache_creation_input_tokens"`
		Creation      struct {
			OneHour int64 `json:"ephemeral_1h_input_tokens"`
		} `json:"cache_creation"`
		// Nova
		NovaInput      *int64 `json:"inputTokens"`
		NovaOutput     int64  `json:"outputTokens"`
		NovaCacheRead  int64  `json:"cacheReadInputTokenCount"`
		NovaCacheWrite int64  `json:"cacheWriteInputTokenCount"`
		// OpenAI
		PromptTokens     *int64 `json:"prompt_tokens"`
		CompletionTokens int64  `json:"completion_tokens"`
		PromptDetails    struct {
			Cached int64 `json:"cached_tokens"`
		} `json:"prompt_tokens_details"`
	} `json:"usage"`
	// Llama
	LlamaInput  *int64 `json:"prompt_token_count"`
	LlamaOutput int64  `json:"generation_token_count"`
	// Titan
	TitanInput   *int64 `json:"inputTextTokenCount"`
	TitanResults []struct {
		TokenCount int64 `json:"tokenCount"`
	} `json:"results"`
	// the last chunk of a stream
	Metrics *struct {
		InputTokens  *int64 `json:"inputTokenCount"`
		OutputTokens int64  `json:"outputTokenCount"`
		CacheRead    int64  `json:"cacheReadInputTokenCount"`
		CacheWrite   int64  `json:"cacheWriteInputTokenCount"`
	} `json:"amazon-bedrock-invocationMetrics"`
}

func parseInvokeBody(body []byte) (bedrockkit.Usage, error) {
	var v invokeBody
	if err := json.Unmarshal(body, &v); err != nil {
		return bedrockkit.Usage{Unknown: true}, fmt.Errorf("reading usage: %w", err)
	}
	var u bedrockkit.Usage
	switch {
	case v.Usage != nil && v.Usage.InputTokens != nil:
		u.InputTokens, u.OutputTokens, u.CacheReadTokens = *v.Usage.InputTokens, v.Usage.OutputTokens, v.Usage.CacheRead
		u.CacheWrite1hTokens = v.Usage.Creation.OneHour
		u.CacheWrite5mTokens = v.Usage.CacheCreation - u.CacheWrite1hTokens
	case v.Usage != nil && v.Usage.NovaInput != nil:
		u.InputTokens, u.OutputTokens = *v.Usage.NovaInput, v.Usage.NovaOutput
		u.CacheReadTokens, u.CacheWrite5mTokens = v.Usage.NovaCacheRead, v.Usage.NovaCacheWrite
	case v.Usage != nil && v.Usage.PromptTokens != nil:
		u.CacheReadTokens = v.Usage.PromptDetails.Cached
		u.InputTokens, u.OutputTokens = *v.Usage.PromptTokens-u.CacheReadTokens, v.Usage.CompletionTokens
	case v.LlamaInput != nil:
		u.InputTokens, u.OutputTokens = *v.LlamaInput, v.LlamaOutput
	case v.Metrics != nil && v.Metrics.InputTokens != nil: // before Titan, whose last chunk has both
		u.InputTokens, u.OutputTokens = *v.Metrics.InputTokens, v.Metrics.OutputTokens
		u.CacheReadTokens, u.CacheWrite5mTokens = v.Metrics.CacheRead, v.Metrics.CacheWrite
	case v.TitanInput != nil:
		u.InputTokens = *v.TitanInput
		for _, r := range v.TitanResults {
			if r.TokenCount < 0 || u.OutputTokens > maxUnits-min(r.TokenCount, maxUnits) {
				return bedrockkit.Usage{Unknown: true}, fmt.Errorf("reading usage: %w: %d tokens of a result", ErrInvalidUsage, r.TokenCount)
			}
			u.OutputTokens += r.TokenCount
		}
	default:
		return bedrockkit.Usage{Unknown: true}, nil
	}
	if err := valid(&u, nil); err != nil {
		return bedrockkit.Usage{Unknown: true}, fmt.Errorf("reading usage: %w", err)
	}
	return u, nil
}

func parseInvokeHeader(get func(name string) string) (bedrockkit.Usage, error) {
	var u bedrockkit.Usage
	var errs []error
	for name, n := range map[string]*int64{
		headerInput: &u.InputTokens, headerOutput: &u.OutputTokens,
		headerCacheRead: &u.CacheReadTokens, headerCacheWrite: &u.CacheWrite5mTokens,
	} {
		if s := get(name); s != "" {
			v, err := strconv.ParseInt(s, 10, 64)
			if err != nil {
				errs = append(errs, fmt.Errorf("header %s: %w", name, err))
			}
			*n = v
		}
	}
	if len(errs) == 0 {
		errs = append(errs, valid(&u, nil))
	}
	if err := errors.Join(errs...); err != nil {
		return bedrockkit.Usage{Unknown: true}, fmt.Errorf("reading usage: %w", err)
	}
	return u, nil
}
