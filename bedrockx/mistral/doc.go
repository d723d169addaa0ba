// Package mistral holds the InvokeModel bodies of Mistral AI's models on
// Amazon Bedrock: chat completion, and text completion for the older models.
//
//	result, err := bedrockx.Invoke(ctx, client, "mistral.mistral-large-2407-v1:0", mistral.ChatRequest{
//		MaxTokens: 512,
//		Messages:  []mistral.Message{mistral.User("Who wrote Berserk?")},
//	})
//	if err != nil {
//		return err
//	}
//	fmt.Println(result.Output.Text())
//
// Source: "Mistral AI chat completion", "Mistral AI text completion" and
// "Pixtral Large", inference parameters, Amazon Bedrock User Guide.
package mistral
