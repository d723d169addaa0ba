package retrieve

import (
	"context"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/nova"
	"github.com/mangaassist/bedrockkit/bedrockx/titan"
	"github.com/mangaassist/bedrockkit/pricing"
)

// A Purpose is what a text is embedded for. Some models make different vectors
// of a document and of a question.
type Purpose int

// The purposes.
const (
	ForDocument Purpose = iota // to be found
	ForQuestion                // to search with
)

// An Embedding is the vector of a text and what it took.
type Embedding struct {
	Vector Vector
	Usage  bedrockkit.Usage
	Cost   *pricing.Amount // US dollars; nil if it is not known
}

// An Embedder makes the vector of a text. It must be safe for concurrent use.
type Embedder func(ctx context.Context, purpose Purpose, text string) (Embedding, error)

// Titan embeds with Titan Text Embeddings V2. Dimensions is 256, 512 or 1,024; 0
// means 1,024. The options are those of each call. An error is a
// [*bedrockx.Error].
func Titan(c *bedrockx.Client, model bedrockkit.ModelID, dimensions int, optFns ...func(*bedrockx.Options)) Embedder {
	return func(ctx context.Context, _ Purpose, text string) (Embedding, error) {
		r, err := bedrockx.Invoke(ctx, c, model, titan.EmbedRequest{InputText: text, Dimensions: dimensions}, optFns...)
		if err != nil {
			return Embedding{}, err
		}
		return Embedding{r.Output.Embedding, r.Usage, r.Cost}, nil
	}
}

// Nova embeds with Nova Multimodal Embeddings. Dimensions is 256, 384, 1,024 or
// 3,072; 0 means 3,072. The options are those of each call. An error is a
// [*bedrockx.Error].
func Nova(c *bedrockx.Client, model bedrockkit.ModelID, dimensions int, optFns ...func(*bedrockx.Options)) Embedder {
	return func(ctx context.Context, purpose Purpose, text string) (Embedding, error) {
		body := nova.Embed("GENERIC_INDEX", text)
		if purpose == ForQuestion {
			body = nova.Embed("TEXT_RETRIEVAL", text)
		}
		body.Params.EmbeddingDimension = dimensions
		r, err := bedrockx.Invoke(ctx, c, model, body, optFns...)
		if err != nil {
			return Embedding{}, err
		}
		vector := make(Vector, len(r.Output.Embeddings[0].Embedding))
		for i, x := range r.Output.Embeddings[0].Embedding {
			vector[i] = float32(x)
		}
		return Embedding{vector, r.Usage, r.Cost}, nil
	}
}
