// Package retrieve finds documents by their meaning: "stories about giants"
// finds a manga about titans. It is what stands between a model and a catalogue
// that it cannot have read.
//
//	index := retrieve.New(retrieve.Titan(client, "amazon.titan-embed-text-v2:0", 0), &retrieve.Memory{})
//	spent, err := index.Add(ctx, []retrieve.Document{
//		{ID: "MNG-00000001", Text: "Titans besiege the last city.", Fields: map[string][]string{"genre": {"action"}}},
//	})
//	…
//	found, spent, err := index.Search(ctx, "stories about giants", func(o *retrieve.SearchOptions) {
//		o.Filter = map[string][]string{"genre": {"action", "horror"}}
//	})
//
// # The parts
//
// An [Embedder] makes a vector of a text; [Titan] and [Nova] ask a model. A
// [Store] keeps vectors and finds the nearest. An [Index] joins the two, and says
// what the embeddings cost. Read retrieve.go, memory.go and index.go in this
// order.
//
// # Stores
//
// [Memory] is exact and right for some thousand documents. Beyond one process
// [OpenSearch] is a vector collection of Amazon OpenSearch Serverless, of either
// generation, and [S3Vectors] an index of Amazon S3 Vectors, which costs least
// if it is asked seldom. They speak the services' own protocols over net/http and
// sign with the AWS SDK's signer. Package pgvector is a table of PostgreSQL, such as
// Amazon Aurora; it is apart, so that nobody else needs its driver. Package
// retrievetest checks a store of your own.
package retrieve
