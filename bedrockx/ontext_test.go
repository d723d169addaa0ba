package bedrockx_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/anthropic"
	"github.com/mangaassist/bedrockkit/cache/memcache"
	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/stream"
)

// OnText sees the answer of every kind of call, and can refuse it. What a check
// failed with decides nothing about retries: the answer is there and paid for.
func TestOnText(t *testing.T) {
	const answer = "Gol D. Roger hid a treasure."
	ask := anthropic.Request{MaxTokens: 100, Messages: []anthropic.Message{anthropic.User("Hi")}}
	say := converse.Request{Model: model, Messages: []converse.Message{converse.User("Hi")}}
	tests := map[string]func(context.Context, *bedrockx.Client) (string, error){
		"Invoke": func(ctx context.Context, c *bedrockx.Client) (string, error) {
			result, err := bedrockx.Invoke(ctx, c, model, ask)
			if err != nil {
				return "", err
			}
			return result.Output.Text(), nil
		},
		"Raw": func(ctx context.Context, c *bedrockx.Client) (string, error) {
			body, err := ask.EncodeInvoke(model)
			if err != nil {
				return "", err
			}
			result, err := bedrockx.Invoke(ctx, c, model, bedrockx.Raw(body))
			if err != nil {
				return "", err
			}
			return string(result.Output), nil
		},
		"Converse": func(ctx context.Context, c *bedrockx.Client) (string, error) {
			r, err := converse.New(c).Send(ctx, say)
			if err != nil {
				return "", err
			}
			return r.Text(), nil
		},
		"ConverseStream": func(ctx context.Context, c *bedrockx.Client) (string, error) {
			s, err := converse.New(c).Stream(ctx, say)
			return textOf(s, err)
		},
		"InvokeModelWithResponseStream": func(ctx context.Context, c *bedrockx.Client) (string, error) {
			s, err := stream.Invoke(ctx, c, model, ask)
			return textOf(s, err)
		},
	}
	for name, call := range tests {
		for _, cached := range []bool{false, true} {
			if cached && name == "Raw" {
				continue // nobody can tell that it is whole, so it is not kept
			}
			t.Run(fmt.Sprintf("%s, cached %v", name, cached), func(t *testing.T) {
				srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
				var seen strings.Builder
				var refuse error
				client := bedrockx.New(srv.Client(), quick, func(o *bedrockx.Options) {
					if cached {
						o.Cache = bedrockx.NewCache(memcache.New())
						o.CachePolicy.AnyTemperature = true
					}
					o.Middleware = append(o.Middleware, func(next bedrockx.Handler) bedrockx.Handler {
						return func(ctx context.Context, call *bedrockx.Call) error {
							seen.Reset()
							call.OnText = append(call.OnText, func(text string) error {
								seen.WriteString(text)
								if strings.Contains(seen.String(), "treasure") {
									return refuse
								}
								return nil
							})
							return next(ctx, call)
						}
					})
				})
				srv.Reply(bedrocktest.Text(answer).ChunkSize(3))
				got, err := call(t.Context(), client)
				require.NoError(t, err)
				assert.Contains(t, got, answer)
				assert.Equal(t, got, seen.String())

				refuse = fmt.Errorf("the check is overloaded: %w", bedrockx.ErrThrottled)
				if !cached {
					srv.Reply(bedrocktest.Text(answer).ChunkSize(3))
				}
				got, err = call(t.Context(), client)
				assert.ErrorIs(t, err, bedrockx.ErrRefused)
				assert.ErrorIs(t, err, bedrockx.ErrThrottled, "the cause is there as well")
				assert.NotContains(t, got, "treasure")
				want := 2
				if cached {
					want = 1
				}
				assert.Len(t, srv.Requests(), want, "nothing is tried again")
			})
		}
	}
}

func textOf(s *stream.Stream, err error) (string, error) {
	if err != nil {
		return "", err
	}
	var text strings.Builder
	for piece, err := range s.Text() {
		if err != nil {
			return text.String(), err
		}
		text.WriteString(piece)
	}
	return text.String(), nil
}
