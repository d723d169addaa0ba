package queuetest

import (
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

func checkOrder(s *session) error {
	url, err := s.create("order.fifo", fifo)
	if err != nil {
		return err
	}
	for _, body := range []string{"1", "2", "3"} {
		if err := s.order(url, "g", body); err != nil {
			return err
		}
	}
	got, err := s.expect(url, 5, "1")
	if err != nil {
		return err
	}
	if got[0].Attributes["MessageGroupId"] != "g" || got[0].Attributes["MessageDeduplicationId"] != "1" || got[0].Attributes["SequenceNumber"] == "" {
		return fmt.Errorf("the attributes of a FIFO message are %v", got[0].Attributes)
	}
	// One that comes back stays before its successors.
	if err := s.visible(url, got[0], 0); err != nil {
		return err
	}
	for _, body := range []string{"1", "2", "3"} {
		got, err := s.expect(url, 5, body)
		if err != nil {
			return err
		}
		if err := s.delete(url, got[0]); err != nil {
			return err
		}
	}
	return nil
}

func checkGroups(s *session) error {
	url, err := s.create("groups.fifo", fifo)
	if err != nil {
		return err
	}
	for _, m := range []struct{ group, body string }{{"a", "a1"}, {"a", "a2"}, {"b", "b1"}} {
		if err := s.order(url, m.group, m.body); err != nil {
			return err
		}
	}
	got, err := s.expect(url, 5, "a1", "b1")
	if err != nil {
		return err
	}
	return first(
		func() error { return s.nothing(url, "while a message of each group is in flight") },
		func() error { return s.delete(url, got[1]) },
		func() error { return s.nothing(url, "after a delete in another group") },
		func() error { return s.delete(url, got[0]) },
		func() error { _, err := s.expect(url, 5, "a2"); return err },
	)
}

func checkGroupBatch(s *session) error {
	url, err := s.create("batch.fifo", fifo)
	if err != nil {
		return err
	}
	for _, body := range []string{"1", "2", "3", "4"} {
		if err := s.order(url, "g", body); err != nil {
			return err
		}
	}
	got, err := s.receive(url, 3, 5)
	if err != nil {
		return err
	}
	if len(got) != 3 || *got[0].Body != "1" || *got[1].Body != "2" || *got[2].Body != "3" {
		return fmt.Errorf("a receive of three returned %d messages of one group", len(got))
	}
	return first(
		func() error { return s.delete(url, got[0]) },
		func() error { return s.delete(url, got[1]) },
		func() error { return s.nothing(url, "while the last of three is in flight") },
		func() error { return s.visible(url, got[2], 0) },
		func() error { _, err := s.expect(url, 5, "3"); return err },
	)
}

func checkDeduplication(s *session) error {
	url, err := s.create("dedup.fifo", fifo)
	if err != nil {
		return err
	}
	in := sqs.SendMessageInput{QueueUrl: &url, MessageGroupId: aws.String("g"), MessageDeduplicationId: aws.String("d")}
	in.MessageBody = aws.String("first")
	one, err := s.SendMessage(s.ctx, &in)
	if err != nil {
		return err
	}
	in.MessageBody = aws.String("second")
	two, err := s.SendMessage(s.ctx, &in)
	if err != nil {
		return err
	}
	if *one.MessageId != *two.MessageId {
		return fmt.Errorf("a duplicate got the id %s, the original has %s", *two.MessageId, *one.MessageId)
	}
	got, err := s.expect(url, 5, "first")
	if err != nil {
		return err
	}
	if err := s.delete(url, got[0]); err != nil {
		return err
	}
	in.MessageBody = aws.String("third") // a duplicate of what has been deleted
	if _, err := s.SendMessage(s.ctx, &in); err != nil {
		return err
	}
	if err := s.nothing(url, "after duplicates"); err != nil {
		return err
	}
	in.MessageDeduplicationId = nil
	_, err = s.SendMessage(s.ctx, &in)
	return code("a FIFO message without a deduplication id", err, "InvalidParameterValue")
}
