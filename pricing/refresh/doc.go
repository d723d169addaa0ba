// Package refresh makes a newer price table from the AWS Price List.
//
// The Price List is served by the Query API, whose pages a [Products] returns,
// and as bulk files, which [List.ReadBulk] reads. Both hold the same products:
//
//	list := refresh.New(pricing.Default().Data())
//	err := list.Fetch(ctx, products)              // or list.ReadBulk(file)
//	newer, err := list.Data(time.Now())           // for pricing.NewTable
//	changes := refresh.Diff(pricing.Default().Data(), newer)
//
// # Nothing is guessed
//
// No attribute of a product holds a model id, so names are looked up in a table
// of aliases, exactly. A name, a usage type or a unit that is not known is
// refused, and so are two products that state different prices of one thing;
// [List.Refused] has each with its reason. What was refused keeps the price
// that the older table has.
//
// # Three services
//
// AmazonBedrock lists Amazon's and the open models, per thousand tokens.
// AmazonBedrockFoundationModels lists what is sold through the Marketplace,
// Claude and Cohere among them, per million; the model is only in servicename.
// AmazonBedrockService lists the rest, which this package does not price.
package refresh
