package cache_test

import (
	"context"
	"fmt"
	"time"

	"github.com/mangaassist/bedrockkit/cache"
	"github.com/mangaassist/bedrockkit/cache/memcache"
)

// An answer that is paid for once, for each tenant.
func Example() {
	store := memcache.New()
	keyer := cache.NewKeyer(nil)
	var group cache.Group[[]byte]
	paid := 0

	ask := func(ctx context.Context, tenant, body string) ([]byte, error) {
		key, err := keyer.Key(cache.Request{
			Namespace: "shop/prod",
			Tenant:    tenant,
			Class:     cache.ClassConverse,
			Region:    "us-east-1",
			Model:     "us.amazon.nova-lite-v1:0",
			Body:      []byte(body),
		})
		if err != nil {
			return nil, err
		}
		if entry, err := store.Get(ctx, key); err == nil {
			return entry.Value, nil
		}
		value, _, err := group.Do(ctx, key, func(ctx context.Context) ([]byte, error) {
			paid++ // here the model is called
			answer := []byte("It is about pirates.")
			return answer, store.Set(ctx, key, answer, time.Hour)
		})
		return value, err
	}

	ctx := context.Background()
	for _, question := range []struct{ tenant, body string }{
		{"t1", `{"messages":[{"role":"user","content":[{"text":"What is “One Piece” about?"}]}]}`},
		{"t1", `{"messages": [{"content": [{"text": "What is \u201cOne Piece\u201d about?"}], "role": "user"}]}`},
		{"t2", `{"messages":[{"role":"user","content":[{"text":"What is “One Piece” about?"}]}]}`},
	} {
		answer, err := ask(ctx, question.tenant, question.body)
		fmt.Println(question.tenant, string(answer), err, "paid:", paid)
	}
	// Output:
	// t1 It is about pirates. <nil> paid: 1
	// t1 It is about pirates. <nil> paid: 1
	// t2 It is about pirates. <nil> paid: 2
}

func ExampleEncrypted() {
	secret := []byte("0123456789abcdef0123456789abcdef") // 32 random bytes from a vault
	inner := memcache.New()
	store, err := cache.Encrypted(inner, cache.EncryptionKey{ID: "2026-11", Secret: secret})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	mine := cache.Key{Namespace: "shop/prod", Tenant: "t1"}
	if err := store.Set(ctx, mine, []byte("an answer"), time.Hour); err != nil {
		fmt.Println(err)
		return
	}
	entry, err := store.Get(ctx, mine)
	fmt.Println(string(entry.Value), err)

	// Who can write to the store below gives it to another tenant.
	stolen, _ := inner.Get(ctx, mine)
	theirs := cache.Key{Namespace: "shop/prod", Tenant: "t2"}
	if err := inner.Set(ctx, theirs, stolen.Value, time.Hour); err != nil {
		fmt.Println(err)
		return
	}
	_, err = store.Get(ctx, theirs)
	fmt.Println(err)
	// Output:
	// an answer <nil>
	// cache: corrupt entry: it was changed, or is of another key or tenant
}
