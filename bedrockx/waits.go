package bedrockx

import (
	"time"

	"github.com/mangaassist/bedrockkit"
)

// perToken is how long a token of an answer may take: an hour for 128,000, as
// AWS advises a read timeout of 60 minutes for models that think.
const perToken = time.Hour / 128_000

// waits are the bounds on the waits of an attempt. Bounds that are defaults grow
// with the answer that may come: that of a unary call with its length, those of
// a stream only where the model may think for long without a word.
func (c *Call) waits() (attempt, first, idle time.Duration) {
	o := c.Options
	attempt, first, idle = o.AttemptTimeout, o.FirstEventTimeout, o.IdleTimeout
	streams := c.Op.Streaming()
	if streams && !c.known().Thinking.Silent() {
		return attempt, first, idle
	}
	long := perToken * time.Duration(c.longest())
	grow := func(d *time.Duration, byDefault time.Duration) {
		if *d == byDefault {
			*d = max(*d, long)
		}
	}
	if !streams {
		grow(&attempt, o.attemptDefault)
		return attempt, first, idle
	}
	grow(&first, o.attemptDefault)
	grow(&idle, idleDefault)
	return attempt, first, idle
}

// longest is the most tokens that the answer can have, 0 if nobody knows.
func (c *Call) longest() int64 {
	if n := c.maxTokens(c.body()); n > 0 {
		return min(n, 10_000_000) // the service will say what it thinks of more
	}
	return int64(c.known().MaxOutput)
}

// known is what is known of the model that the call goes to.
func (c *Call) known() bedrockkit.Capability {
	known, _ := c.Options.Capabilities(c.Resolved())
	return known
}
