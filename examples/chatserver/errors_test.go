package main

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/bedrocktest"
)

// The developer's log says what to do about an error of AWS's, and the customer
// reads nothing of it.
func TestLogSaysWhatToDo(t *testing.T) {
	const secret = "arn:aws:sts::123456789012:assumed-role/shop/i-1"
	for name, tt := range map[string]struct {
		code, message string // of the service; none is never reached
		keys          bool   // AWS credentials are set
		log           []string
		page          string
	}{
		"no credentials": {"", "", false,
			[]string{"error.kind=credentials", "error.hint=", "AWS_PROFILE"}, "The model is not available"},
		"wrong credentials": {"UnrecognizedClientException", "The security token included in the request is invalid.", true,
			[]string{"error.kind=credentials", "error.code=UnrecognizedClientException", "check the access key id"}, "The model is not available"},
		"no access to the model": {"AccessDeniedException", "User: " + secret + " is not authorized", true,
			[]string{"error.kind=access_denied", "error.code=AccessDeniedException", "allow bedrock:InvokeModel", "on us.anthropic.claude-haiku-4-5", "access to the model"}, "The model is not available"},
		"a model that the region lacks": {"ResourceNotFoundException", "Could not resolve the foundation model from " + secret, true,
			[]string{"error.kind=not_found", "check the model id and that the region has the model"}, "The model is not available"},
		"throttled": {"ThrottlingException", "Too many tokens, " + secret, true,
			[]string{"error.kind=throttled", "error.attempts=3", "lower the rate or max tokens, or ask for a higher quota"}, "The assistant is busy"},
		"the daily quota": {"ThrottlingException", "Too many tokens per day, please wait before trying again.", true,
			[]string{"error.kind=daily_quota", "use another model or region until tomorrow"}, "reached its limit for today"},
		"a bad request": {"ValidationException", "The value at " + secret + " is bad", true,
			[]string{"error.kind=validation", "error.code=ValidationException"}, "Trying again will not help"},
	} {
		t.Run(name, func(t *testing.T) {
			status := map[string]int{"ThrottlingException": 429, "AccessDeniedException": 403, "UnrecognizedClientException": 403, "ResourceNotFoundException": 404, "ValidationException": 400}[tt.code]
			fake := bedrocktest.NewServer(t, func(o *bedrocktest.Options) {
				o.Responder = func(context.Context, *bedrocktest.Request) *bedrocktest.Reply {
					return bedrocktest.Error(status, tt.code, tt.message)
				}
			})
			inAWS(t, fake.URL(), tt.keys)
			url, log := start(t, fast, "-bedrock", "aws", "-fallback", "off")

			c := dial(t, url)
			c.send(chat("haiku", "Is Berserk in stock?"))
			_, frames := c.answer()
			last := frames[len(frames)-1]
			assert.Equal(t, "error", last.Type)
			assert.Contains(t, last.Message, tt.page)
			socket := line(t, log, "level=WARN")
			assert.Contains(t, socket, "model=haiku")

			log.reset()
			resp, err := http.DefaultClient.Do(eventsRequest(t, url, `{"query":"Is Berserk in stock?","model":"haiku"}`))
			require.NoError(t, err)
			_, err = io.Copy(io.Discard, resp.Body)
			require.NoError(t, err)
			resp.Body.Close()
			events := line(t, log, "level=WARN")

			log.reset()
			code, body := post(t, url, `{"query":"Is Berserk in stock?","model":"haiku"}`)
			assert.GreaterOrEqual(t, code, 400)
			assert.Contains(t, body["error"], tt.page)
			rest := line(t, log, "level=WARN")
			assert.Contains(t, rest, "status=")

			for _, l := range []string{socket, events, rest} {
				for _, want := range tt.log {
					assert.Contains(t, l, want)
				}
				assert.Contains(t, l, "request_id=")
				assert.NotContains(t, l, "Berserk")
				assert.NotContains(t, l, secret)
			}
		})
	}
}

func eventsRequest(t *testing.T, url, body string) *http.Request {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/v1/manga/query", strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "text/event-stream")
	return req
}

// inAWS makes the environment that of a machine whose Bedrock is at url.
func inAWS(t *testing.T, url string, keys bool) {
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL_BEDROCK_RUNTIME": url, "AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_PROFILE": "", "AWS_BEARER_TOKEN_BEDROCK": "",
		"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_SESSION_TOKEN": "", "AWS_WEB_IDENTITY_TOKEN_FILE": "",
		"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "", "AWS_CONTAINER_CREDENTIALS_FULL_URI": "",
	} {
		t.Setenv(name, value)
	}
	if keys {
		t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
		t.Setenv("AWS_SECRET_ACCESS_KEY", "SECRETEXAMPLE")
	}
}

// line waits for a line of the log that has the part, and returns it.
func line(t *testing.T, log *logBuffer, part string) (found string) {
	t.Helper()
	require.Eventually(t, func() bool {
		for l := range strings.Lines(log.String()) {
			if strings.Contains(l, part) {
				found = l
			}
		}
		return found != ""
	}, 10*time.Second, time.Millisecond, "no line with %s", part)
	return found
}
