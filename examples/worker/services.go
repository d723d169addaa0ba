package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/mangaassist/bedrockkit/asyncq"
	"github.com/mangaassist/bedrockkit/asyncq/fileblobs"
	"github.com/mangaassist/bedrockkit/asyncq/memqueue"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
)

// services are what a program uses of AWS. There, queues is sqs.NewFromConfig(cfg),
// bedrock is bedrockx.NewFromConfig(cfg), and the stores are those of the packages
// dynamostatus and s3blobs.
type services struct {
	queues  *sqs.Client
	bedrock *bedrockx.Client
	status  asyncq.StatusStore
	results asyncq.BlobStore
}

// dial returns the clients of services that serve has begun.
func dial(url, folder string) (*services, error) {
	results, err := fileblobs.New(folder)
	if err != nil {
		return nil, err
	}
	cfg := aws.Config{
		Region: "us-east-1",
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "fake", SecretAccessKey: "fake"}, nil
		}),
	}
	queues := sqs.NewFromConfig(cfg, func(o *sqs.Options) { o.BaseEndpoint = aws.String(url + "/sqs/") })
	cfg.BaseEndpoint = aws.String(url + "/bedrock")
	return &services{queues: queues, bedrock: bedrockx.NewFromConfig(cfg), status: remoteStatus(url + "/status/"), results: results}, nil
}

// serve serves the services on loopback until the returned function is called.
func serve(ctx context.Context) (url string, stop func(), err error) {
	queues := memqueue.New()
	q := queueNames
	for _, name := range []string{q.High, q.Normal, q.Low, q.DeadLetter} {
		if _, err := queues.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String(name)}); err != nil {
			return "", nil, err
		}
	}
	bedrock, err := bedrocktest.New(func(o *bedrocktest.Options) {
		o.InProcess = true // it is served below
		o.Responder = func(_ context.Context, r *bedrocktest.Request) *bedrocktest.Reply {
			subject := strings.TrimSuffix(strings.TrimPrefix(r.LastText(), "Analyse "), ".")
			return bedrocktest.Text("Pirates, friendship and a very long voyage: " + subject + ".").Delay(50 * time.Millisecond)
		}
	})
	if err != nil {
		return "", nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/sqs/", queues)
	mux.Handle("/bedrock/", http.StripPrefix("/bedrock", bedrock))
	mux.Handle("/status/", http.StripPrefix("/status/", statusServer{asyncq.NewMemoryStatus()}))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener) // until Close
	}()
	return "http://" + listener.Addr().String(), func() {
		_ = server.Close()
		<-served
		_ = bedrock.Close()
	}, nil
}

// maxStatusBytes bounds a request to the store of statuses.
const maxStatusBytes = 1 << 20

// statusServer serves a store of statuses: POST create, get and update.
type statusServer struct{ store asyncq.StatusStore }

// statusCodes are how the errors of a store are sent.
var statusCodes = []struct {
	code int
	err  error
}{{http.StatusNotFound, asyncq.ErrNotFound}, {http.StatusConflict, asyncq.ErrExists}, {http.StatusPreconditionFailed, asyncq.ErrConflict}}

func (s statusServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var status asyncq.Status
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxStatusBytes)).Decode(&status)
	if err != nil {
		http.Error(w, "the body is not a status", http.StatusBadRequest)
		return
	}
	switch r.URL.Path {
	case "create":
		err = s.store.Create(r.Context(), status)
	case "get":
		status, err = s.store.Get(r.Context(), status.ID)
	case "update":
		err = s.store.Update(r.Context(), status)
	default:
		http.NotFound(w, r)
		return
	}
	for _, c := range statusCodes {
		if errors.Is(err, c.err) {
			http.Error(w, err.Error(), c.code)
			return
		}
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(status) // the client has gone
}

// remoteStatus is the client of a statusServer, whose URL it is.
type remoteStatus string

func (u remoteStatus) Create(ctx context.Context, s asyncq.Status) error {
	_, err := u.call(ctx, "create", s)
	return err
}

func (u remoteStatus) Get(ctx context.Context, id string) (asyncq.Status, error) {
	return u.call(ctx, "get", asyncq.Status{ID: id})
}

func (u remoteStatus) Update(ctx context.Context, s asyncq.Status) error {
	_, err := u.call(ctx, "update", s)
	return err
}

func (u remoteStatus) call(ctx context.Context, op string, s asyncq.Status) (asyncq.Status, error) {
	body, err := json.Marshal(s)
	if err != nil {
		return asyncq.Status{}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, string(u)+op, bytes.NewReader(body))
	if err != nil {
		return asyncq.Status{}, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return asyncq.Status{}, err
	}
	defer response.Body.Close()
	for _, c := range statusCodes {
		if response.StatusCode == c.code {
			return asyncq.Status{}, fmt.Errorf("the status of %s: %w", s.ID, c.err)
		}
	}
	if response.StatusCode != http.StatusOK {
		return asyncq.Status{}, fmt.Errorf("the store of statuses answers %s", response.Status)
	}
	var answer asyncq.Status
	return answer, json.NewDecoder(io.LimitReader(response.Body, maxStatusBytes)).Decode(&answer)
}
