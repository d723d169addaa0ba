package bedrockx

import (
	"bytes"
	"encoding/json"

	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"

	"github.com/mangaassist/bedrockkit"
)

// body is the JSON that goes out, as far as it is there: what the SDK's
// serializer is to write of a Converse input is nil.
func (c *Call) body() []byte {
	if c.Body != nil || c.SDKInput == nil {
		return c.Body
	}
	input, err := c.SDKInput()
	if err != nil {
		return nil // the attempt will show
	}
	switch in := input.(type) {
	case *bedrockruntime.InvokeModelInput:
		return in.Body
	case *bedrockruntime.InvokeModelWithResponseStreamInput:
		return in.Body
	}
	return nil
}

// maxTokens is the call's own bound on the answer.
func (c *Call) maxTokens(body []byte) int64 { return c.maxTokensFor(c.Model, c.MaxTokens, body) }

// maxTokensFor is a bound on the answer of a model: the one that is given, or
// what the body says in the form of the model's family. It is 0 if neither says it.
func (c *Call) maxTokensFor(model bedrockkit.ModelID, given int, body []byte) int64 {
	if given > 0 || len(body) == 0 {
		return int64(given)
	}
	var most int64
	for _, f := range formsFor(c.Op, c.resolved(model)) {
		if f.MaxTokens != nil {
			most = max(most, f.MaxTokens(body))
		}
	}
	return most
}

// sketch is the body, or where that is not there something of about its size
// and with its fields.
func (c *Call) sketch() []byte {
	if body := c.body(); body != nil || c.SDKInput == nil {
		return body
	}
	input, err := c.SDKInput()
	if err != nil {
		return nil
	}
	body, err := json.Marshal(input)
	if err != nil {
		return nil
	}
	return body
}

// tokensOfMedia is what an image is counted as, at most, by models that scale
// it down; a document takes about as much for a page. Source: "Vision",
// Anthropic's documentation.
const tokensOfMedia = 1600

// estimateTokens takes four letters of an alphabet for a token, and each
// character of another script. A long string in base64, as a data URI too, is an
// image or a document.
func estimateTokens(body []byte) int64 {
	var letters, characters, media int64
	for len(body) > 0 {
		part := body
		if end := bytes.IndexByte(body, '"'); end >= 0 {
			part, body = body[:end], body[end+1:]
		} else {
			body = nil
		}
		if data := withoutScheme(part); len(data) > 1000 && isBase64(data[:1000]) {
			media++
			continue
		}
		for _, b := range part {
			switch {
			case b < 0x80:
				letters++
			case b >= 0xC0: // the first byte of a character
				characters++
			}
		}
	}
	return (letters+3)/4 + characters + media*tokensOfMedia
}

// withoutScheme is the base64 of a data URI, or the text itself. A JSON writer
// may escape a slash of the media type.
func withoutScheme(text []byte) []byte {
	const scheme, longest = "data:", 200
	if !bytes.HasPrefix(text, []byte(scheme)) {
		return text
	}
	if _, data, found := bytes.Cut(text[:min(len(text), longest)], []byte(";base64,")); found {
		return text[min(len(text), longest)-len(data):]
	}
	return text
}

func isBase64(b []byte) bool {
	for _, c := range b {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '+' || c == '/') {
			return false
		}
	}
	return true
}
