// Command cachedchat answers what customers ask again and again from a cache:
// the first one to ask in a shop pays, those after him and those who ask at the
// same time do not, and another shop is not given its answers. It needs no
// account: Bedrock is a fake one inside the program, unless it is run with
// -bedrock aws.
package main

import (
	"context"
	"fmt"
	"log"
	"sync"
	"time"

	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/cache/memcache"
	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/pricing"
)

func main() {
	saved := pricing.NewLedger()
	answers := bedrockx.NewCache(memcache.New(), func(o *bedrockx.CacheOptions) {
		o.Namespace = "cachedchat"
		o.TTL = 24 * time.Hour
		o.Ledger = saved
	})
	defer answers.Close()
	client, closeBedrock := connect(answers)
	defer closeBedrock()
	chat := converse.New(client, func(o *converse.Options) {
		o.Model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
		o.System = converse.Texts("You help the customers of a manga shop, in one sentence.")
		o.Temperature = new(float64) // 0: only then an answer is kept, unless CachePolicy.AnyTemperature is set
	})

	fmt.Println("Tokyo, streamed:")
	stream(chat, "tokyo", "Do you ship abroad?")
	fmt.Println("Tokyo again:")
	ask(chat, "tokyo", "Do you ship abroad?")
	fmt.Println("Tokyo again, streamed:")
	stream(chat, "tokyo", "Do you ship abroad?")
	fmt.Println("Osaka, which is another tenant:")
	ask(chat, "osaka", "Do you ship abroad?")

	fmt.Println("Ten customers of Osaka at once:")
	together(chat, "osaka", "When do you open?", 10)

	stats := answers.Stats()
	fmt.Printf("\n%d answers were paid for, %d were not\n", stats.Kept, stats.Hits+stats.Shared)
	for _, sum := range saved.Sums() {
		fmt.Printf("%s saved %d tokens, $%s\n", sum.Tenant, sum.Usage.Total(), sum.Cost)
	}
}

func request(question string) converse.Request {
	return converse.Request{Messages: []converse.Message{converse.User(question)}}
}

// of says whose call it is. No tenant gets an answer of another.
func of(tenant string) func(*converse.Options) {
	return converse.Call(func(o *bedrockx.Options) { o.Tenant = tenant })
}

func ask(chat *converse.Client, tenant, question string) {
	r, err := chat.Send(context.Background(), request(question), of(tenant))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print("  ", r.Text())
	report(r.CacheHit, r.Cost)
}

func stream(chat *converse.Client, tenant, question string) {
	s, err := chat.Stream(context.Background(), request(question), of(tenant))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print("  ")
	for text, err := range s.Text() {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Print(text)
	}
	report(s.Result().CacheHit, s.Result().Cost)
}

func report(hit bool, cost *pricing.Amount) {
	how := "asked the model"
	if hit {
		how = "from the cache"
	}
	fmt.Printf("  [%s, $%s]\n", how, cost)
}

// together asks the same for many at once.
func together(chat *converse.Client, tenant, question string, callers int) {
	var wg sync.WaitGroup
	costs := make([]pricing.Amount, callers)
	for i := range callers {
		wg.Go(func() {
			r, err := chat.Send(context.Background(), request(question), of(tenant))
			if err != nil {
				log.Fatal(err)
			}
			costs[i] = *r.Cost
		})
	}
	wg.Wait()
	paid, total := 0, pricing.Amount{}
	for _, cost := range costs {
		if !cost.IsZero() {
			paid++
		}
		total = total.Add(cost)
	}
	fmt.Printf("  %d answers, %d paid for, $%s\n", callers, paid, total)
}
