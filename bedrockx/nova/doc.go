// Package nova holds the InvokeModel body of Amazon's Nova models that
// understand text, images, video and documents, the schema messages-v1, and that
// of Nova Multimodal Embeddings.
//
//	result, err := bedrockx.Invoke(ctx, client, "us.amazon.nova-lite-v1:0", nova.Request{
//		System:          nova.Text("Answer in one sentence."),
//		Messages:        []nova.Message{nova.User("Who wrote Berserk?")},
//		InferenceConfig: nova.InferenceConfig{MaxTokens: 512},
//	})
//	if err != nil {
//		return err
//	}
//	fmt.Println(result.Output.Text())
//
// The body is nearly that of Converse, which package converse speaks for all
// models; it has TopK and the model's own reasoning besides.
//
// Source: "Complete request schema", Amazon Nova User Guide; "Request and
// response schema", Amazon Nova 2 User Guide.
package nova
