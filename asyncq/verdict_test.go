package asyncq

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/bedrockx"
)

func kind(k bedrockx.Kind) error { return fmt.Errorf("asking: %w", &bedrockx.Error{Kind: k}) }

// What is found leads to its row, and each row is found.
func TestVerdicts(t *testing.T) {
	now := time.Now()
	at := func(state State, attempt int, lease time.Duration) Status {
		return Status{State: state, Attempt: attempt, LeaseUntil: now.Add(lease)}
	}
	first, last := at(Processing, 1, time.Minute), at(Processing, 3, time.Minute)
	seen := map[situation]bool{isUnreadable: true, endUntold: true, endUnburied: true, endNoDeadLetters: true, wasExited: true} // no finding
	for name, tt := range map[string]struct {
		judge func(finding) situation
		f     finding
		want  situation
	}{
		"queued":                         {arrived, finding{status: at(Queued, 0, 0)}, isNew},
		"queued again":                   {arrived, finding{status: at(Queued, 2, 0)}, isNew},
		"queued, its time has come":      {arrived, finding{status: Status{State: Queued, RetryAt: now}}, isNew},
		"queued, before its time":        {arrived, finding{status: Status{State: Queued, RetryAt: now.Add(1)}}, isEarly},
		"processing":                     {arrived, finding{status: at(Processing, 1, time.Second)}, isTaken},
		"processing, last attempt":       {arrived, finding{status: at(Processing, 3, time.Second)}, isTaken},
		"its lease is over":              {arrived, finding{status: at(Processing, 1, 0)}, isNew},
		"the last lease is over":         {arrived, finding{status: at(Processing, 3, 0)}, isExhausted},
		"the last lease is over, result": {arrived, finding{status: at(Processing, 3, 0), stored: true}, isNew},
		"queued, attempts used up":       {arrived, finding{status: at(Queued, 3, 0)}, isExhausted},
		"completed":                      {arrived, finding{status: at(Completed, 1, 0)}, isEnded},
		"completed, and moved back":      {arrived, finding{status: at(Completed, 1, 0), redriven: true}, isEnded},
		"canceled":                       {arrived, finding{status: at(Canceled, 0, 0)}, isEnded},
		"failed":                         {arrived, finding{status: at(Failed, 3, 0)}, isUnburied},
		"failed, moved back, not marked": {arrived, finding{status: at(Failed, 3, 0), redriven: true}, isRedriven},
		"of another job":                 {arrived, finding{status: at(Queued, 0, 0), stranger: true}, isStranger},
		"a dead letter's duplicate":      {arrived, finding{status: Status{State: Failed, DeadLettered: true}}, isEnded},
		"a dead letter that came back":   {arrived, finding{status: Status{State: Failed, DeadLettered: true}, redriven: true}, isRedriven},
		"nil":                            {tried, finding{status: last}, wasDone},
		"JobCancel":                      {tried, finding{status: first, err: JobCancel(nil)}, wasCanceled},
		"JobCancel of a throttle":        {tried, finding{status: first, err: JobCancel(kind(bedrockx.KindThrottled)), throttled: true}, wasCanceled},
		"JobDead":                        {tried, finding{status: first, err: JobDead(errors.New("no"))}, wasDead},
		"poison":                         {tried, finding{status: first, err: &poison{"no"}}, wasDead},
		"JobRetry":                       {tried, finding{status: last, err: JobRetry(time.Hour, nil)}, wasAsked},
		"JobRetry, wrapped":              {tried, finding{status: last, err: fmt.Errorf("later: %w", JobRetry(time.Hour, nil))}, wasAsked},
		"draining":                       {tried, finding{status: last, err: ErrDraining}, wasDrained},
		"lease lost":                     {tried, finding{status: last, err: ErrLeaseLost}, wasLost},
		"throttled":                      {tried, finding{status: last, err: kind(bedrockx.KindThrottled), throttled: true}, wasThrottled},
		"throttled for long":             {tried, finding{status: last, err: kind(bedrockx.KindThrottled), throttled: true, held: true}, wasThrottledLong},
		"a model that fails for all":     {tried, finding{status: last, err: kind(bedrockx.KindInternal), alone: true}, wasThrottled},
		"no connection, for all":         {tried, finding{status: last, err: kind(bedrockx.KindConnection), alone: true}, wasThrottled},
		"a model that fails for this":    {tried, finding{status: first, err: kind(bedrockx.KindInternal)}, wasFailed},
		"access denied":                  {tried, finding{status: last, err: kind(bedrockx.KindAccessDenied)}, wasDenied},
		"a store is down":                {tried, finding{status: last, err: &OpError{Op: "store result", Err: errors.New("x")}}, wasOutage},
		"a store is down for long":       {tried, finding{status: last, err: &OpError{Op: "read payload", Err: errors.New("x")}, held: true}, wasOutageLong},
		"an error":                       {tried, finding{status: first, err: errors.New("x")}, wasFailed},
		"a panic":                        {tried, finding{status: first, err: &panicError{"the handler", 1}}, wasFailed},
		"an error of the last attempt":   {tried, finding{status: last, err: errors.New("x")}, wasLastFailed},
		"a timeout of the last attempt":  {tried, finding{status: last, err: kind(bedrockx.KindTimeout)}, wasLastFailed},
	} {
		tt.f.now, tt.f.maxAttempts = now, 3
		got := tt.judge(tt.f)
		assert.Equal(t, verdicts[tt.want].when, verdicts[got].when, name)
		seen[got] = true
	}
	for i, v := range verdicts {
		assert.True(t, seen[situation(i)], "no finding leads to %q", v.when)
	}
}

// Whatever is found, what the table says fits together.
func TestVerdictsFitTogether(t *testing.T) {
	for _, v := range verdicts {
		require.NotEmpty(t, v.when)
		waits := v.message == fateHold || v.message == fateSlot || v.message == fateBack && v.attempt == countsSame
		assert.Equal(t, waits, v.wait != waitNone, "%s: what is held waits", v.when)
		switch {
		case v.state.Done():
			assert.Contains(t, []fate{fateDelete, fateBury}, v.message, v.when)
			assert.NotEqual(t, countsNot, v.attempt, v.when)
			assert.Equal(t, v.state == Failed, v.message == fateBury, "%s: a failed job is a dead letter", v.when)
		case v.state == Processing:
			assert.Equal(t, fateWork, v.message, v.when)
		case v.message == fateDelete || v.message == fateBury:
			assert.Equal(t, countsSame, v.attempt, "%s: a job that has not ended keeps its message", v.when)
		}
		if v.event == EventThrottled || v.event == EventAPIError {
			assert.NotEqual(t, countsOne, v.attempt, "%s: nobody's job is to blame for an outage", v.when)
		}
	}
}

// verdictTable is the table as the guide shows it.
func verdictTable() string {
	var b strings.Builder
	b.WriteString("| found | job | attempt counts | event | message | waits |\n| --- | --- | --- | --- | --- | --- |\n")
	for i, v := range verdicts {
		switch situation(i) {
		case wasDone:
			b.WriteString("| **after an attempt** | | | | | |\n")
		case endUntold:
			b.WriteString("| **at the end** | | | | | |\n")
		}
		state := "stays"
		if v.state != "" {
			state = string(v.state)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | `%s` | %s | %s |\n", v.when, state, v.attempt, v.event, v.message, v.wait)
	}
	return b.String()
}

func TestGuideHasTheVerdicts(t *testing.T) {
	guide, err := os.ReadFile("../docs/async.md")
	require.NoError(t, err)
	if !strings.Contains(string(guide), verdictTable()) {
		t.Errorf("docs/async.md does not have the table of verdict.go, which is\n%s", verdictTable())
	}
}
