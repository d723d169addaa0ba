package app

import (
	"errors"
	"net/url"

	"github.com/redis/go-redis/v9"
)

// redis returns a client of the Redis at a URL, and its name without a password:
// redis://host:6379/0, or rediss:// for TLS. With ?cluster=true it is one of a
// cluster, such as ElastiCache Serverless. The cache and the quotas share it if
// their URL is the same. It is dialled when it is first needed.
func (b *builder) redis(address string) (client redis.UniversalClient, name string, err error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "redis" && u.Scheme != "rediss" || u.Host == "" {
		return nil, "", errors.New("the URL must be such as redis://host:6379/0, or rediss:// for TLS") // it may have a password
	}
	name = u.Scheme + "://" + u.Host
	if client, ok := b.redises[address]; ok {
		return client, name, nil
	}
	query := u.Query()
	cluster := query.Get("cluster") == "true"
	query.Del("cluster")
	u.RawQuery = query.Encode()
	o, err := redis.ParseURL(u.String())
	if err != nil {
		return nil, "", errors.New("the URL has a part that is not known; it must be such as redis://host:6379/0")
	}
	o.ContextTimeoutEnabled, o.MaxRetries = true, -1
	client = redis.NewClient(o)
	if cluster {
		client = redis.NewClusterClient(&redis.ClusterOptions{
			Addrs: []string{o.Addr}, Username: o.Username, Password: o.Password, TLSConfig: o.TLSConfig,
			ContextTimeoutEnabled: true, MaxRetries: -1,
		})
	}
	if b.redises == nil {
		b.redises = map[string]redis.UniversalClient{}
	}
	b.redises[address] = client
	b.closers = append(b.closers, func() { client.Close() })
	return client, name, nil
}
