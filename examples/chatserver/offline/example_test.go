package offline_test

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/examples/chatserver/catalog"
	"github.com/mangaassist/bedrockkit/examples/chatserver/offline"
)

func ExampleAssistant_Respond() {
	fake, err := bedrocktest.New(func(o *bedrocktest.Options) {
		o.Responder = offline.New(catalog.Default()).Respond
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer fake.Close()

	out, err := fake.Client().Converse(context.Background(), &bedrockruntime.ConverseInput{
		ModelId: aws.String("us.anthropic.claude-haiku-4-5-20251001-v1:0"),
		Messages: []types.Message{{Role: types.ConversationRoleUser, Content: []types.ContentBlock{
			&types.ContentBlockMemberText{Value: "鬼滅の刃は何巻まで？"},
		}}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(out.Output.(*types.ConverseOutputMemberMessage).Value.Content[0].(*types.ContentBlockMemberText).Value)
	// Output: 『鬼滅の刃』は**全23巻**で完結しています（2016〜2020年）。
}
