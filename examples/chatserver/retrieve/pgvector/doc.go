// Package pgvector keeps documents in a table of PostgreSQL with the extension
// pgvector, such as Amazon Aurora or Amazon RDS. It is a [retrieve.Store].
//
//	store, err := pgvector.Open("postgres://user@host/shop", "manga")
//	…
//	defer store.Close()
//	err = store.Create(ctx, 512)
//	index := retrieve.New(retrieve.Titan(client, "amazon.titan-embed-text-v2:0", 512), store)
//
// # The table
//
// [Store.Create] makes it: id, text, fields (a JSON object of lists) and vector. The
// search compares all vectors that pass the filter, which is exact, and fast for some
// ten thousand documents. For more, add an index, and let it look further if a filter
// leaves little:
//
//	CREATE INDEX ON manga USING hnsw (vector vector_cosine_ops);
//	ALTER DATABASE shop SET hnsw.iterative_scan = strict_order;
//
// An index takes vectors of up to 2,000 dimensions. Source: the README of pgvector 0.8.
//
// # What differs from other stores
//
// PostgreSQL cannot hold the character NUL, so a document with one is
// [retrieve.ErrInvalid]. Statements are not prepared by name: the store works behind
// PgBouncer and Amazon RDS Proxy.
package pgvector
