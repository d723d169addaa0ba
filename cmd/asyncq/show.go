package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/mangaassist/bedrockkit/asyncq"
)

// queue is what is shown of a queue.
type queue struct {
	Role       string `json:"role"` // high, normal, low, ordered or dead letters
	Name       string `json:"name"`
	Missing    bool   `json:"missing,omitempty"`
	Visible    int    `json:"visible"`
	InFlight   int    `json:"in_flight"`
	Delayed    int    `json:"delayed"`
	DeadLetter string `json:"dead_letter_queue,omitempty"` // of its redrive policy
	Receives   int    `json:"max_receive_count,omitempty"`
}

// depth asks what is in a queue.
func depth(ctx context.Context, api queueAPI, name string) (queue, error) {
	q := queue{Name: name[strings.LastIndexByte(name, '/')+1:]}
	address := aws.String(name)
	if q.Name == name {
		out, err := api.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &name})
		if err != nil {
			return q, fmt.Errorf("finding the queue %s: %w", name, err)
		}
		address = out.QueueUrl
	}
	out, err := api.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: address, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll}})
	if err != nil {
		return q, fmt.Errorf("asking for the queue %s: %w", name, err)
	}
	number := func(name types.QueueAttributeName) int {
		n, _ := strconv.Atoi(out.Attributes[string(name)]) // SQS gives numbers
		return n
	}
	q.Visible = number(types.QueueAttributeNameApproximateNumberOfMessages)
	q.InFlight = number(types.QueueAttributeNameApproximateNumberOfMessagesNotVisible)
	q.Delayed = number(types.QueueAttributeNameApproximateNumberOfMessagesDelayed)
	if policy := out.Attributes[string(types.QueueAttributeNameRedrivePolicy)]; policy != "" {
		var p struct {
			Target   string      `json:"deadLetterTargetArn"`
			Receives json.Number `json:"maxReceiveCount"` // a string also fits
		}
		if err := json.Unmarshal([]byte(policy), &p); err != nil {
			return q, fmt.Errorf("the redrive policy of %s: %w", name, err)
		}
		q.DeadLetter = p.Target[strings.LastIndexByte(p.Target, ':')+1:]
		q.Receives, _ = strconv.Atoi(p.Receives.String())
	}
	return q, nil
}

func (a *arguments) showQueues(ctx context.Context, stdout io.Writer, s *services) error {
	var all []queue
	for _, one := range []struct{ role, name string }{
		{"high", a.queues.High}, {"normal", a.queues.Normal}, {"low", a.queues.Low},
		{"ordered", a.queues.Ordered}, {"dead letters", a.queues.DeadLetter},
	} {
		if one.name == "" {
			continue
		}
		q, err := depth(ctx, s.queues, one.name)
		if _, missing := errors.AsType[*types.QueueDoesNotExist](err); missing {
			q.Missing = true
		} else if err != nil {
			return err
		}
		q.Role = one.role
		all = append(all, q)
	}
	if a.asJSON {
		return printJSON(stdout, all)
	}
	rows := [][]string{{"ROLE", "QUEUE", "VISIBLE", "IN FLIGHT", "DELAYED", "MAX RECEIVES", "DEAD LETTERS GO TO"}}
	for _, q := range all {
		row := []string{q.Role, q.Name, strconv.Itoa(q.Visible), strconv.Itoa(q.InFlight), strconv.Itoa(q.Delayed), "-", "-"}
		switch {
		case q.Missing:
			row = []string{q.Role, q.Name, "-", "-", "-", "-", "the queue does not exist"}
		case q.DeadLetter != "":
			row[5], row[6] = strconv.Itoa(q.Receives), q.DeadLetter
		}
		rows = append(rows, row)
	}
	return printTable(stdout, rows)
}

func (a *arguments) showStatuses(ctx context.Context, stdout io.Writer, s *services) error {
	get := s.status.Get
	if a.wait {
		get = func(ctx context.Context, id string) (asyncq.Status, error) { return asyncq.Wait(ctx, s.status, id) }
	}
	var found []asyncq.Status
	var missing []string
	for _, id := range a.ids {
		status, err := get(ctx, id)
		switch {
		case errors.Is(err, asyncq.ErrNotFound):
			missing = append(missing, id)
		case err != nil:
			return err
		default:
			found = append(found, status)
		}
	}
	if err := a.printStatuses(stdout, found); err != nil {
		return err
	}
	if len(missing) > 0 {
		return fmt.Errorf("there is no status of %s", strings.Join(missing, ", "))
	}
	return nil
}

func (a *arguments) printStatuses(stdout io.Writer, found []asyncq.Status) error {
	if a.asJSON {
		return printJSON(stdout, append([]asyncq.Status{}, found...))
	}
	rows := [][]string{{"JOB", "STATUS", "PRIORITY", "ATTEMPT", "STEP", "CREATED", "FINISHED", "COST", "RESULT", "ERROR"}}
	for _, s := range found {
		step, cost := "", ""
		if s.Steps > 0 {
			step = fmt.Sprintf("%d of %d", s.Step, s.Steps)
		}
		if s.Cost != nil {
			cost = "$" + s.Cost.String()
		}
		rows = append(rows, []string{s.ID, string(s.State), string(s.Priority), strconv.Itoa(s.Attempt), step,
			moment(s.CreatedAt), moment(s.FinishedAt), cost, s.ResultKey, s.ErrorClass})
	}
	return printTable(stdout, rows)
}

// letter is a dead letter as JSON.
type letter struct {
	asyncq.DeadLetter
	Body string `json:"body,omitempty"`
}

func (a *arguments) showDead(ctx context.Context, stdout io.Writer, s *services) error {
	letters := []letter{}
	for d, err := range asyncq.NewDeadLetters(s.queues, a.queues, nil).List(ctx) {
		if err != nil {
			return err
		}
		l := letter{DeadLetter: d}
		if a.body {
			l.Body = d.Body
		}
		letters = append(letters, l)
	}
	if a.asJSON {
		return printJSON(stdout, letters)
	}
	rows := [][]string{{"JOB", "REASON", "FROM", "GROUP", "SENT", "MESSAGE"}}
	for _, l := range letters {
		reason := l.Reason
		if reason == "" {
			reason = "received too often"
		}
		rows = append(rows, []string{l.ID, reason, l.Queue, l.Group, moment(l.SentAt), l.MessageID})
	}
	if err := printTable(stdout, rows); err != nil {
		return err
	}
	for _, l := range letters {
		if a.body {
			fmt.Fprintf(stdout, "\n%s\n%s\n", l.MessageID, printable(l.Body))
		}
	}
	return nil
}

// printTable aligns columns. An empty cell is a dash.
func printTable(stdout io.Writer, rows [][]string) error {
	w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			if cell == "" {
				cell = "-"
			}
			end := "\t"
			if i == len(row)-1 {
				end = "\n"
			}
			fmt.Fprint(w, printable(cell), end)
		}
	}
	return w.Flush()
}

func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// printable keeps what others have written from moving the cursor of a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if strconv.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
