package conformance_test

import (
	"context"
	"flag"
	"net/url"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrocktest/conformance"
	"github.com/mangaassist/bedrockkit/pricing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	live    = flag.Bool("live", false, "send the cases to an account")
	region  = flag.String("region", "us-east-1", "the region of -live")
	maxCost = flag.String("max-cost", "0.50", "the most that -live may cost, in US dollars")
)

func dollars(t testing.TB, s string) pricing.Amount {
	a, err := pricing.ParseAmount(s)
	require.NoError(t, err)
	return a
}

func fake(t *testing.T, optFns ...func(*bedrocktest.Options)) (*bedrocktest.Server, *conformance.Target) {
	srv := bedrocktest.NewServer(t, append([]func(*bedrocktest.Options){conformance.ForFake, func(o *bedrocktest.Options) { o.InProcess = true }}, optFns...)...)
	return srv, conformance.Fake(srv)
}

// The fake answers as the service does.
func TestFake(t *testing.T) {
	_, target := fake(t)
	report, err := target.Run(t.Context(), conformance.Cases(), pricing.NewBudget(dollars(t, "0")))
	require.NoError(t, err)
	assert.Empty(t, report.Different(), report.Table())
	assert.Zero(t, report.Skipped())
}

// The cases have sources and cover every operation, rule and family.
func TestCases(t *testing.T) {
	cases := conformance.Cases()
	assert.GreaterOrEqual(t, len(cases), 150)
	seen := map[string]bool{}
	ops := map[bedrockkit.Operation]bool{}
	for _, c := range cases {
		assert.False(t, seen[c.Name], "two cases of the name %s", c.Name)
		seen[c.Name] = true
		ops[c.Op] = true
		assert.NotEmpty(t, c.Source, c.Name)
		assert.Contains(t, []string{"documented", "peer", "inferred"}, c.Confidence, c.Name)
		assert.NotZero(t, c.Status, c.Name)
		if c.Status == 200 {
			assert.NotEmpty(t, append(c.Has, c.Events...), c.Name)
			if id := c.Model; id != "" && c.Local == "" {
				capability, known := bedrockkit.Capabilities(id)
				assert.True(t, known && !capability.Lifecycle.Ended(time.Time{}), c.Name)
			}
		}
	}
	for _, op := range []bedrockkit.Operation{
		bedrockkit.OpConverse, bedrockkit.OpConverseStream, bedrockkit.OpInvokeModel, bedrockkit.OpInvokeModelWithResponseStream,
		bedrockkit.OpCountTokens, bedrockkit.OpApplyGuardrail, bedrockkit.OpInvokeGuardrailChecks, bedrockkit.OpStartAsyncInvoke,
		bedrockkit.OpGetAsyncInvoke, bedrockkit.OpListAsyncInvokes, bedrockkit.OpCreateModelInvocationJob, bedrockkit.OpGetModelInvocationJob,
		bedrockkit.OpListModelInvocationJobs, bedrockkit.OpStopModelInvocationJob, bedrockkit.OpGetInferenceProfile,
		bedrockkit.OpListInferenceProfiles, bedrockkit.OpGetFoundationModel, bedrockkit.OpListFoundationModels,
	} {
		assert.True(t, ops[op], "no case of %s", op)
	}
}

// Whatever rule a fake does not keep is found by a case.
func TestDeviations(t *testing.T) {
	for _, rule := range bedrocktest.Rules() {
		if rule == bedrocktest.RuleWindow {
			continue // a prompt of that length would cost too much
		}
		_, target := fake(t, func(o *bedrocktest.Options) { o.Ignore = []bedrocktest.Rule{rule} })
		report, err := target.Run(t.Context(), conformance.Cases(), pricing.NewBudget(dollars(t, "0")))
		require.NoError(t, err)
		assert.NotEmpty(t, report.Different(), "nothing differs without the rule %s", rule)
	}
	for name, tt := range map[string]struct {
		reply *bedrocktest.Reply
		op    bedrockkit.Operation
		want  string
	}{
		"status":  {bedrocktest.Error(500, "InternalServerException", "x"), bedrockkit.OpConverse, "status: want 200, got 500 x"},
		"code":    {bedrocktest.Error(400, "AccessDeniedException", "The provided model identifier is invalid."), bedrockkit.OpConverse, "code: want ValidationException, got AccessDeniedException"},
		"message": {bedrocktest.Error(400, "ValidationException", "No | such\nmodel."), bedrockkit.OpConverse, `message: want The provided model identifier is invalid., got No \| such model.`},
		"member":  {bedrocktest.Body(200, "application/json", []byte(`{}`)), bedrockkit.OpConverse, "member: want stopReason, got none"},
		"events":  {bedrocktest.Text("x").Without("metadata"), bedrockkit.OpConverseStream, "events: want messageStart contentBlockDelta contentBlockStop messageStop metadata, got messageStart"},
	} {
		srv, target := fake(t)
		srv.Control(tt.op, func(context.Context, *bedrocktest.Request) *bedrocktest.Reply { return tt.reply }).Keep()
		report, err := target.Run(t.Context(), conformance.Cases(), pricing.NewBudget(dollars(t, "0")))
		require.NoError(t, err, name)
		assert.Contains(t, report.Table(), tt.want, name)
		assert.Contains(t, report.Table(), "| case | operation | model | difference | source |")
	}
}

// An account gets no more than the budget holds, and nothing that is local.
func TestBudgetOfAnAccount(t *testing.T) {
	srv, target := fake(t)
	target.Live = true
	budget := pricing.NewBudget(dollars(t, "0.01"))
	report, err := target.Run(t.Context(), conformance.Cases(), budget)
	require.NoError(t, err)
	assert.Positive(t, report.Skipped())
	assert.Empty(t, report.Different(), report.Table())
	assert.Positive(t, budget.Spent().Sign())
	assert.GreaterOrEqual(t, budget.Remaining().Sign(), 0)
	for _, r := range report {
		if r.Case.Local != "" {
			assert.Equal(t, r.Case.Local, r.Skipped, r.Case.Name)
		}
	}
	assert.Len(t, srv.Requests(), len(report)-report.Skipped())
	srv.Reset()
	report, err = target.Run(t.Context(), conformance.Cases(), pricing.NewBudget(dollars(t, "0")))
	require.NoError(t, err)
	for _, r := range srv.Requests() {
		assert.False(t, r.Op.Inference(), "%s to %s costs money", r.Op, r.Model)
	}
	assert.Positive(t, report.Skipped())
}

// What cannot be reached is an error, with what came before it.
func TestUnreachable(t *testing.T) {
	srv, target := fake(t)
	srv.Close()
	report, err := target.Run(t.Context(), conformance.Cases(), pricing.NewBudget(dollars(t, "0")))
	var failed *url.Error
	assert.ErrorAs(t, err, &failed)
	assert.Empty(t, report)
}

// TestLive asks an account, if -live is set.
func TestLive(t *testing.T) {
	if !*live {
		t.Skip("it costs money; see -live, -region and -max-cost")
	}
	cfg, err := config.LoadDefaultConfig(t.Context(), config.WithRegion(*region))
	require.NoError(t, err)
	budget := pricing.NewBudget(dollars(t, *maxCost))
	report, err := conformance.Account(cfg).Run(t.Context(), conformance.Cases(), budget)
	t.Logf("at most $%s spent\n\n%s", budget.Spent(), report.Table())
	require.NoError(t, err)
}
