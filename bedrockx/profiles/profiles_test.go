package profiles_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/bedrock/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/anthropic"
	"github.com/mangaassist/bedrockkit/bedrockx/profiles"
	"github.com/mangaassist/bedrockkit/pricing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	haiku   = "anthropic.claude-haiku-4-5-20251001-v1:0"
	profile = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abcdefghijkl"
)

func newServer(t testing.TB, model bedrockkit.ModelID) *bedrocktest.Server {
	return bedrocktest.NewServer(t, func(o *bedrocktest.Options) {
		o.InProcess, o.Responder = true, bedrocktest.Echo
		o.Profiles = map[bedrockkit.ModelID]bedrockkit.ModelID{profile: model}
	})
}

func controlPlane(srv *bedrocktest.Server) *bedrock.Client {
	return bedrock.NewFromConfig(srv.Config(), func(o *bedrock.Options) { o.RetryMaxAttempts = 1 })
}

func Example() {
	fake, err := bedrocktest.New(func(o *bedrocktest.Options) {
		o.InProcess, o.Responder = true, bedrocktest.Echo
		o.Profiles = map[bedrockkit.ModelID]bedrockkit.ModelID{profile: haiku}
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer fake.Close()

	resolver := profiles.New(bedrock.NewFromConfig(fake.Config()))
	client := bedrockx.New(fake.Client(), func(o *bedrockx.Options) { o.Resolve = resolver.Resolve })
	result, err := bedrockx.Invoke(context.Background(), client, profile, anthropic.Request{
		MaxTokens: 100,
		Messages:  []anthropic.Message{anthropic.User("Hello!")},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(result.Model == profile, result.Cost != nil)
	// Output: true true
}

// The scope of what is found is that of the profile: prices depend on it.
func TestResolve(t *testing.T) {
	for _, model := range []bedrockkit.ModelID{haiku, "us.anthropic.claude-haiku-4-5-20251001-v1:0", "eu.anthropic.claude-haiku-4-5-20251001-v1:0",
		"jp.anthropic.claude-haiku-4-5-20251001-v1:0", "au.anthropic.claude-haiku-4-5-20251001-v1:0", "apac.amazon.nova-lite-v1:0",
		"ca.amazon.nova-lite-v1:0", "us-gov.anthropic.claude-haiku-4-5-20251001-v1:0", "global.anthropic.claude-haiku-4-5-20251001-v1:0"} {
		srv := newServer(t, model)
		found, err := profiles.New(controlPlane(srv)).Resolve(t.Context(), profile)
		require.NoError(t, err, model)
		assert.Equal(t, model, found)
	}

	srv := newServer(t, haiku)
	r := profiles.New(controlPlane(srv))
	found, err := r.Resolve(t.Context(), "us.amazon.nova-lite-v1:0")
	require.NoError(t, err)
	assert.EqualValues(t, "us.amazon.nova-lite-v1:0", found, "it tells its model already")
	_, err = r.Resolve(t.Context(), "arn:aws:bedrock:us-east-1:123456789012:provisioned-model/abcdefghijkl")
	assert.ErrorIs(t, err, profiles.ErrNoModel)
	_, err = r.Resolve(t.Context(), "us/anthropic")
	var invalid *bedrockkit.InvalidModelIDError
	assert.ErrorAs(t, err, &invalid)
	assert.Empty(t, srv.Requests(), "none of these is asked for")
}

func TestCost(t *testing.T) {
	srv := newServer(t, "global.anthropic.claude-haiku-4-5-20251001-v1:0")
	request := anthropic.Request{MaxTokens: 100, Messages: []anthropic.Message{anthropic.User("Hi")}}

	plain := bedrockx.New(srv.Client())
	result, err := bedrockx.Invoke(t.Context(), plain, profile, request)
	require.NoError(t, err)
	assert.Nil(t, result.Cost)
	assert.ErrorIs(t, result.CostErr, pricing.ErrUnknownModel)

	r := profiles.New(controlPlane(srv))
	client := bedrockx.New(srv.Client(), func(o *bedrockx.Options) { o.Resolve = r.Resolve })
	result, err = bedrockx.Invoke(t.Context(), client, profile, request)
	require.NoError(t, err)
	want, err := pricing.Default().Cost("global.anthropic.claude-haiku-4-5-20251001-v1:0", result.Usage)
	require.NoError(t, err)
	assert.Equal(t, want.String(), result.Cost.String())

	request.MaxTokens = 1_000_000
	_, err = bedrockx.Invoke(t.Context(), client, profile, request)
	assert.ErrorIs(t, err, bedrockx.ErrValidation, "what the model takes is known as well")

	// A budget holds for a profile too, and before anything is sent.
	request.MaxTokens = 100
	least, err := pricing.ParseAmount("0.0000001")
	require.NoError(t, err)
	sent := len(srv.Requests())
	_, err = bedrockx.Invoke(t.Context(), client, profile, request, func(o *bedrockx.Options) { o.MaxCost = &least })
	assert.ErrorIs(t, err, bedrockx.ErrBudget)
	assert.Len(t, srv.Requests(), sent)
}

// What cannot be resolved costs the price and not the call.
func TestControlPlaneFails(t *testing.T) {
	srv := newServer(t, haiku)
	srv.Control(bedrockkit.OpGetInferenceProfile, func(context.Context, *bedrocktest.Request) *bedrocktest.Reply {
		return bedrocktest.Error(403, "AccessDeniedException", "no")
	}).Keep()
	r := profiles.New(controlPlane(srv))
	client := bedrockx.New(srv.Client(), func(o *bedrockx.Options) { o.Resolve = r.Resolve })
	result, err := bedrockx.Invoke(t.Context(), client, profile, anthropic.Request{MaxTokens: 100, Messages: []anthropic.Message{anthropic.User("Hi")}})
	require.NoError(t, err)
	assert.Nil(t, result.Cost)
	assert.ErrorContains(t, result.CostErr, "AccessDeniedException")
	assert.Len(t, srv.Requests(), 2, "the profile is asked for once, and the model once")
}

// slow is an API that answers when it is told to.
type slow struct {
	calls   atomic.Int64
	release chan struct{}
	arn     string
	err     error
}

func (s *slow) GetInferenceProfile(ctx context.Context, _ *bedrock.GetInferenceProfileInput, _ ...func(*bedrock.Options)) (*bedrock.GetInferenceProfileOutput, error) {
	s.calls.Add(1)
	if s.release != nil {
		select {
		case <-s.release:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if s.err != nil {
		return nil, s.err
	}
	out := &bedrock.GetInferenceProfileOutput{}
	out.Models = append(out.Models, models(s.arn)...)
	return out, nil
}

func TestManyCallersAskOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &slow{release: make(chan struct{}), arn: "arn:aws:bedrock:us-east-1::foundation-model/" + haiku}
		r := profiles.New(api)
		var wg sync.WaitGroup
		first, leave := context.WithCancel(t.Context())
		for i := range 20 {
			wg.Go(func() {
				ctx := t.Context()
				if i == 0 {
					ctx = first
				}
				found, err := r.Resolve(ctx, profile)
				assert.NoError(t, err)
				assert.EqualValues(t, haiku, found)
			})
			if i == 0 {
				synctest.Wait() // it is the one who asks
			}
		}
		waiting, stop := context.WithCancel(t.Context())
		wg.Go(func() {
			_, err := r.Resolve(waiting, profile)
			assert.ErrorIs(t, err, context.Canceled)
		})
		synctest.Wait()
		leave() // harmless to the others
		stop()
		synctest.Wait()
		close(api.release)
		wg.Wait()
		assert.EqualValues(t, 1, api.calls.Load())

		time.Sleep(59 * time.Minute)
		_, err := r.Resolve(t.Context(), profile)
		require.NoError(t, err)
		assert.EqualValues(t, 1, api.calls.Load())
		time.Sleep(2 * time.Minute)
		_, err = r.Resolve(t.Context(), profile)
		require.NoError(t, err)
		assert.EqualValues(t, 2, api.calls.Load())
	})
}

func TestErrorsAreKeptForAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &slow{err: errors.New("down")}
		r := profiles.New(api, func(o *profiles.Options) { o.MaxEntries = 2 })
		for range 3 {
			_, err := r.Resolve(t.Context(), profile)
			assert.ErrorContains(t, err, "down")
		}
		assert.EqualValues(t, 1, api.calls.Load())
		time.Sleep(61 * time.Second)
		_, err := r.Resolve(t.Context(), profile)
		assert.Error(t, err)
		assert.EqualValues(t, 2, api.calls.Load())

		for i := range 5 { // more than are kept
			_, err = r.Resolve(t.Context(), bedrockkit.ModelID(fmt.Sprintf("%s%d", profile, i)))
			assert.Error(t, err)
		}
		assert.EqualValues(t, 7, api.calls.Load())

		api = &slow{release: make(chan struct{})}
		began := time.Now()
		_, err = profiles.New(api).Resolve(t.Context(), profile)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 2*time.Second, time.Since(began))
	})
}

func TestStrangeProfiles(t *testing.T) {
	for _, arn := range []string{"", "x", "arn:aws:bedrock:us-east-1:123456789012:custom-model/x"} {
		_, err := profiles.New(&slow{arn: arn}).Resolve(t.Context(), profile)
		assert.Error(t, err, arn)
	}
	_, err := profiles.New(&slow{}).Resolve(t.Context(), profile)
	assert.Error(t, err)
}

func models(arn string) []types.InferenceProfileModel {
	if arn == "" {
		return nil
	}
	return []types.InferenceProfileModel{{ModelArn: aws.String(arn)}}
}
