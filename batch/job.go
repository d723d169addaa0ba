package batch

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/pricing"
)

// A Job says how to run a set of records. Name, Model, Role and Input are required.
type Job struct {
	// Name is the identity of the set: 1 to 48 letters, digits, dots and hyphens. If
	// you submit a set with the same name again, it continues that set. So put the
	// date into the name of a nightly run.
	Name string `json:"name"`

	// Model is a model's id, an inference profile or an ARN. Provisioned models
	// are refused.
	Model bedrockkit.ModelID `json:"model"`

	// Role is the ARN of the service role that the job reads and writes S3 with.
	Role string `json:"role"`

	// Input and Output are the places of the set's files, such as
	// "s3://bucket/prefix". The files are below Input/Name and Output/Name. The
	// default of Output is Input.
	Input  string `json:"input"`
	Output string `json:"output"`

	// StateFile is the path of a local file. It gets a copy of the state each time the
	// state was stored in S3, and is read if the state in S3 is gone. The default is
	// none.
	StateFile string `json:"-"`

	// Timeout is how long a job may take: whole hours, from 24 h to 168 h. The default
	// is 24 h. A job that has not started by then gets the status Expired.
	Timeout time.Duration `json:"timeout,omitempty"`

	// MaxRefused is how many records may be refused before they are written. A refused
	// record gets a result with a [*RefusedError]. The default is 0: Submit returns
	// the error of the first refused record, before any job is created. The maximum is
	// 1,000.
	MaxRefused int `json:"max_refused,omitempty"`

	// MaxCost bounds the cost of the whole set in US dollars. It is compared with
	// [Plan.Bound], or with [Plan.LiveBound] if the set is too small for a job or
	// [RetryLive] may send its records live. If that is more than MaxCost, Submit
	// returns [ErrBudget] before any job is created. It does not include the second
	// attempt of a record that is sent twice. There is no bound by default.
	MaxCost *pricing.Amount `json:"max_cost,omitempty"`

	// OutputTokens is the likely length of an answer, for estimates. The default
	// is the bound of each record.
	OutputTokens int `json:"output_tokens,omitempty"`

	// StructuredOutput lets records ask for an output that fits a schema. It is off by
	// default, because copies of AWS's guide disagree about whether batch inference
	// takes it.
	StructuredOutput bool `json:"structured_output,omitempty"`

	// Live sends records live if they are too few for a job. It needs [Options.Live].
	// By default, too few records are an error, [ErrTooFew].
	Live bool `json:"live,omitempty"`

	// Retry says how records that have failed or are missing are sent again, once.
	// Records of a job that was stopped are not sent again. By default they are not
	// retried: they have results with an error.
	Retry Retry `json:"retry,omitempty"`

	// Tags are given to the jobs.
	Tags map[string]string `json:"tags,omitempty"`

	// InputOwner and OutputOwner are the accounts that own the buckets, if they are
	// not yours. KMSKey encrypts the output.
	InputOwner  string `json:"input_owner,omitempty"`
	OutputOwner string `json:"output_owner,omitempty"`
	KMSKey      string `json:"kms_key,omitempty"`

	// Subnets and SecurityGroups belong to a VPC from which the job reads S3.
	Subnets        []string `json:"subnets,omitempty"`
	SecurityGroups []string `json:"security_groups,omitempty"`
}

// Retry says how records that have failed or are missing are sent again. If its
// request is wrong, a record is never sent again.
type Retry string

// The values of Retry.
const (
	RetryNone Retry = ""

	// RetryJob sends them as a new job. If they are too few for a job, they are sent
	// live if [Job.Live] is set, and otherwise not at all.
	RetryJob Retry = "job"

	// RetryLive sends them as live calls, at the price of live calls. It needs
	// [Options.Live].
	RetryLive Retry = "live"
)

// The errors of sets. Find them with errors.Is.
var (
	// ErrTooFew is the error of a set with fewer records than a job must have.
	ErrTooFew = errors.New("too few records for a batch job")

	// ErrNoBatch is the error of a model that is known not to have batch inference.
	ErrNoBatch = errors.New("the model has no batch inference")

	// ErrBudget is the error of a set that can cost more than Job.MaxCost.
	ErrBudget = errors.New("the set can cost more than its bound")

	// ErrChanged is the error of a set that already exists with another model, role,
	// type or place.
	ErrChanged = errors.New("the set exists with other parameters; give it another name")

	// ErrConflict is the error of a set that another process has changed meanwhile.
	ErrConflict = errors.New("another process has changed the state of the set")

	// ErrNotWritten is the error of a set whose records were not all written. To write
	// them, call Submit again.
	ErrNotWritten = errors.New("the records of the set are not all written; submit them again")

	// ErrForeignJob is the error if the service returns a job with other parameters
	// for our token.
	ErrForeignJob = errors.New("the service returned a job with other parameters for our token")

	// ErrNotFound is the error if a set has no state.
	ErrNotFound = errors.New("there is no state of the set")

	// ErrTooLong is the error of a line that is longer than Options.MaxLineBytes.
	ErrTooLong = errors.New("the line is too long")

	// ErrDuplicate is the error of a record with the same id as another record.
	ErrDuplicate = errors.New("another record has the same id")

	// ErrRunning is the error of reading results before all jobs have ended.
	ErrRunning = errors.New("the jobs have not all ended")

	errNoLive = errors.New("it sends records live; set Options.Live")
)

// The patterns of the service (API reference, CreateModelInvocationJob) leave
// room for what is added to a name.
var (
	setName   = regexp.MustCompile(`^[a-zA-Z0-9]+(-*[a-zA-Z0-9.]+)*$`)
	roleARN   = regexp.MustCompile(`^arn:aws(-[a-z]+)*:iam::[0-9]{12}:role/.+`)
	bucketURI = regexp.MustCompile(`^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/|$)`)
)

const (
	maxSetName = 48
	maxRefused = 1000
	maxID      = 256
)

// resolved fills in the defaults and refuses what cannot be right.
func (j Job) resolved(c *Client) (Job, error) {
	fail := func(format string, args ...any) (Job, error) {
		return j, fmt.Errorf("batch: "+format, args...)
	}
	j.Tags, j.Subnets, j.SecurityGroups = maps.Clone(j.Tags), slices.Clone(j.Subnets), slices.Clone(j.SecurityGroups)
	setDefault(&j.Output, j.Input)
	setDefault(&j.Timeout, 24*time.Hour)
	j.Input, j.Output = strings.TrimRight(j.Input, "/"), strings.TrimRight(j.Output, "/")
	hours := j.Timeout / time.Hour
	switch {
	case len(j.Name) > maxSetName || !setName.MatchString(j.Name):
		return fail("Job.Name is %.60q; it has 1 to %d letters, digits, dots and hyphens, and ends with none of the latter", j.Name, maxSetName)
	case !roleARN.MatchString(j.Role):
		return fail("Job.Role is %.100q; it is the ARN of a role, as arn:aws:iam::123456789012:role/batch", j.Role)
	case !bucketURI.MatchString(j.Input):
		return fail("Job.Input is %.100q; it is as s3://bucket/prefix", j.Input)
	case !bucketURI.MatchString(j.Output):
		return fail("Job.Output is %.100q; it is as s3://bucket/prefix", j.Output)
	case j.Timeout%time.Hour != 0 || hours < 24 || hours > 168:
		return fail("Job.Timeout is %v; it is whole hours, from 24 h to 168 h", j.Timeout)
	case j.MaxRefused < 0 || j.MaxRefused > maxRefused:
		return fail("Job.MaxRefused is %d; it is from 0 to %d", j.MaxRefused, maxRefused)
	case (len(j.Subnets) == 0) != (len(j.SecurityGroups) == 0):
		return fail("Job has subnets or security groups; a VPC needs both, or none")
	case j.Retry != RetryNone && j.Retry != RetryJob && j.Retry != RetryLive:
		return fail("Job.Retry is %q; it is none, job or live", j.Retry)
	case (j.Live || j.Retry == RetryLive) && c.o.Live == nil:
		return fail("%s: %w", j.Name, errNoLive)
	}
	if err := c.o.Limits.check(); err != nil {
		return j, err
	}
	return j, checkModel(j.Model)
}
