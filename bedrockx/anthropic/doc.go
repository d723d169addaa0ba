// Package anthropic holds the InvokeModel bodies of Anthropic's models on
// Amazon Bedrock: the Messages API.
//
//	result, err := bedrockx.Invoke(ctx, client, "us.anthropic.claude-haiku-4-5-20251001-v1:0", anthropic.Request{
//		MaxTokens: 512,
//		System:    anthropic.Text("Answer in one sentence."),
//		Messages:  []anthropic.Message{anthropic.User("Who wrote Berserk?")},
//	})
//	if err != nil {
//		return err
//	}
//	fmt.Println(result.Output.Text())
//
// # What this version does not know
//
// Nothing is lost: a field without a place here is in Extra, a block of an
// unknown type is in [Block.Raw], and both are written as they came. So a
// feature of tomorrow is a field of Extra today.
//
// Source: "Anthropic Claude Messages API", "Extended thinking" and "Tool use",
// Amazon Bedrock User Guide; for citations, search results and documents,
// "Citations" and "PDF support" of Anthropic's own documentation.
package anthropic
