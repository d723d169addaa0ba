package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/mangaassist/bedrockkit/asyncq/memqueue"
)

// The endpoint that every contestant is left to find by itself; its connections
// are dialled to the server.
const host = "bedrock-runtime.us-east-1.amazonaws.com"

// How the server sends a stream, each on an address of its own. "agent" asks for a
// tool until it has the results of all rounds but the last.
// "chat" is for servers that ask it themselves.
var paces = []string{"burst", "flush", "slow", "agent", "chat"}

// slowEvery is between two events of a slow stream.
const slowEvery = 50 * time.Millisecond

// serve is the server's process. It tells its addresses and certificate on
// standard output, and ends with its standard input.
func serve() error {
	cert, certPEM, err := selfSigned()
	if err != nil {
		return err
	}
	hello := serverHello{Addrs: map[string]string{}, Cert: certPEM}
	for _, pace := range paces {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		hello.Addrs[pace] = ln.Addr().String()
		var answer http.Handler
		switch pace {
		case "agent":
			answer = agentHandler()
		case "chat":
			answer = chatModel()
		default:
			answer = handler(pace)
		}
		srv := &http.Server{Handler: answer, TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}},
			HTTP2: &http.HTTP2Config{MaxConcurrentStreams: 5000}}
		go srv.ServeTLS(ln, "", "")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	hello.Addrs["sqs"] = ln.Addr().String()
	go http.Serve(ln, memqueue.New())
	if err := json.NewEncoder(os.Stdout).Encode(hello); err != nil {
		return err
	}
	io.Copy(io.Discard, os.Stdin)
	return nil
}

type serverHello struct {
	Addrs map[string]string
	Cert  string
}

func handler(pace string) http.Handler {
	n := deltas
	streams := map[string][][]byte{"converse-stream": converseFrames(n), "invoke-with-response-stream": invokeFrames(n)}
	whole := map[string][]byte{}
	for op, frames := range streams {
		whole[op] = bytes.Join(frames, nil)
	}
	unary := map[string][]byte{"converse": converseJSON, "invoke": invokeJSON}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// HTTP/1.1 reuses a connection whose request was read.
		io.Copy(io.Discard, r.Body)
		op := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
		w.Header().Set("X-Amzn-Requestid", "9a5c8b1e-0000-4000-8000-000000000000")
		if body, ok := unary[op]; ok {
			w.Header().Set("Content-Type", "application/json")
			w.Write(body)
			return
		}
		frames, ok := streams[op]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/vnd.amazon.eventstream")
		w.Header().Set("X-Amzn-Bedrock-Content-Type", "application/json")
		if pace == "burst" {
			w.Write(whole[op])
			return
		}
		flusher := http.NewResponseController(w)
		for _, frame := range frames {
			if _, err := w.Write(frame); err != nil {
				return
			}
			flusher.Flush()
			if pace == "slow" {
				select {
				case <-time.After(slowEvery):
				case <-r.Context().Done():
					return
				}
			}
		}
	})
}

// A server is the running process.
type server struct {
	serverHello
	cmd   *exec.Cmd
	stdin io.Closer
}

// start runs this program once more, as the server.
func start() (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "-serve")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &server{cmd: cmd, stdin: stdin}
	if err := json.NewDecoder(bufio.NewReader(stdout)).Decode(&s.serverHello); err != nil {
		s.stop()
		return nil, fmt.Errorf("the server did not start: %w", err)
	}
	return s, nil
}

func (s *server) stop() {
	s.stdin.Close()
	s.cmd.Wait()
}

// client is an HTTP client whose connections all go to the server: the same
// transport for every contestant.
func (s *server) client(pace string, http2 bool) *http.Client {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(s.Cert))
	var protocols http.Protocols
	protocols.SetHTTP1(!http2)
	protocols.SetHTTP2(http2)
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", s.Addrs[pace])
		},
		TLSClientConfig:     &tls.Config{RootCAs: pool},
		Protocols:           &protocols,
		MaxIdleConnsPerHost: 256,
	}
	return &http.Client{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
		return transport.RoundTrip(shielded(req))
	})}
}

// shielded is a request whose body has no WriteTo. With it the AWS SDK drops
// connections of HTTP/1.1 while an answer comes, as the WriteTo of its request
// bodies returns io.EOF. bedrockkit does the same by itself for calls of models.
func shielded(req *http.Request) *http.Request {
	if req.Body != nil && req.Body != http.NoBody {
		req.Body = struct{ io.ReadCloser }{req.Body}
	}
	return req
}

// memory is an HTTP client that answers at once, without a network.
func memory(body []byte, contentType string) *http.Client {
	header := http.Header{"Content-Type": {contentType}, "X-Amzn-Bedrock-Content-Type": {"application/json"},
		"X-Amzn-Requestid": {"9a5c8b1e-0000-4000-8000-000000000000"}}
	return &http.Client{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
		if req.Body != nil {
			io.Copy(io.Discard, struct{ io.Reader }{req.Body})
			req.Body.Close()
		}
		return &http.Response{StatusCode: 200, Status: "200 OK", ProtoMajor: 1, ProtoMinor: 1, Header: header.Clone(),
			Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Request: req}, nil
	})}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (rt roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return rt(req) }

func selfSigned() (tls.Certificate, string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, "", err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bedrockkit bench"}, DNSNames: []string{host}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, "", err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), nil
}
