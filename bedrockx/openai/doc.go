// Package openai holds the InvokeModel body of the models on Amazon Bedrock
// that speak OpenAI's Chat Completions: gpt-oss and GPT, Qwen, DeepSeek V3, GLM,
// Kimi, MiniMax, Gemma, Nemotron, Grok and the newer models of Mistral AI.
//
//	result, err := bedrockx.Invoke(ctx, client, "openai.gpt-oss-120b-1:0", openai.Request{
//		MaxTokens: 512,
//		Messages:  []openai.Message{openai.User("Who wrote Berserk?")},
//	})
//	if err != nil {
//		return err
//	}
//	fmt.Println(result.Output.Text())
//
// # Reasoning
//
// Most models put their reasoning in a field of its own; gpt-oss puts it in
// tags at the beginning of the text. Response.Reasoning and the events of a
// stream tell both alike, and Response.Text has the answer alone. Reasoning is
// not signed and is not sent back: Response.Message is without it.
//
// Sources: "OpenAI models", "Qwen models", "DeepSeek models" and others,
// inference parameters, Amazon Bedrock User Guide; OpenAI's API reference, Chat
// Completions.
package openai
