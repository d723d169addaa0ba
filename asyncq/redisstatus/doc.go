// Package redisstatus keeps the statuses of jobs in Redis.
//
//	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:6379", ContextTimeoutEnabled: true})
//	status := redisstatus.New(client)
//
// A status is a hash under its own key: its version, when the job was created, the
// token of the last write, and the whole of it as JSON in record. Redis removes it
// at its end. Every change is one script that checks the version before it writes,
// so of two workers that believe to have a job one is refused.
//
// Redis must not evict statuses (maxmemory-policy noeviction), and what it loses in a
// crash or a failover is lost: a job whose status is gone is done again. Where that
// costs too much, use package asyncq/dynamostatus.
package redisstatus
