package bedrocktest

import (
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mangaassist/bedrockkit"
)

// A job is work that goes on after its request: an asynchronous invocation or
// a batch inference job. How far it is follows from the clock.
type job struct {
	arn     string
	token   string
	body    [sha256.Size]byte // stands for the request that made it
	fields  object            // what describes it in responses
	began   time.Time
	stopped time.Time
	batch   *batchRun // of a batch job
}

// accountID is the account of the ARNs that the server makes.
const accountID = "123456789012"

func (s *Server) arn(resource string) string {
	return "arn:aws:bedrock:" + s.opts.Region + ":" + accountID + ":" + resource
}

func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// The bounds on jobs, so that a program can run for long: of the request that
// makes one, and how many are kept.
const (
	maxJobBody = 1 << 20
	maxJobs    = 1000
)

// addJob keeps a job, or finds the one that was made with the same token. The
// oldest is forgotten if there are too many.
func (s *Server) addJob(list *[]*job, kind, token string, x *exchange, fields object, batch *batchRun) (*job, *Reply) {
	if len(x.req.Body) > maxJobBody {
		return nil, invalid("The request is too large: it has %d bytes, %d are allowed.", len(x.req.Body), maxJobBody)
	}
	body := sha256.Sum256(x.req.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, j := range *list {
		if token == "" || j.token != token {
			continue
		}
		if j.body != body {
			return nil, Error(400, "ConflictException", "The client request token was used before with other parameters.")
		}
		return j, nil
	}
	j := &job{
		token: token, body: body, fields: fields, batch: batch, began: s.opts.Now(),
		arn: s.arn(kind + "/" + strings.ToLower(identifier(12, kind, itoa(s.jobCount), string(x.req.Body)))),
	}
	s.jobCount++
	*list = append(*list, j)
	if len(*list) > maxJobs {
		*list = slices.Clone((*list)[1:])
	}
	return j, nil
}

// findJob finds a job by its ARN or by the id at the ARN's end.
func (s *Server) findJob(list []*job, id string) *job {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, j := range list {
		if j.arn == id || j.arn[strings.LastIndexByte(j.arn, '/')+1:] == id {
			return j
		}
	}
	return nil
}

// page cuts a list by maxResults and nextToken, which is an offset.
func page[T any](q url.Values, all []T) (part []T, next string, refused *Reply) {
	size, from := 100, 0
	var err error
	if s := q.Get("maxResults"); s != "" {
		if size, err = strconv.Atoi(s); err != nil || size < 1 || size > 1000 {
			return nil, "", constraint([]byte(s), "maxResults", "Member must be between 1 and 1000")
		}
	}
	if s := q.Get("nextToken"); s != "" {
		if from, err = strconv.Atoi(s); err != nil || from < 0 || from > len(all) {
			return nil, "", invalid("The provided token is invalid.")
		}
	}
	to := min(from+size, len(all))
	if to < len(all) {
		next = strconv.Itoa(to)
	}
	return all[from:to], next, nil
}

func (s *Server) startAsyncInvoke(x *exchange) *Reply {
	var body struct {
		Token   string             `json:"clientRequestToken"`
		Model   bedrockkit.ModelID `json:"modelId"`
		Input   json.RawMessage    `json:"modelInput"`
		Outputs struct {
			S3 *struct {
				URI string `json:"s3Uri"`
			} `json:"s3OutputDataConfig"`
		} `json:"outputDataConfig"`
	}
	var raw struct {
		Output json.RawMessage `json:"outputDataConfig"`
	}
	if json.Unmarshal(x.req.Body, &body) != nil || json.Unmarshal(x.req.Body, &raw) != nil {
		return Error(400, "SerializationException", "Unable to parse the request body.")
	}
	if r := s.knownModel(body.Model); r != nil {
		return r
	}
	switch {
	case !isObject(body.Input):
		return invalid("The modelInput must be a JSON object.")
	case body.Outputs.S3 == nil || !strings.HasPrefix(body.Outputs.S3.URI, "s3://"):
		return invalid("The outputDataConfig must name an S3 URI, as s3://bucket/prefix.")
	}
	model := string(body.Model)
	if !strings.HasPrefix(model, "arn:") {
		model = "arn:aws:bedrock:" + s.opts.Region + "::foundation-model/" + model
	}
	fields := object{"modelArn": model, "outputDataConfig": raw.Output}
	if body.Token != "" {
		fields["clientRequestToken"] = body.Token
	}
	j, refused := s.addJob(&s.invocations, "async-invoke", body.Token, x, fields, nil)
	if refused != nil {
		return refused
	}
	return result(object{"invocationArn": j.arn})
}

// asyncStatus is an invocation as responses have it.
func (s *Server) asyncStatus(j *job) object {
	v := object{"invocationArn": j.arn, "submitTime": timestamp(j.began), "lastModifiedTime": timestamp(j.began), "status": "InProgress"}
	for k, f := range j.fields {
		v[k] = f
	}
	if end := j.began.Add(s.opts.JobDuration); !s.opts.Now().Before(end) {
		v["status"], v["endTime"], v["lastModifiedTime"] = "Completed", timestamp(end), timestamp(end)
	}
	return v
}

func (s *Server) getAsyncInvoke(x *exchange) *Reply {
	j := s.findJob(s.jobs(&s.invocations), x.req.params[0])
	if j == nil {
		return Error(http.StatusNotFound, "ResourceNotFoundException", "The invocation with the provided ARN does not exist.")
	}
	return result(s.asyncStatus(j))
}

// jobs is a copy of a list of jobs.
func (s *Server) jobs(list *[]*job) []*job {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(*list)
}

func (s *Server) listAsyncInvokes(x *exchange) *Reply {
	return s.listJobs(x, &s.invocations, s.asyncStatus, "asyncInvokeSummaries")
}

// listJobs is a page of a list of jobs, as the query of the request filters and
// sorts it.
func (s *Server) listJobs(x *exchange, list *[]*job, status func(*job) object, field string) *Reply {
	q := x.req.Query
	all := []object{}
	for _, j := range s.jobs(list) {
		v := status(j)
		name, _ := v["jobName"].(string)
		if want := q.Get("statusEquals"); want != "" && v["status"] != want ||
			!strings.Contains(name, q.Get("nameContains")) || !within(j.began, q) {
			continue
		}
		all = append(all, v)
	}
	// The newest come first.
	if q.Get("sortOrder") != "Ascending" {
		slices.Reverse(all)
	}
	part, next, refused := page(q, all)
	if refused != nil {
		return refused
	}
	v := object{field: part}
	if next != "" {
		v["nextToken"] = next
	}
	return result(v)
}

// within reports whether a time is between submitTimeAfter and
// submitTimeBefore. A bound that is not a time does not bound.
func within(t time.Time, q url.Values) bool {
	after, err := time.Parse(time.RFC3339, q.Get("submitTimeAfter"))
	if err == nil && !t.After(after) {
		return false
	}
	before, err := time.Parse(time.RFC3339, q.Get("submitTimeBefore"))
	return err != nil || t.Before(before)
}
