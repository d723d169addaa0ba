package cohere

import (
	"github.com/mangaassist/bedrockkit/internal/family"
)

// The bodies and the models that take them.
var (
	chats   = family.Body{Name: "cohere.ChatRequest", Models: []string{"cohere.command-r"}}
	embeds  = family.Body{Name: "cohere.EmbedRequest", Models: []string{"cohere.embed"}}
	reranks = family.Body{Name: "cohere.RerankRequest", Models: []string{cohereReranks, "amazon.rerank"}}
)

// Family is for package bedrockx.
var Family = family.Family{
	Bodies:    []family.Body{chats, embeds, reranks},
	MaxTokens: family.MaxTokens,
	Question:  question,
	Split:     split,
	Join:      join,
}

// question is the message of a chat without a history.
func question(request family.Object) (text, member string, ok bool) {
	const name = "message"
	text = family.Text(request[name])
	return text, name, text != "" && request["chat_history"] == nil && request["tool_results"] == nil
}
