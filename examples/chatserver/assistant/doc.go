// Package assistant is MangaAssist without its server: the prompt, the tools, the
// conversations, and the search by meaning that one of the tools uses.
//
//	store := shop.New(books)
//	manga := assistant.New(client, store, map[string]bedrockkit.ModelID{"haiku": "us.anthropic.claude-haiku-4-5-20251001-v1:0"})
package assistant
