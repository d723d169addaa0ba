package bedrocktest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// sigV4 is the form of a Signature Version 4 header. Source: "Create a signed
// AWS API request", AWS IAM User Guide. Bedrock's signing name is bedrock.
var sigV4 = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=([^/,\s]+)/(\d{8})/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request,\s*SignedHeaders=([a-z0-9:;_-]+),\s*Signature=([0-9a-f]{64})$`)

// authorize checks who asks: an API key as Bearer token or a SigV4 signature.
// Without secrets in the options, any that are well formed are taken.
func (s *Server) authorize(r *http.Request, body []byte) *Reply {
	auth := r.Header.Get("Authorization")
	if auth == "" {
		return Error(403, "MissingAuthenticationTokenException", "Missing Authentication Token")
	}
	if scheme, token, _ := strings.Cut(auth, " "); scheme == "Bearer" {
		if token == "" || s.opts.BearerToken != "" && !hmac.Equal([]byte(token), []byte(s.opts.BearerToken)) {
			return Error(403, "AccessDeniedException", "Authentication failed: Please make sure your API Key is valid.")
		}
		return nil
	}
	m := sigV4.FindStringSubmatch(auth)
	if m == nil {
		return Error(403, "IncompleteSignatureException", "The Authorization header is no complete AWS4-HMAC-SHA256 signature: Credential, SignedHeaders and Signature are required.")
	}
	keyID, date, region, service, signed, signature := m[1], m[2], m[3], m[4], m[5], m[6]
	switch {
	case service != "bedrock":
		return Error(403, "InvalidSignatureException", "Credential should be scoped to correct service: 'bedrock'.")
	case s.opts.Secret == "":
		return nil
	case keyID != s.opts.AccessKeyID:
		return Error(403, "UnrecognizedClientException", "The security token included in the request is invalid.")
	}
	want := sign(r, body, s.opts.Secret, date, region, strings.Split(signed, ";"))
	if !hmac.Equal([]byte(want), []byte(signature)) {
		return Error(403, "InvalidSignatureException", "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.")
	}
	return nil
}

// sign computes the signature of a request as it was received.
func sign(r *http.Request, body []byte, secret, date, region string, signedHeaders []string) string {
	var canonical strings.Builder
	line := func(s string) { canonical.WriteString(s); canonical.WriteByte('\n') }
	line(r.Method)
	// Every service but S3 signs the path with each segment escaped once more.
	line(escapePath(r.URL.EscapedPath()))
	line(canonicalQuery(r))
	for _, name := range signedHeaders {
		var value string
		switch name {
		case "host", ":authority": // the pseudo-header is what JavaScript's SDK signs over HTTP/2
			value = r.Host
		case "content-length":
			value = r.Header.Get("Content-Length")
			if value == "" {
				value = itoa(len(body))
			}
		default:
			value = strings.Join(r.Header.Values(name), ",")
		}
		line(name + ":" + strings.Join(strings.Fields(value), " "))
	}
	line("")
	line(strings.Join(signedHeaders, ";"))
	// The hash is that of the body that came, whatever the header claims; only
	// words such as STREAMING-AWS4-HMAC-SHA256-EVENTS stand for themselves.
	bodySum := sha256.Sum256(body)
	hash := hex.EncodeToString(bodySum[:])
	if claimed := r.Header.Get("X-Amz-Content-Sha256"); claimed != "" && len(claimed) != len(hash) {
		hash = claimed
	}
	canonical.WriteString(hash)

	sum := sha256.Sum256([]byte(canonical.String()))
	scope := date + "/" + region + "/bedrock/aws4_request"
	toSign := "AWS4-HMAC-SHA256\n" + r.Header.Get("X-Amz-Date") + "\n" + scope + "\n" + hex.EncodeToString(sum[:])
	key := []byte("AWS4" + secret)
	for _, part := range []string{date, region, "bedrock", "aws4_request", toSign} {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	return hex.EncodeToString(key)
}

func escapePath(path string) string {
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		c := path[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~/", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteString("%" + strings.ToUpper(hex.EncodeToString([]byte{c})))
	}
	return b.String()
}

func canonicalQuery(r *http.Request) string {
	if r.URL.RawQuery == "" {
		return ""
	}
	pairs := strings.Split(strings.ReplaceAll(r.URL.RawQuery, "+", "%20"), "&")
	for i, p := range pairs {
		if !strings.Contains(p, "=") {
			pairs[i] = p + "="
		}
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "&")
}
