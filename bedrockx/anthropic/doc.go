// Package anthropic holds the InvokeModel bodies of Anthropic's models on
// Amazon Bedrock: the Messages API.
//
//	result, err := bedrockx.Invoke(ctx, client, "anthropic.claude-3-haiku-20240307-v1:0", anthropic.Request{
//		MaxTokens: 512,
//		System:    anthropic.Text("Answer in one sentence."),
//		Messages:  []anthropic.Message{anthropic.User("Who wrote Berserk?")},
//	})
//	fmt.Println(result.Output.Text())
//
// Source: "Anthropic Claude Messages API", Amazon Bedrock User Guide.
package anthropic
