package bedrocktest

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/mangaassist/bedrockkit"
)

// The operations of batch inference, of the control plane (Amazon Bedrock API
// reference, Data Types ModelInvocationJob…). The server keeps the jobs and
// lets their time pass; it reads and writes no S3.

var jobName = regexp.MustCompile(`^[a-zA-Z0-9]{1,63}(-*[a-zA-Z0-9+\-.]){0,63}$`)

func (s *Server) createModelInvocationJob(x *exchange) *Reply {
	var body struct {
		Name   string             `json:"jobName"`
		Role   string             `json:"roleArn"`
		Token  string             `json:"clientRequestToken"`
		Model  bedrockkit.ModelID `json:"modelId"`
		Hours  *int               `json:"timeoutDurationInHours"`
		Input  json.RawMessage    `json:"inputDataConfig"`
		Output json.RawMessage    `json:"outputDataConfig"`
	}
	if err := json.Unmarshal(x.req.Body, &body); err != nil {
		return unreadable(err)
	}
	if r := s.knownModel(body.Model); r != nil {
		return r
	}
	var uri struct {
		Input struct {
			S3 struct {
				URI string `json:"s3Uri"`
			} `json:"s3InputDataConfig"`
		} `json:"inputDataConfig"`
		Output struct {
			S3 struct {
				URI string `json:"s3Uri"`
			} `json:"s3OutputDataConfig"`
		} `json:"outputDataConfig"`
	}
	_ = json.Unmarshal(x.req.Body, &uri)
	hours := 24
	if body.Hours != nil {
		hours = *body.Hours
	}
	switch {
	case !jobName.MatchString(body.Name):
		return constraint([]byte(body.Name), "jobName", "Member must satisfy regular expression pattern: [a-zA-Z0-9]{1,63}(-*[a-zA-Z0-9\\+\\-\\.]){0,63}")
	case !strings.HasPrefix(body.Role, "arn:"):
		return constraint([]byte(body.Role), "roleArn", "Member must be the ARN of a role")
	case !strings.HasPrefix(uri.Input.S3.URI, "s3://"):
		return constraint([]byte(uri.Input.S3.URI), "inputDataConfig.s3InputDataConfig.s3Uri", "Member must be an S3 URI")
	case !strings.HasPrefix(uri.Output.S3.URI, "s3://"):
		return constraint([]byte(uri.Output.S3.URI), "outputDataConfig.s3OutputDataConfig.s3Uri", "Member must be an S3 URI")
	case hours < 24 || hours > 168:
		return constraint([]byte(itoa(hours)), "timeoutDurationInHours", "Member must be between 24 and 168")
	}
	fields := object{
		"jobName": body.Name, "modelId": body.Model, "roleArn": body.Role, "timeoutDurationInHours": hours,
		"inputDataConfig": body.Input, "outputDataConfig": body.Output,
	}
	if body.Token != "" {
		fields["clientRequestToken"] = body.Token
	}
	j, refused := s.addJob(&s.batches, "model-invocation-job", body.Token, x, fields)
	if refused != nil {
		return refused
	}
	return result(object{"jobArn": j.arn})
}

// batchStatus is a job as responses tell it: a tenth of its time it is
// submitted, a tenth validated, then in progress.
func (s *Server) batchStatus(j *job) object {
	v := object{"jobArn": j.arn, "submitTime": timestamp(j.began)}
	for k, f := range j.fields {
		v[k] = f
	}
	s.mu.Lock()
	stopped := j.stopped
	s.mu.Unlock()
	now, end := s.opts.Now(), j.began.Add(s.opts.JobDuration)
	expires := j.began.Add(time.Duration(j.fields["timeoutDurationInHours"].(int)) * time.Hour)
	v["jobExpirationTime"] = timestamp(expires)
	changed := j.began
	switch passed := now.Sub(j.began); {
	case !stopped.IsZero():
		v["status"], changed = "Stopped", stopped
		v["endTime"] = timestamp(stopped)
	case end.After(expires) && !now.Before(expires):
		v["status"], changed = "Expired", expires
		v["endTime"] = timestamp(expires)
	case !now.Before(end):
		v["status"], changed = "Completed", end
		v["endTime"] = timestamp(end)
	case passed < s.opts.JobDuration/10:
		v["status"] = "Submitted"
	case passed < s.opts.JobDuration/5:
		v["status"] = "Validating"
	default:
		v["status"] = "InProgress"
	}
	v["lastModifiedTime"] = timestamp(changed)
	return v
}

func (s *Server) batch(x *exchange) (*job, *Reply) {
	if j := s.findJob(s.jobs(&s.batches), x.req.params[0]); j != nil {
		return j, nil
	}
	return nil, Error(http.StatusNotFound, "ResourceNotFoundException", "The model invocation job with the provided identifier does not exist.")
}

func (s *Server) getModelInvocationJob(x *exchange) *Reply {
	j, refused := s.batch(x)
	if refused != nil {
		return refused
	}
	return result(s.batchStatus(j))
}

func (s *Server) stopModelInvocationJob(x *exchange) *Reply {
	j, refused := s.batch(x)
	if refused != nil {
		return refused
	}
	switch status := s.batchStatus(j)["status"]; status {
	case "Submitted", "Validating", "InProgress":
		s.mu.Lock()
		j.stopped = s.opts.Now()
		s.mu.Unlock()
		return result(object{})
	default:
		return Error(409, "ConflictException", "The model invocation job is in the status "+status.(string)+" and cannot be stopped.")
	}
}

func (s *Server) listModelInvocationJobs(x *exchange) *Reply {
	return s.listJobs(x, &s.batches, s.batchStatus, "invocationJobSummaries")
}
