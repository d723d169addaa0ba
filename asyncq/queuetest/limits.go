package queuetest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

func checkCounts(s *session) error {
	url, err := s.create("counts", nil)
	if err != nil {
		return err
	}
	for i := range 5 {
		if err := s.send(url, strconv.Itoa(i)); err != nil {
			return err
		}
	}
	if _, err := s.SendMessage(s.ctx, &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("late"), DelaySeconds: 600}); err != nil {
		return err
	}
	if got, err := s.receive(url, 2, 1); err != nil || len(got) != 2 {
		return fmt.Errorf("a receive of two returned %d messages and the error %v", len(got), err)
	}
	counts := func(visible, inFlight, delayed string) error {
		for name, want := range map[types.QueueAttributeName]string{
			types.QueueAttributeNameApproximateNumberOfMessages:           visible,
			types.QueueAttributeNameApproximateNumberOfMessagesNotVisible: inFlight,
			types.QueueAttributeNameApproximateNumberOfMessagesDelayed:    delayed,
		} {
			if got, err := s.attribute(url, name); err != nil || got != want {
				return fmt.Errorf("%s is %q and the error %v, want %s", name, got, err, want)
			}
		}
		return nil
	}
	return first(
		func() error { return counts("3", "2", "1") },
		func() error {
			_, err := s.PurgeQueue(s.ctx, &sqs.PurgeQueueInput{QueueUrl: &url})
			return err
		},
		func() error { return counts("0", "0", "0") },
		func() error { return s.nothing(url, "after a purge") },
	)
}

func checkLimits(s *session) error {
	url, err := s.create("limits", nil)
	if err != nil {
		return err
	}
	batch := func(entries ...types.SendMessageBatchRequestEntry) error {
		_, err := s.SendMessageBatch(s.ctx, &sqs.SendMessageBatchInput{QueueUrl: &url, Entries: entries})
		return err
	}
	entry := func(id string, size int) types.SendMessageBatchRequestEntry {
		return types.SendMessageBatchRequestEntry{Id: &id, MessageBody: aws.String(strings.Repeat("x", size))}
	}
	eleven := make([]types.SendMessageBatchRequestEntry, 11)
	for i := range eleven {
		eleven[i] = entry(strconv.Itoa(i), 1)
	}
	other := url[:strings.LastIndexByte(url, '/')+1] + "none"
	return first(
		func() error { return s.send(url, strings.Repeat("x", 1<<20)) },
		func() error {
			return code("a message of 1 MiB and one byte", s.send(url, strings.Repeat("x", 1<<20+1)), "InvalidParameterValue")
		},
		func() error { return code("a control character", s.send(url, "a\x00b"), "InvalidMessageContents") },
		func() error {
			return code("an empty batch", batch([]types.SendMessageBatchRequestEntry{}...), "EmptyBatchRequest")
		},
		func() error { return code("a batch of eleven", batch(eleven...), "TooManyEntriesInBatchRequest") },
		func() error {
			return code("two entries of one id", batch(entry("a", 1), entry("a", 1)), "BatchEntryIdsNotDistinct")
		},
		func() error { return code("an entry's id with a dot", batch(entry("a.b", 1)), "InvalidBatchEntryId") },
		func() error {
			return code("a batch of more than 1 MiB", batch(entry("a", 1<<19), entry("b", 1<<19+1)), "BatchRequestTooLong")
		},
		func() error {
			return code("a send to no queue", s.send(other, "m"), "QueueDoesNotExist", "NonExistentQueue")
		},
		func() error {
			_, err := s.receive(url, 11, 0)
			return code("a receive of eleven", err, "InvalidParameterValue")
		},
		func() error {
			_, err := s.receive(url, 1, 21)
			return code("a wait of 21 seconds", err, "InvalidParameterValue")
		},
	)
}

// checkConcurrent has many goroutines send, receive and delete. Nothing is lost,
// and nothing is received that was not sent.
func checkConcurrent(s *session) error {
	const senders, receivers, each = 4, 4, 50
	url, err := s.create("concurrent", map[string]string{"VisibilityTimeout": "120"})
	if err != nil {
		return err
	}
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		errs []error
		seen = map[string]int{}
	)
	note := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		errs = append(errs, err)
	}
	for n := range senders {
		wg.Go(func() {
			for i := range each {
				note(s.send(url, fmt.Sprint(n, "/", i)))
			}
		})
	}
	for range receivers {
		wg.Go(func() {
			for {
				got, err := s.receive(url, 10, 2)
				if err != nil || len(got) == 0 {
					note(err)
					return
				}
				for _, m := range got {
					mu.Lock()
					seen[*m.Body]++
					mu.Unlock()
					note(s.delete(url, m))
				}
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for n := range senders {
		for i := range each {
			if body := fmt.Sprint(n, "/", i); seen[body] == 0 {
				return fmt.Errorf("message %s was lost", body)
			}
		}
	}
	if len(seen) != senders*each {
		return fmt.Errorf("%d messages were received, %d sent", len(seen), senders*each)
	}
	return nil
}
