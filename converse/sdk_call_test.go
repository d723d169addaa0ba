package converse_test

import (
	"context"
	"fmt"
	"log"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/cache/memcache"
	"github.com/mangaassist/bedrockkit/converse"
)

func sdkInput(id bedrockkit.ModelID, text string) *bedrockruntime.ConverseInput {
	return &bedrockruntime.ConverseInput{
		ModelId:         aws.String(string(id)),
		InferenceConfig: &types.InferenceConfiguration{MaxTokens: aws.Int32(100), Temperature: aws.Float32(0)},
		Messages:        []types.Message{{Role: types.ConversationRoleUser, Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: text}}}},
	}
}

// An input of the SDK passes the whole pipeline: retries, the cache, the cost.
func TestConverseOfTheSDK(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	client := bedrockx.New(srv.Client(), fast, func(o *bedrockx.Options) { o.Cache = bedrockx.NewCache(memcache.New()) })
	srv.Reply(bedrocktest.Exception("ThrottlingException"), bedrocktest.Text("Kentaro Miura.").Usage(bedrockkit.Usage{InputTokens: 20, OutputTokens: 5}))
	in := sdkInput(model, "Who wrote Berserk?")
	for i := range 2 {
		resp, err := converse.Converse(t.Context(), client, in)
		require.NoError(t, err)
		assert.Equal(t, "Kentaro Miura.", resp.Text())
		assert.Equal(t, bedrockkit.StopEndTurn, resp.StopReason)
		assert.Equal(t, i == 1, resp.CacheHit)
		assert.Equal(t, 2-2*i, resp.Attempts)
		require.NotNil(t, resp.Cost)
		assert.Equal(t, 1-i, resp.Cost.Sign())
	}
	assert.Equal(t, sdkInput(model, "Who wrote Berserk?"), in, "the input is the caller's")
	assert.Len(t, srv.Requests(), 2)

	for name, in := range map[string]*bedrockruntime.ConverseInput{"nil": nil, "no model": sdkInput("", "x")} {
		_, err := converse.Converse(t.Context(), client, in)
		assert.ErrorIs(t, err, bedrockx.ErrValidation, name)
	}
	_, err := converse.Converse(t.Context(), nil, in)
	assert.ErrorIs(t, err, bedrockx.ErrValidation)
	assert.Len(t, srv.Requests(), 2)
}

func ExampleConverse() {
	fake, err := bedrocktest.New(func(o *bedrocktest.Options) { o.InProcess = true })
	if err != nil {
		log.Fatal(err)
	}
	defer fake.Close()
	fake.Reply(bedrocktest.Text("Kentaro Miura.").Usage(bedrockkit.Usage{InputTokens: 20, OutputTokens: 5}))

	client := bedrockx.NewFromConfig(fake.Config())
	resp, err := converse.Converse(context.Background(), client, &bedrockruntime.ConverseInput{
		ModelId: aws.String("us.amazon.nova-lite-v1:0"),
		Messages: []types.Message{{
			Role:    types.ConversationRoleUser,
			Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: "Who wrote Berserk?"}},
		}},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(resp.Text(), resp.Cost)
	// Output: Kentaro Miura. 0.0000024
}
