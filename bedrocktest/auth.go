package bedrocktest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/mangaassist/bedrockkit/internal/eventstream"
)

// A signature is a Signature Version 4 header, read. Source: "Create a signed AWS
// API request", AWS IAM User Guide. Bedrock's signing name is bedrock.
type signature struct {
	keyID, date, region, service string
	signed                       []string // the names of the headers
	hex                          string
}

var sigV4 = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=([^/,\s]+)/(\d{8})/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request,\s*SignedHeaders=([a-z0-9:;_-]+),\s*Signature=([0-9a-f]{64})$`)

func readSignature(auth string) (signature, bool) {
	m := sigV4.FindStringSubmatch(auth)
	if m == nil {
		return signature{}, false
	}
	return signature{m[1], m[2], m[3], m[4], strings.Split(m[5], ";"), m[6]}, true
}

const wrongSignature = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."

// maxSkew is how far a request's time may be from the server's.
const maxSkew = 5 * time.Minute

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
	sig, ok := readSignature(auth)
	if !ok {
		return Error(403, "IncompleteSignatureException", "The Authorization header is not a complete AWS4-HMAC-SHA256 signature: Credential, SignedHeaders and Signature are required.")
	}
	if sig.service != "bedrock" {
		return Error(403, "InvalidSignatureException", "Credential should be scoped to correct service: 'bedrock'.")
	}
	if s.opts.Secret == "" {
		return nil
	}
	return s.verify(sig, r, body)
}

// verify checks a signature in full: the key, its scope, the time, that all is
// signed that must be, and the sum.
func (s *Server) verify(sig signature, r *http.Request, body []byte) *Reply {
	wrong := func(message string) *Reply { return Error(403, "InvalidSignatureException", message) }
	if sig.keyID != s.opts.AccessKeyID {
		return Error(403, "UnrecognizedClientException", "The security token included in the request is invalid.")
	}
	for _, name := range mustSign(r) {
		if !slices.Contains(sig.signed, name) && !(name == "host" && slices.Contains(sig.signed, ":authority")) {
			return wrong("'" + name + "' must be a 'SignedHeader' in the AWS Authorization.")
		}
	}
	const form = "20060102T150405Z"
	stamp := r.Header.Get("X-Amz-Date")
	at, err := time.Parse(form, stamp)
	now := time.Now().UTC() // signatures know no other clock
	switch {
	case err != nil:
		return Error(403, "IncompleteSignatureException", "Date must be in ISO-8601 'basic format'. Got '"+stamp+"'.")
	case sig.date != stamp[:8]:
		return wrong("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '" + sig.date + "' != '" + stamp[:8] + "'.")
	case now.Sub(at) > maxSkew:
		return wrong("Signature expired: " + stamp + " is now earlier than " + now.Add(-maxSkew).Format(form) + " (" + now.Format(form) + " - 5 min.)")
	case at.Sub(now) > maxSkew:
		return wrong("Signature not yet current: " + stamp + " is still later than " + now.Add(maxSkew).Format(form) + " (" + now.Format(form) + " + 5 min.)")
	}
	if want := sign(r, body, s.opts.Secret, sig); !hmac.Equal([]byte(want), []byte(sig.hex)) {
		return wrong(wrongSignature)
	}
	return nil
}

// mustSign are the headers of a request that a signature has to cover: the
// host and all of Amazon's own.
func mustSign(r *http.Request) []string {
	names := []string{"host"}
	for name := range r.Header {
		if name = strings.ToLower(name); strings.HasPrefix(name, "x-amz-") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// signedEvents stands for the hash of a body that is a stream of events, each
// with a signature of its own.
const signedEvents = "STREAMING-AWS4-HMAC-SHA256-EVENTS"

// sign computes the signature of a request as it was received.
func sign(r *http.Request, body []byte, secret string, sig signature) string {
	var canonical strings.Builder
	line := func(s string) { canonical.WriteString(s); canonical.WriteByte('\n') }
	line(r.Method)
	// Every service but S3 signs the path with each segment escaped once more.
	line(escapePath(r.URL.EscapedPath()))
	line(canonicalQuery(r))
	for _, name := range sig.signed {
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
	line(strings.Join(sig.signed, ";"))
	// The hash is that of the body that came, whatever the header claims. Of a
	// session no body is there to be hashed: its events are signed.
	bodySum := sha256.Sum256(body)
	hash := hex.EncodeToString(bodySum[:])
	if r.Header.Get("X-Amz-Content-Sha256") == signedEvents {
		hash = signedEvents
	}
	canonical.WriteString(hash)

	sum := sha256.Sum256([]byte(canonical.String()))
	return hex.EncodeToString(sig.sum(secret, "AWS4-HMAC-SHA256\n"+r.Header.Get("X-Amz-Date")+"\n"+sig.scope()+"\n"+hex.EncodeToString(sum[:])))
}

func (sig signature) scope() string { return sig.date + "/" + sig.region + "/bedrock/aws4_request" }

// sum is the signature of a string, with the key of the day, region and service.
func (sig signature) sum(secret, toSign string) []byte {
	key := []byte("AWS4" + secret)
	for _, part := range []string{sig.date, sig.region, "bedrock", "aws4_request", toSign} {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	return key
}

// An eventVerifier checks the signatures of a session's events, each of which
// covers the one before it.
type eventVerifier struct {
	secret   string
	sig      signature
	previous []byte
}

var errEventSignature = errors.New("the signature of an event is wrong")

// eventVerifier is nil if the server has no secret or the session came with an
// API key.
func (s *Server) eventVerifier(r *http.Request) *eventVerifier {
	sig, ok := readSignature(r.Header.Get("Authorization"))
	if !ok || s.opts.Secret == "" {
		return nil
	}
	seed, _ := hex.DecodeString(sig.hex) // the pattern holds it to be hex
	return &eventVerifier{s.opts.Secret, sig, seed}
}

func (v *eventVerifier) verify(f *eventstream.Frame) error {
	headers, err := f.Headers()
	if err != nil {
		return err
	}
	var date time.Time
	var got []byte
	for _, h := range headers {
		switch h.Name {
		case ":date":
			date, _ = h.Value.(time.Time)
		case ":chunk-signature":
			got, _ = h.Value.([]byte)
		}
	}
	head := append([]byte{5}, ":date\x08"...)
	head = binary.BigEndian.AppendUint64(head, uint64(date.UnixMilli()))
	headSum, payloadSum := sha256.Sum256(head), sha256.Sum256(f.Payload)
	sig := v.sig
	sig.date = date.UTC().Format("20060102") // a session may last past midnight
	want := sig.sum(v.secret, strings.Join([]string{"AWS4-HMAC-SHA256-PAYLOAD", date.UTC().Format("20060102T150405Z"), sig.scope(),
		hex.EncodeToString(v.previous), hex.EncodeToString(headSum[:]), hex.EncodeToString(payloadSum[:])}, "\n"))
	if !hmac.Equal(want, got) {
		return errEventSignature
	}
	v.previous = want
	return nil
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
