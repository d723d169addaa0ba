// Package cohere holds the InvokeModel bodies of Cohere's models on Amazon
// Bedrock: Command R, Embed and Rerank. The body of Rerank is also that of
// Amazon Rerank.
//
//	result, err := bedrockx.Invoke(ctx, client, "cohere.embed-v4:0", cohere.EmbedRequest{
//		InputType: cohere.SearchDocument,
//		Texts:     []string{"A story of pirates.", "A story of ninjas."},
//	})
//	if err != nil {
//		return err
//	}
//	fmt.Println(len(result.Output.Embeddings.Float))
//
// The bodies do not have the usage in tokens; it is that of the response's
// headers.
//
// Source: "Cohere Command R and Command R+", "Cohere Embed and Cohere Embed
// v4" and "Cohere Rerank", inference parameters, Amazon Bedrock User Guide.
package cohere
