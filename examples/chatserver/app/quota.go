package app

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/quota"
	"github.com/mangaassist/bedrockkit/quota/redisquota"
)

// quotaWait is how long a question waits for room in a quota.
const quotaWait = 5 * time.Second

// quota keeps the calls of each model below the tokens and requests a minute that
// the account has, so that they wait for a moment instead of being throttled.
func (b *builder) quota(context.Context) (func(*bedrockx.Options), error) {
	if b.Quota == "" {
		b.say("quota", "none")
		return func(*bedrockx.Options) {}, nil
	}
	tokens, requests, err := parseQuota(b.Quota)
	if err != nil {
		return nil, err
	}
	var quotas []quota.Quota
	for _, id := range b.models {
		quotas = append(quotas, quota.Quota{Model: id, TokensPerMinute: tokens, RequestsPerMinute: requests})
	}
	where := "memory"
	var store quota.Store // nil is the memory of the process
	if b.QuotaStore != "memory" {
		client, name, err := b.redis(b.QuotaStore)
		if err != nil {
			return nil, fmt.Errorf("-quota-store is memory or the URL of a Redis: %w", err)
		}
		if store, err = redisquota.New(client); err != nil {
			return nil, err
		}
		where = name
	}
	limiter, err := quota.New(quotas, func(o *quota.Options) {
		o.Store, o.MaxWait, o.OnError = store, quotaWait, b.warn("the store of the quotas fails")
	})
	if err != nil {
		return nil, fmt.Errorf("-quota: %w", err)
	}
	bound := fmt.Sprintf("%d tokens", tokens)
	if requests > 0 { // 0 means no bound
		bound += fmt.Sprintf(" and %d requests", requests)
	}
	b.say("quota", "%s a minute for each model, in %s", bound, where)
	return func(o *bedrockx.Options) { o.Limiter = limiter }, nil
}

func parseQuota(text string) (tokens, requests int64, err error) {
	perToken, perRequest, ok := strings.Cut(text, ",")
	if tokens, err = strconv.ParseInt(strings.TrimSpace(perToken), 10, 64); err == nil && ok {
		requests, err = strconv.ParseInt(strings.TrimSpace(perRequest), 10, 64)
	}
	if err != nil || tokens < 1 || ok && requests < 1 {
		return 0, 0, fmt.Errorf("-quota is %q; it is the tokens and the requests of a minute, such as 5000000,10000", text)
	}
	return tokens, requests, nil
}
