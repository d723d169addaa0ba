// Command structured turns a customer's mail into a value of a Go type. It needs
// no account: Bedrock is a fake one inside the program, unless it is run with
// -bedrock aws.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/mangaassist/bedrockkit/converse"
)

// An order is what the model makes of a mail. The JSON Schema that it has to
// keep to is made of this type.
type order struct {
	Customer string `json:"customer" jsonschema:"the name, as the customer signs"`
	Lines    []line `json:"lines"`
	Urgent   bool   `json:"urgent" jsonschema:"whether the customer needs it soon"`
}

type line struct {
	Title  string `json:"title" jsonschema:"the manga's title, in English"`
	Volume int    `json:"volume"`
	Copies int    `json:"copies"`
}

const mail = `こんにちは。ベルセルクの1巻と2巻を一冊ずつ、それからモンスターの5巻を二冊お願いします。
金曜日までに必要です。 田中`

func main() {
	client, closeBedrock := connect()
	defer closeBedrock()
	chat := converse.New(client, func(o *converse.Options) {
		o.Model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
		o.System = converse.Texts("You read the mail of a manga store.")
	})
	order, result, err := converse.Generate[order](context.Background(), chat, converse.Request{
		Messages: []converse.Message{converse.User(mail)},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s, urgent: %t\n", order.Customer, order.Urgent)
	for _, l := range order.Lines {
		fmt.Printf("%d × %s %d\n", l.Copies, l.Title, l.Volume)
	}
	fmt.Printf("%d rounds, %d tokens, $%s\n", len(result.Rounds), result.Usage.Total(), result.Cost)
}
