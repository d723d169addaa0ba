package asyncq

import (
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// A delivery is a message that this process has.
type delivery struct {
	msg      types.Message
	queue    string // its name
	group    string // of a FIFO queue
	receives int
	sent     time.Time // last: also when SQS moved it back
	received time.Time
	until    time.Time // it cannot be held any longer; zero: the executor's own bound
	holds    int       // how often it was held
	untold   int       // how often the end of its job could not be reported or buried
	failed   *int64    // jobs that were completed when the model's service first failed for it

	// The rest is the inbox's, and guarded by its lock.
	src      *source
	hidden   time.Time   // from others, until then
	sending  bool        // a change of its visibility is under way
	resend   bool        // and is to be sent once more after that
	released bool        // it is not ours any more
	timer    *time.Timer // of a hold
	unhold   func()      // ends the count of a hold
}

func newDelivery(m types.Message, queue string, fifo bool) *delivery {
	d := &delivery{msg: m, queue: queueName(queue), received: time.Now()}
	d.receives, _ = strconv.Atoi(m.Attributes[string(types.MessageSystemAttributeNameApproximateReceiveCount)])
	if ms, err := strconv.ParseInt(m.Attributes[string(types.MessageSystemAttributeNameSentTimestamp)], 10, 64); err == nil {
		d.sent = time.UnixMilli(ms)
	}
	if fifo {
		d.group = m.Attributes[string(types.MessageSystemAttributeNameMessageGroupId)]
	}
	return d
}

func (d *delivery) receipt() *string { return d.msg.ReceiptHandle }

func (d *delivery) id() string   { return aws.ToString(d.msg.MessageId) }
func (d *delivery) body() string { return aws.ToString(d.msg.Body) }

func (d *delivery) attribute(name string) string {
	return aws.ToString(d.msg.MessageAttributes[name].StringValue)
}

// redriven reports whether the message was moved back after the end of the job that
// the status is about. It has a new id then. SQS keeps the attributes of a dead letter
// that it moves; one that it has moved by a redrive policy is known by its time.
func (d *delivery) redriven(s Status) bool {
	return s.Message != d.id() && (d.attribute(reasonAttribute) != "" || d.sent.After(s.FinishedAt))
}

// An outcome is what becomes of a message.
type outcome struct {
	fate   fate          // fateDelete, fateHold or fateBack
	after  time.Duration // until it is tried again or visible again
	ended  bool          // the job has ended: the next of its group may follow
	own    bool          // the wait is the job's own: it need not be in this process
	reason string        // of a hold, in a word
}
