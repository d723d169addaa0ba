package bedrocktest

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/mangaassist/bedrockkit"
)

// The operations of batch inference, of the control plane (Amazon Bedrock API
// reference, CreateModelInvocationJob…). How a job runs is in batchjob.go.

var (
	jobName  = regexp.MustCompile(`^[a-zA-Z0-9]{1,63}(-*[a-zA-Z0-9+\-.]){0,63}$`)
	jobToken = regexp.MustCompile(`^[a-zA-Z0-9]{1,256}(-*[a-zA-Z0-9]){0,256}$`)
)

type batchRequest struct {
	Name   string             `json:"jobName"`
	Role   string             `json:"roleArn"`
	Token  string             `json:"clientRequestToken"`
	Model  bedrockkit.ModelID `json:"modelId"`
	Type   string             `json:"modelInvocationType"`
	Hours  *int               `json:"timeoutDurationInHours"`
	VPC    json.RawMessage    `json:"vpcConfig"`
	Tags   []json.RawMessage  `json:"tags"`
	Input  json.RawMessage    `json:"inputDataConfig"`
	Output json.RawMessage    `json:"outputDataConfig"`
}

func (s *Server) createModelInvocationJob(x *exchange) *Reply {
	body := batchRequest{Type: "InvokeModel"}
	if err := json.Unmarshal(x.req.Body, &body); err != nil {
		return unreadable(err)
	}
	var input struct {
		S3 struct {
			URI string `json:"s3Uri"`
		} `json:"s3InputDataConfig"`
	}
	var output struct {
		S3 struct {
			URI string `json:"s3Uri"`
		} `json:"s3OutputDataConfig"`
	}
	_ = json.Unmarshal(body.Input, &input)
	_ = json.Unmarshal(body.Output, &output)
	hours := 24
	if body.Hours != nil {
		hours = *body.Hours
	}
	switch {
	case !jobName.MatchString(body.Name) || len(body.Name) > 63:
		return constraint([]byte(body.Name), "jobName", "Member must satisfy regular expression pattern: [a-zA-Z0-9]{1,63}(-*[a-zA-Z0-9\\+\\-\\.]){0,63}")
	case body.Token != "" && (!jobToken.MatchString(body.Token) || len(body.Token) > 256):
		return constraint([]byte(body.Token), "clientRequestToken", "Member must satisfy regular expression pattern: [a-zA-Z0-9]{1,256}(-*[a-zA-Z0-9]){0,256}")
	case !strings.HasPrefix(body.Role, "arn:"):
		return constraint([]byte(body.Role), "roleArn", "Member must be the ARN of a role")
	case !strings.HasPrefix(input.S3.URI, "s3://"):
		return constraint([]byte(input.S3.URI), "inputDataConfig.s3InputDataConfig.s3Uri", "Member must be an S3 URI")
	case !strings.HasPrefix(output.S3.URI, "s3://"):
		return constraint([]byte(output.S3.URI), "outputDataConfig.s3OutputDataConfig.s3Uri", "Member must be an S3 URI")
	case hours < 24 || hours > 168:
		return constraint([]byte(itoa(hours)), "timeoutDurationInHours", "Member must be between 24 and 168")
	case body.Type != "InvokeModel" && body.Type != "Converse":
		return constraint([]byte(body.Type), "modelInvocationType", "Member must satisfy enum value set: [InvokeModel, Converse]")
	case len(body.Tags) > 200:
		return constraint([]byte(itoa(len(body.Tags))), "tags", "Member must have length less than or equal to 200")
	}
	// A token that was used before is the job that it has made, whatever else the
	// request says, and not an error.
	if j := s.jobOfToken(body.Token); j != nil {
		return result(object{"jobArn": j.arn})
	}
	if r := s.batchModel(body.Model); r != nil {
		return r
	}
	if s.runningJobs(body.Model) >= s.opts.Batch.MaxJobs {
		return Error(http.StatusBadRequest, "ServiceQuotaExceededException", "The number of batch inference jobs submitted or in progress for the model exceeds the quota of "+itoa(s.opts.Batch.MaxJobs)+".")
	}
	fields := object{
		"jobName": body.Name, "modelId": body.Model, "roleArn": body.Role, "timeoutDurationInHours": hours,
		"inputDataConfig": body.Input, "outputDataConfig": body.Output, "modelInvocationType": body.Type,
	}
	if body.Token != "" {
		fields["clientRequestToken"] = body.Token
	}
	if body.VPC != nil {
		fields["vpcConfig"] = body.VPC
	}
	run := &batchRun{
		model: body.Model, converse: body.Type == "Converse", timeout: time.Duration(hours) * time.Hour,
		in: input.S3.URI, out: output.S3.URI,
	}
	if plan := s.opts.Batch.Plan; plan != nil {
		run.plan = plan(body.Name)
	}
	if run.plan.Duration == 0 {
		run.plan.Duration = s.opts.JobDuration
	}
	j, refused := s.addJob(&s.batches, "model-invocation-job", body.Token, x, fields, run)
	if refused != nil {
		return refused
	}
	return result(object{"jobArn": j.arn})
}

// batchModel refuses a model that batch inference does not take.
func (s *Server) batchModel(id bedrockkit.ModelID) *Reply {
	if r := s.knownModel(id); r != nil {
		return r
	}
	ident, err := s.resolve(id).Parse()
	if err != nil {
		return nil // Options.AnyModel takes it
	}
	known, _ := bedrockkit.Capabilities(ident.ID)
	switch {
	case ident.Kind == bedrockkit.KindProvisionedModel:
		return invalid("Provisioned throughput is not supported for batch inference.")
	case known.Supports(bedrockkit.FeatureBatch) == bedrockkit.No:
		return invalid("The model %s does not support batch inference.", id)
	case ident.Kind == bedrockkit.KindFoundationModel && known.Supports(bedrockkit.FeatureOnDemand) == bedrockkit.No:
		return invalid("Invocation of model ID %s with on-demand throughput isn\u2019t supported. Retry your request with the ID or ARN of an inference profile that contains this model.", id)
	}
	return nil
}

// jobOfToken is the batch job that was made with a token.
func (s *Server) jobOfToken(token string) *job {
	jobs := s.jobs(&s.batches)
	i := slices.IndexFunc(jobs, func(j *job) bool { return token != "" && j.token == token })
	if i < 0 {
		return nil
	}
	return jobs[i]
}

// runningJobs counts the batch jobs of a model that have not ended.
func (s *Server) runningJobs(model bedrockkit.ModelID) int {
	n := 0
	for _, j := range s.jobs(&s.batches) {
		if j.batch.model != model {
			continue
		}
		if p, _ := s.catchUp(j); !p.ended() {
			n++
		}
	}
	return n
}

// batchStatus is a job as responses have it.
func (s *Server) batchStatus(j *job) object {
	v := object{"jobArn": j.arn, "submitTime": timestamp(j.began)}
	for k, f := range j.fields {
		v[k] = f
	}
	p, counts := s.catchUp(j)
	v["status"] = p.status
	v["lastModifiedTime"] = timestamp(p.changed)
	v["jobExpirationTime"] = timestamp(j.began.Add(j.batch.timeout))
	if p.ended() {
		v["endTime"] = timestamp(p.changed)
	}
	if p.status == "Failed" {
		v["message"] = j.batch.failed()
	}
	if s.opts.Batch.Store != nil {
		v["totalRecordCount"] = counts.Total
		v["processedRecordCount"] = counts.Processed
		v["successRecordCount"] = counts.Succeeded
		v["errorRecordCount"] = counts.Failed
	}
	return v
}

func (b *batchRun) failed() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failure
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
	switch p, _ := s.catchUp(j); p.status {
	case "Submitted", "Validating", "Scheduled", "InProgress":
		s.mu.Lock()
		j.stopped = s.opts.Now()
		s.mu.Unlock()
		return result(object{})
	default:
		return Error(400, "ConflictException", "The model invocation job is in the status "+p.status+" and cannot be stopped.")
	}
}

func (s *Server) listModelInvocationJobs(x *exchange) *Reply {
	return s.listJobs(x, &s.batches, s.batchStatus, "invocationJobSummaries")
}
