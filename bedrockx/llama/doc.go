// Package llama holds the InvokeModel bodies of Meta's Llama models on Amazon
// Bedrock: one prompt in, one text out.
//
//	result, err := bedrockx.Invoke(ctx, client, "us.meta.llama3-3-70b-instruct-v1:0", llama.Request{
//		Prompt:    prompt, // in the model's own format, with its special tokens
//		MaxGenLen: 512,
//	})
//	if err != nil {
//		return err
//	}
//	fmt.Println(result.Output.Generation)
//
// The prompt is sent as it is. A conversation is easier with package converse,
// where the service writes the prompt and tools can be used.
//
// Source: "Meta Llama models", inference parameters, Amazon Bedrock User
// Guide.
package llama
