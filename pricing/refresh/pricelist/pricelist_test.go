package pricelist_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awspricing "github.com/aws/aws-sdk-go-v2/service/pricing"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/pricing"
	"github.com/mangaassist/bedrockkit/pricing/refresh"
	"github.com/mangaassist/bedrockkit/pricing/refresh/pricelist"
)

type input struct {
	ServiceCode, FormatVersion, NextToken string
	MaxResults                            int
	Filters                               []struct{ Field, Type, Value string }
}

// client is the SDK's own, in front of a server that speaks its protocol.
func client(t *testing.T, handle func(input) (status int, body any)) *awspricing.Client {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "AWSPriceListService.GetProducts", r.Header.Get("X-Amz-Target"))
		var in input
		assert.NoError(t, json.NewDecoder(r.Body).Decode(&in))
		status, body := handle(in)
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.WriteHeader(status)
		assert.NoError(t, json.NewEncoder(w).Encode(body))
	}))
	t.Cleanup(srv.Close)
	return awspricing.New(awspricing.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(srv.URL), RetryMaxAttempts: 1,
		HTTPClient: &http.Client{Transport: inMemory{}},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: "SECRET"}, nil
		}),
	})
}

// inMemory sends bodies from memory. The SDK closes a request's body when the
// answer begins; net/http, which reads the body to its end after it has sent
// the last byte, takes that for a broken request if the server was quicker
// (https://github.com/aws/smithy-go, transport/http/client.go).
type inMemory struct{}

func (inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(bytes.NewReader(body))
	return http.DefaultTransport.RoundTrip(r)
}

func TestFetch(t *testing.T) {
	data, err := os.ReadFile("../testdata/get_products.jsonl")
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	var asked []input
	api := client(t, func(in input) (int, any) {
		asked = append(asked, in)
		switch {
		case in.ServiceCode != "AmazonBedrock":
			return 200, map[string]any{"FormatVersion": "aws_v1", "PriceList": []string{}}
		case in.NextToken == "":
			return 200, map[string]any{"FormatVersion": "aws_v1", "PriceList": lines[:9], "NextToken": "more"}
		}
		return 200, map[string]any{"FormatVersion": "aws_v1", "PriceList": lines[9:]}
	})
	list := refresh.New(pricing.Default().Data())
	require.NoError(t, list.Fetch(t.Context(), pricelist.New(api, func(o *pricelist.Options) { o.Region = "us-east-1" })))
	require.Len(t, asked, 4)
	assert.Equal(t, "more", asked[1].NextToken)
	for _, in := range asked {
		assert.Equal(t, "aws_v1", in.FormatVersion)
		assert.Equal(t, 100, in.MaxResults)
		require.Len(t, in.Filters, 1)
		assert.Equal(t, "regionCode", in.Filters[0].Field)
		assert.Equal(t, "us-east-1", in.Filters[0].Value)
	}
	newer, err := list.Data(time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC))
	require.NoError(t, err)
	changes := refresh.Diff(pricing.Default().Data(), newer)
	require.Len(t, changes, 1)
	assert.Equal(t, "0.15", changes[0].New.String(), "Nova 2 Lite, global, flex")
}

func TestFetchError(t *testing.T) {
	api := client(t, func(input) (int, any) {
		return 400, map[string]string{"__type": "AccessDeniedException", "message": "not allowed"}
	})
	err := refresh.New(pricing.Default().Data()).Fetch(t.Context(), pricelist.New(api))
	var e smithy.APIError
	require.ErrorAs(t, err, &e)
	assert.Equal(t, "AccessDeniedException", e.ErrorCode())
	assert.ErrorContains(t, err, "price list of AmazonBedrock")
}
