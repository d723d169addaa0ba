package memqueue

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// Options are the options of [New]. The zero value of a field means its default.
type Options struct {
	// Region and Account are parts of the queues' URLs and ARNs. The defaults
	// are us-east-1 and 000000000000.
	Region, Account string

	// MaxInFlight is how many messages of a queue may have been received and
	// not be deleted or become visible again. The default is 120,000, which is
	// the service's.
	MaxInFlight int

	// Before is called at the start of each operation with its name, such as
	// "SendMessageBatch", and its input. An error of it is the operation's, which
	// then has no effect. It may be called by several goroutines at once.
	Before func(ctx context.Context, operation string, input any) error
}

// Service is all queues of an account in a region. It is safe for concurrent
// use.
type Service struct {
	o Options

	mu      sync.Mutex // guards everything below, and all queues
	queues  map[string]*queue
	deleted map[string]time.Time // when a queue of this name was deleted
	tasks   []moveTask           // the newest first
}

// New returns a service without queues.
func New(optFns ...func(*Options)) *Service {
	o := Options{Region: "us-east-1", Account: "000000000000", MaxInFlight: 120_000}
	for _, fn := range optFns {
		fn(&o)
	}
	if o.Region == "" {
		o.Region = "us-east-1"
	}
	if o.Account == "" {
		o.Account = "000000000000"
	}
	if o.MaxInFlight <= 0 {
		o.MaxInFlight = 120_000
	}
	return &Service{o: o, queues: map[string]*queue{}, deleted: map[string]time.Time{}}
}

// begin is the start of every operation.
func (s *Service) begin(ctx context.Context, op string, input any) error {
	if err := ctx.Err(); err != nil {
		return &aws.RequestCanceledError{Err: err}
	}
	if s.o.Before != nil {
		return s.o.Before(ctx, op, input)
	}
	return nil
}

// call runs an operation that does not wait, with the service locked.
func call[In any, Out any](ctx context.Context, s *Service, op string, input *In, run func(*In) (*Out, error)) (*Out, error) {
	if input == nil {
		input = new(In)
	}
	if err := s.begin(ctx, op, input); err != nil {
		return nil, failed(op, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out, err := run(input)
	if err != nil {
		return nil, failed(op, err)
	}
	return out, nil
}

func (s *Service) arn(name string) string {
	return "arn:aws:sqs:" + s.o.Region + ":" + s.o.Account + ":" + name
}

func (s *Service) url(name string) string {
	return "https://sqs." + s.o.Region + ".amazonaws.com/" + s.o.Account + "/" + name
}

// queue finds a queue by its URL, and lets the time that has passed take effect.
func (s *Service) queue(url *string) (*queue, error) {
	if aws.ToString(url) == "" {
		return nil, missing("QueueUrl")
	}
	q := s.queues[(*url)[strings.LastIndexByte(*url, '/')+1:]]
	if q == nil || q.url != *url {
		return nil, noQueue()
	}
	q.advance(time.Now())
	return q, nil
}

func (s *Service) byARN(arn string) *queue {
	q := s.queues[arn[strings.LastIndexByte(arn, ':')+1:]]
	if q == nil || q.arn != arn {
		return nil
	}
	return q
}

var queueName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

// CreateQueue creates a queue. One that exists with the same attributes is
// returned; with others, the error is QueueNameExists.
func (s *Service) CreateQueue(ctx context.Context, in *sqs.CreateQueueInput, _ ...func(*sqs.Options)) (*sqs.CreateQueueOutput, error) {
	return call(ctx, s, "CreateQueue", in, func(in *sqs.CreateQueueInput) (*sqs.CreateQueueOutput, error) {
		name := aws.ToString(in.QueueName)
		base, fifo := strings.CutSuffix(name, ".fifo")
		if !queueName.MatchString(base) || len(name) > 80 {
			return nil, invalid("Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length")
		}
		asked := in.Attributes["FifoQueue"]
		switch {
		case asked != "" && asked != "true":
			// The service refuses "false" too.
			return nil, &types.InvalidAttributeValue{Message: aws.String("Invalid value for the parameter FifoQueue: only true can be given")}
		case fifo != (asked == "true"):
			return nil, invalid("The name of a FIFO queue ends with .fifo and its attribute FifoQueue is true: both or neither")
		}
		if q := s.queues[name]; q != nil {
			for k, v := range in.Attributes {
				if q.attributes[types.QueueAttributeName(k)] != v {
					return nil, &types.QueueNameExists{Message: aws.String("A queue already exists with the same name and a different value for attribute " + k)}
				}
			}
			return &sqs.CreateQueueOutput{QueueUrl: aws.String(q.url)}, nil
		}
		now := time.Now()
		if at, ok := s.deleted[name]; ok && now.Sub(at) < time.Minute {
			return nil, &types.QueueDeletedRecently{Message: aws.String("You must wait 60 seconds after deleting a queue before you can create another with the same name.")}
		}
		q := newQueue(name, s.url(name), s.arn(name), fifo, now)
		if err := s.setAttributes(q, in.Attributes); err != nil {
			return nil, err
		}
		s.queues[name] = q
		return &sqs.CreateQueueOutput{QueueUrl: aws.String(q.url)}, nil
	})
}

// DeleteQueue deletes a queue and what is in it. Its name is free again after a
// minute. A receive that waits for it ends with QueueDoesNotExist.
func (s *Service) DeleteQueue(ctx context.Context, in *sqs.DeleteQueueInput, _ ...func(*sqs.Options)) (*sqs.DeleteQueueOutput, error) {
	return call(ctx, s, "DeleteQueue", in, func(in *sqs.DeleteQueueInput) (*sqs.DeleteQueueOutput, error) {
		q, err := s.queue(in.QueueUrl)
		if err != nil {
			return nil, err
		}
		delete(s.queues, q.name)
		s.deleted[q.name] = time.Now()
		q.wake()
		return &sqs.DeleteQueueOutput{}, nil
	})
}

// GetQueueUrl returns the URL of a queue by its name.
func (s *Service) GetQueueUrl(ctx context.Context, in *sqs.GetQueueUrlInput, _ ...func(*sqs.Options)) (*sqs.GetQueueUrlOutput, error) {
	return call(ctx, s, "GetQueueUrl", in, func(in *sqs.GetQueueUrlInput) (*sqs.GetQueueUrlOutput, error) {
		q := s.queues[aws.ToString(in.QueueName)]
		if q == nil {
			return nil, noQueue()
		}
		return &sqs.GetQueueUrlOutput{QueueUrl: aws.String(q.url)}, nil
	})
}

// ListQueues returns the URLs of queues, sorted by name.
func (s *Service) ListQueues(ctx context.Context, in *sqs.ListQueuesInput, _ ...func(*sqs.Options)) (*sqs.ListQueuesOutput, error) {
	return call(ctx, s, "ListQueues", in, func(in *sqs.ListQueuesInput) (*sqs.ListQueuesOutput, error) {
		var names []string
		for _, name := range slices.Sorted(maps.Keys(s.queues)) {
			if strings.HasPrefix(name, aws.ToString(in.QueueNamePrefix)) {
				names = append(names, name)
			}
		}
		names, token, err := page(names, in.MaxResults, in.NextToken)
		if err != nil {
			return nil, err
		}
		out := &sqs.ListQueuesOutput{NextToken: token}
		for _, name := range names {
			out.QueueUrls = append(out.QueueUrls, s.queues[name].url)
		}
		return out, nil
	})
}

// ListDeadLetterSourceQueues returns the URLs of the queues whose dead-letter
// queue this one is, sorted by name.
func (s *Service) ListDeadLetterSourceQueues(ctx context.Context, in *sqs.ListDeadLetterSourceQueuesInput, _ ...func(*sqs.Options)) (*sqs.ListDeadLetterSourceQueuesOutput, error) {
	return call(ctx, s, "ListDeadLetterSourceQueues", in, func(in *sqs.ListDeadLetterSourceQueuesInput) (*sqs.ListDeadLetterSourceQueuesOutput, error) {
		q, err := s.queue(in.QueueUrl)
		if err != nil {
			return nil, err
		}
		names, token, err := page(s.sources(q), in.MaxResults, in.NextToken)
		if err != nil {
			return nil, err
		}
		out := &sqs.ListDeadLetterSourceQueuesOutput{NextToken: token}
		for _, name := range names {
			out.QueueUrls = append(out.QueueUrls, s.queues[name].url)
		}
		return out, nil
	})
}

// sources are the names of the queues whose dead-letter queue q is.
func (s *Service) sources(q *queue) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(s.queues)) {
		if s.queues[name].redrive.Target == q.arn {
			names = append(names, name)
		}
	}
	return names
}

// page cuts what follows the token, which is the last name of the page before.
func page(names []string, limit *int32, token *string) ([]string, *string, error) {
	n := int(aws.ToInt32(limit))
	if limit != nil && (n < 1 || n > 1000) {
		return nil, nil, invalid("MaxResults must be between 1 and 1000")
	}
	if token != nil {
		names = names[slices.IndexFunc(append(names, "\U0010FFFF"), func(name string) bool { return name > *token }):]
	}
	if n == 0 || n >= len(names) {
		return names[:min(len(names), 1000)], nil, nil
	}
	return names[:n], aws.String(names[n-1]), nil
}

// GetQueueAttributes returns what is asked for by name. All counts are exact.
func (s *Service) GetQueueAttributes(ctx context.Context, in *sqs.GetQueueAttributesInput, _ ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error) {
	return call(ctx, s, "GetQueueAttributes", in, func(in *sqs.GetQueueAttributesInput) (*sqs.GetQueueAttributesOutput, error) {
		q, err := s.queue(in.QueueUrl)
		if err != nil {
			return nil, err
		}
		all := maps.Clone(q.attributes)
		visible, inFlight, delayed := q.counts()
		all[types.QueueAttributeNameQueueArn] = q.arn
		all[types.QueueAttributeNameCreatedTimestamp] = strconv.FormatInt(q.created.Unix(), 10)
		all[types.QueueAttributeNameLastModifiedTimestamp] = strconv.FormatInt(q.modified.Unix(), 10)
		all[types.QueueAttributeNameApproximateNumberOfMessages] = strconv.Itoa(visible)
		all[types.QueueAttributeNameApproximateNumberOfMessagesNotVisible] = strconv.Itoa(inFlight)
		all[types.QueueAttributeNameApproximateNumberOfMessagesDelayed] = strconv.Itoa(delayed)
		out := &sqs.GetQueueAttributesOutput{Attributes: map[string]string{}}
		known := types.QueueAttributeName("").Values()
		for _, name := range in.AttributeNames {
			if !slices.Contains(known, name) {
				return nil, &types.InvalidAttributeName{Message: aws.String("Unknown Attribute " + string(name) + ".")}
			}
			for k, v := range all {
				if k == name || name == types.QueueAttributeNameAll {
					out.Attributes[string(k)] = v
				}
			}
		}
		return out, nil
	})
}

// SetQueueAttributes changes a queue at once; the service takes up to a minute.
func (s *Service) SetQueueAttributes(ctx context.Context, in *sqs.SetQueueAttributesInput, _ ...func(*sqs.Options)) (*sqs.SetQueueAttributesOutput, error) {
	return call(ctx, s, "SetQueueAttributes", in, func(in *sqs.SetQueueAttributesInput) (*sqs.SetQueueAttributesOutput, error) {
		q, err := s.queue(in.QueueUrl)
		if err != nil {
			return nil, err
		}
		if v, ok := in.Attributes["FifoQueue"]; ok && (v == "true") != q.fifo {
			return nil, invalidAttribute(types.QueueAttributeNameFifoQueue, "a queue cannot change its kind")
		}
		if err := s.setAttributes(q, in.Attributes); err != nil {
			return nil, err
		}
		q.modified = time.Now()
		q.retain()
		q.advance(q.modified)
		q.wake() // receives may wait for less
		return &sqs.SetQueueAttributesOutput{}, nil
	})
}

// bounds are those of the attributes that are numbers.
var bounds = map[types.QueueAttributeName]struct{ low, high int }{
	types.QueueAttributeNameDelaySeconds:                  {0, maxDelay},
	types.QueueAttributeNameMaximumMessageSize:            {1024, maxMessageBytes},
	types.QueueAttributeNameMessageRetentionPeriod:        {60, 1_209_600},
	types.QueueAttributeNameReceiveMessageWaitTimeSeconds: {0, maxWait},
	types.QueueAttributeNameVisibilityTimeout:             {0, maxVisibility},
	types.QueueAttributeNameKmsDataKeyReusePeriodSeconds:  {60, 86_400},
}

// setAttributes checks all attributes and then takes them.
func (s *Service) setAttributes(q *queue, attributes map[string]string) error {
	redrive := q.redrive
	for k, v := range attributes {
		name := types.QueueAttributeName(k)
		if b, ok := bounds[name]; ok {
			if n, err := strconv.Atoi(v); err != nil || n < b.low || n > b.high {
				return invalidAttribute(name, fmt.Sprintf("Must be between %d and %d.", b.low, b.high))
			}
			continue
		}
		switch name {
		case types.QueueAttributeNameContentBasedDeduplication, types.QueueAttributeNameSqsManagedSseEnabled:
			if v != "true" && v != "false" {
				return invalidAttribute(name, "Must be true or false.")
			}
		case types.QueueAttributeNameDeduplicationScope:
			if v != "queue" && v != "messageGroup" {
				return invalidAttribute(name, "Must be queue or messageGroup.")
			}
		case types.QueueAttributeNameFifoThroughputLimit:
			if v != "perQueue" && v != "perMessageGroupId" {
				return invalidAttribute(name, "Must be perQueue or perMessageGroupId.")
			}
		case types.QueueAttributeNameRedrivePolicy:
			redrive = redrivePolicy{}
			if v == "" {
				continue // takes the policy away
			}
			if err := json.Unmarshal([]byte(v), &redrive); err != nil {
				return invalidAttribute(name, "Must be a JSON object with deadLetterTargetArn and maxReceiveCount.")
			}
			target := s.byARN(redrive.Target)
			switch {
			case redrive.MaxReceives < 1 || redrive.MaxReceives > 1000:
				return invalidAttribute(name, "maxReceiveCount must be between 1 and 1000.")
			case target == nil:
				return invalidAttribute(name, "Dead letter target does not exist.")
			case target.fifo != q.fifo:
				return invalidAttribute(name, "A queue and its dead-letter queue must be of the same kind.")
			}
		case types.QueueAttributeNameFifoQueue, types.QueueAttributeNamePolicy,
			types.QueueAttributeNameKmsMasterKeyId, types.QueueAttributeNameRedriveAllowPolicy:
		default:
			return &types.InvalidAttributeName{Message: aws.String("Unknown Attribute " + k + ".")}
		}
		switch name {
		case types.QueueAttributeNameContentBasedDeduplication, types.QueueAttributeNameDeduplicationScope, types.QueueAttributeNameFifoThroughputLimit:
			if !q.fifo {
				return &types.InvalidAttributeName{Message: aws.String("You can specify the " + k + " only when FifoQueue is set to true.")}
			}
		}
	}
	for k, v := range attributes {
		if v == "" {
			delete(q.attributes, types.QueueAttributeName(k))
			continue
		}
		q.attributes[types.QueueAttributeName(k)] = v
	}
	q.redrive = redrive
	return nil
}

// redrivePolicy is the attribute of this name.
type redrivePolicy struct {
	Target      string  `json:"deadLetterTargetArn"`
	MaxReceives flexInt `json:"maxReceiveCount"`
}

// flexInt is a number that may be written as a string, as the service takes it.
type flexInt int

func (n *flexInt) UnmarshalJSON(data []byte) error {
	v, err := strconv.Atoi(strings.Trim(string(data), `"`))
	*n = flexInt(v)
	return err
}

// PurgeQueue deletes all messages at once. Another purge within a minute is
// refused, as the service does.
func (s *Service) PurgeQueue(ctx context.Context, in *sqs.PurgeQueueInput, _ ...func(*sqs.Options)) (*sqs.PurgeQueueOutput, error) {
	return call(ctx, s, "PurgeQueue", in, func(in *sqs.PurgeQueueInput) (*sqs.PurgeQueueOutput, error) {
		q, err := s.queue(in.QueueUrl)
		if err != nil {
			return nil, err
		}
		now := time.Now()
		if !q.purged.IsZero() && now.Sub(q.purged) < time.Minute {
			return nil, &types.PurgeQueueInProgress{Message: aws.String("Only one PurgeQueue operation on " + q.name + " is allowed every 60 seconds.")}
		}
		q.purged = now
		q.clear()
		return &sqs.PurgeQueueOutput{}, nil
	})
}

// uuid is a random UUID, version 4.
func uuid() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, since Go 1.24
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
