// Package pricelist reads the AWS Price List Query API for package refresh.
//
//	// The API is served in us-east-1, eu-central-1 and ap-south-1, for all regions.
//	api := pricing.NewFromConfig(cfg, func(o *pricing.Options) { o.Region = "us-east-1" })
//	list := refresh.New(base)
//	err := list.Fetch(ctx, pricelist.New(api))
//
// It is a package of its own so that only its users compile the client. The
// caller needs the permission pricing:GetProducts.
package pricelist

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/pricing"
	"github.com/aws/aws-sdk-go-v2/service/pricing/types"

	"github.com/mangaassist/bedrockkit/pricing/refresh"
)

// API is what is called; *pricing.Client of the SDK has it.
type API interface {
	GetProducts(context.Context, *pricing.GetProductsInput, ...func(*pricing.Options)) (*pricing.GetProductsOutput, error)
}

// Options are the options of [New].
type Options struct {
	// Region limits the list to the prices of one region, such as
	// "eu-central-1". Default: all regions.
	Region string
}

// New returns the products of the API.
func New(api API, optFns ...func(*Options)) refresh.Products {
	p := &products{api: api}
	for _, fn := range optFns {
		fn(&p.opts)
	}
	return p
}

type products struct {
	api  API
	opts Options
}

func (p *products) Products(ctx context.Context, service, token string) ([]string, string, error) {
	in := &pricing.GetProductsInput{
		ServiceCode:   aws.String(service),
		FormatVersion: aws.String("aws_v1"),
		MaxResults:    aws.Int32(100), // the API's own bound
	}
	if token != "" {
		in.NextToken = aws.String(token)
	}
	if p.opts.Region != "" {
		in.Filters = []types.Filter{{Type: types.FilterTypeTermMatch, Field: aws.String("regionCode"), Value: aws.String(p.opts.Region)}}
	}
	out, err := p.api.GetProducts(ctx, in)
	if err != nil {
		return nil, "", err
	}
	return out.PriceList, aws.ToString(out.NextToken), nil
}
