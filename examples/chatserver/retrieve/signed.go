package retrieve

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// ConnOptions are how a store of AWS is reached. The zero value of a field means
// its default.
type ConnOptions struct {
	// HTTP sends the requests. It never follows a redirect. The default is a
	// client whose requests end after 30 seconds.
	HTTP *http.Client

	// Retryer says which failures are tried again, and when. The default is the
	// standard one of the SDK: three attempts.
	Retryer aws.Retryer

	// Now is the clock of the signatures. The default is time.Now.
	Now func() time.Time
}

// A ServiceError is an answer of a store that is not a success. Its text leaves
// out Message, which may quote a document.
type ServiceError struct {
	Operation string // such as "QueryVectors" or "POST /manga/_search"
	Status    int    // of HTTP
	Code      string // the service's name for the error, such as "NotFoundException"; may be empty
	Message   string // as the service wrote it, at most 1,000 bytes
	RequestID string
	Hint      string // what to do, if that is known
}

func (e *ServiceError) Error() string {
	text := fmt.Sprintf("retrieve: %s: HTTP %d", e.Operation, e.Status)
	if e.Code != "" {
		text += " " + e.Code
	}
	if e.RequestID != "" {
		text += " (request " + e.RequestID + ")"
	}
	if e.Hint != "" {
		text += "; " + e.Hint
	}
	return text
}

// HTTPStatusCode returns Status. The SDK's retryer asks for it.
func (e *ServiceError) HTTPStatusCode() int { return e.Status }

// ErrorCode returns Code. The SDK's retryer asks for it, and knows a request that
// was throttled by its code alone.
func (e *ServiceError) ErrorCode() string {
	if e.Status == http.StatusTooManyRequests {
		return "TooManyRequestsException"
	}
	return e.Code
}

// maxResponse bounds the body of a response: 100 documents with their texts are
// 4 MB at most.
const maxResponse = 16 << 20

// conn sends signed requests to one endpoint of a service.
type conn struct {
	endpoint, service, region string
	credentials               aws.CredentialsProvider
	signer                    *v4.Signer
	http                      *http.Client
	retryer                   aws.Retryer
	now                       func() time.Time
}

func newConn(cfg aws.Config, service, endpoint string, o ConnOptions) (*conn, error) {
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "":
		return nil, invalid("the endpoint must be a scheme and a host, such as https://abc.us-east-1.aoss.amazonaws.com")
	case u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
		return nil, invalid("the endpoint must begin with https://; only a server on this machine may do without")
	case cfg.Region == "":
		return nil, invalid("the AWS configuration has no region; set AWS_REGION")
	case cfg.Credentials == nil:
		return nil, invalid("the AWS configuration has no credentials; config.LoadDefaultConfig finds those of the environment")
	}
	client := http.Client{Timeout: 30 * time.Second}
	if o.HTTP != nil {
		client = *o.HTTP
	}
	// A signature is for one host and path.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c := &conn{
		endpoint: u.Scheme + "://" + u.Host, service: service, region: cfg.Region, credentials: cfg.Credentials,
		signer: v4.NewSigner(), http: &client, retryer: o.Retryer, now: o.Now,
	}
	if c.retryer == nil {
		c.retryer = retry.NewStandard()
	}
	if c.now == nil {
		c.now = time.Now
	}
	return c, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// do sends a request, again if the retryer says so, and decodes its answer into
// out.
func (c *conn) do(ctx context.Context, method, path, contentType string, body []byte, out any) error {
	for attempt := 1; ; attempt++ {
		err := c.once(ctx, method, path, contentType, body, out)
		if err == nil || ctx.Err() != nil || attempt >= c.retryer.MaxAttempts() || !c.retryer.IsErrorRetryable(err) {
			return err
		}
		delay, delayErr := c.retryer.RetryDelay(attempt, err)
		if delayErr != nil {
			return err
		}
		timer := time.NewTimer(delay)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return errors.Join(ctx.Err(), err)
		}
	}
}

func (c *conn) once(ctx context.Context, method, path, contentType string, body []byte, out any) error {
	operation := method + " " + path
	if c.service == s3VectorsService {
		operation = path[1:]
	}
	req, err := http.NewRequestWithContext(ctx, method, c.endpoint+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("retrieve: %s: %w", operation, err)
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Accept", "application/json")
	if err := c.sign(ctx, req, body); err != nil {
		return fmt.Errorf("retrieve: %s: %w", operation, err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("retrieve: %s: %w", operation, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse+1))
	switch {
	case err != nil:
		return fmt.Errorf("retrieve: %s: reading the response: %w", operation, err)
	case len(answer) > maxResponse:
		return fmt.Errorf("retrieve: %s: the response has more than %d bytes", operation, maxResponse)
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return serviceError(operation, resp, answer)
	case out == nil:
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("retrieve: %s: the response is not the JSON that the service documents: %w", operation, err)
	}
	return nil
}

// sign adds the signature. OpenSearch Serverless wants the hash of the body as a
// header and refuses a signature over Content-Length, so the signer does not see
// the length. Source: "Signing HTTP requests with other clients", Amazon
// OpenSearch Service Developer Guide.
func (c *conn) sign(ctx context.Context, req *http.Request, body []byte) error {
	credentials, err := c.credentials.Retrieve(ctx)
	if err != nil {
		return fmt.Errorf("reading the credentials: %w", err)
	}
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	req.Header.Set("X-Amz-Content-Sha256", hash)
	length := req.ContentLength
	req.ContentLength = 0
	err = c.signer.SignHTTP(ctx, credentials, req, hash, c.service, c.region, c.now())
	req.ContentLength = length
	return err
}

// serviceError reads an error in either service's form: OpenSearch writes
// {"error":{"type","reason"}} or {"error":"…"}, AWS a header and {"message"}.
func serviceError(operation string, resp *http.Response, body []byte) *ServiceError {
	e := &ServiceError{Operation: operation, Status: resp.StatusCode, RequestID: resp.Header.Get("X-Amzn-Requestid")}
	if e.RequestID == "" {
		e.RequestID = resp.Header.Get("X-Request-Id")
	}
	e.Code, _, _ = strings.Cut(resp.Header.Get("X-Amzn-Errortype"), ":")
	var said struct {
		Message string          `json:"message"`
		Error   json.RawMessage `json:"error"`
	}
	if json.Unmarshal(body, &said) == nil {
		e.Message = said.Message
		var cause bulkError
		if json.Unmarshal(said.Error, &cause) == nil && cause.Type != "" {
			e.Code, e.Message = cause.Type, cause.Reason
		}
	}
	e.Code, e.RequestID = printable(e.Code), printable(e.RequestID)
	e.Message = clip(e.Message)
	if e.Status == http.StatusForbidden {
		e.Hint = "check the IAM policy of the caller"
		if strings.Contains(operation, " /") { // of OpenSearch
			e.Hint += " and the data access policy of the collection"
		}
	}
	return e
}

// clip bounds a message.
func clip(s string) string { return strings.ToValidUTF8(s[:min(len(s), 1000)], "") }

// printable bounds what an error repeats of a response.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
	return s[:min(len(s), 100)]
}

// hasCode reports whether an error is the service's with one of the codes.
func hasCode(err error, code string) bool {
	var service *ServiceError
	return errors.As(err, &service) && service.Code == code
}

// chunk joins parts, which stay whole, to bodies of at most n parts and size
// bytes; a part that is larger is a body of its own.
func chunk(parts [][]byte, n, size int) [][][]byte {
	var chunks [][][]byte
	used := 0
	for _, part := range parts {
		last := len(chunks) - 1
		if last < 0 || len(chunks[last]) >= n || used+len(part) > size {
			chunks, used = append(chunks, nil), 0
			last++
		}
		chunks[last] = append(chunks[last], part)
		used += len(part) + 1
	}
	return chunks
}
