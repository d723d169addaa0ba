// Package titan holds the InvokeModel bodies of Amazon's Titan models: text,
// embeddings of text, and embeddings of text and images.
//
//	result, err := bedrockx.Invoke(ctx, client, "amazon.titan-embed-text-v2:0", titan.EmbedRequest{
//		InputText:  "A story of pirates and friendship.",
//		Dimensions: 512,
//	})
//	if err != nil {
//		return err
//	}
//	fmt.Println(len(result.Output.Embedding), result.Usage.InputTokens)
//
// A request has one text; package parallel embeds many at once.
//
// Source: "Amazon Titan Text models", "Amazon Titan Embeddings text" and
// "Amazon Titan Multimodal Embeddings G1", inference parameters, Amazon
// Bedrock User Guide.
package titan
