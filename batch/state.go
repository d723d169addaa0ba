package batch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// state is what is stored of a set, before each step that cannot be undone.
type state struct {
	Version int       `json:"version"`
	Writer  string    `json:"writer"` // a random name of the Submission that stored it last
	Job     Job       `json:"job"`
	Type    Type      `json:"type"`
	Limits  Limits    `json:"limits"`
	Began   time.Time `json:"began"`

	// Attempt counts the times that files were begun to be written. Each has a
	// folder of its own: a job takes every file of its folder, so a file that an
	// attempt which broke off has left must not lie there.
	Attempt int  `json:"attempt"`
	Written bool `json:"written"`

	Refused []refused   `json:"refused,omitempty"`
	Plan    Plan        `json:"plan"`
	Jobs    []*jobState `json:"jobs,omitempty"`
	Retried bool        `json:"retried,omitempty"`

	// Of the records that are sent again, those that had a line with an error: the
	// others are missing, and no manifest counts them.
	RetriedFailed int64 `json:"retried_failed,omitempty"`

	// Unretried are the records that were to be sent again and are too few.
	Unretried int  `json:"unretried,omitempty"`
	Stopped   bool `json:"stopped,omitempty"`

	foreign bool // made from a job's ARN alone, and stored nowhere
}

type refused struct {
	Line  int    `json:"line"`
	ID    string `json:"id,omitempty"`
	Error string `json:"error"`
}

func (r refused) err() *RefusedError {
	return &RefusedError{Line: r.Line, ID: r.ID, Err: errors.New(r.Error)}
}

// jobState is one job: a folder of files and what became of it.
type jobState struct {
	Round   int         `json:"round"` // 0, or 1 for records that are sent again
	Live    bool        `json:"live,omitempty"`
	Folder  string      `json:"folder"` // of its files, a URI
	Files   []fileState `json:"files"`
	Records int         `json:"records"`
	Bytes   int64       `json:"bytes"`

	Name  string `json:"name,omitempty"`
	Token string `json:"token,omitempty"` // stored before the job is created
	ARN   string `json:"arn,omitempty"`

	Status    Status    `json:"status,omitempty"`
	Message   string    `json:"message,omitempty"`
	Submitted time.Time `json:"submitted,omitzero"`
	Started   time.Time `json:"started,omitzero"` // when it was first seen in progress
	Ended     time.Time `json:"ended,omitzero"`
	Manifest  *Manifest `json:"manifest,omitempty"`

	counts Manifest // that the service gave last
}

type fileState struct {
	Key     string `json:"key"`
	Records int    `json:"records"`
	Bytes   int64  `json:"bytes"`
	Digest  string `json:"digest"`
}

const stateVersion = 1

// place is where everything of a set lies below Input.
func (j *Job) place() location {
	l, _ := parseURI(j.Input) // resolved has checked it
	return l.at(j.Name)
}

func (j *Job) output() location {
	l, _ := parseURI(j.Output)
	return l.at(j.Name)
}

// stateOf is where the state of a set lies.
func stateOf(place location) location { return place.at("state.json") }

const maxState = 16 << 20

// readState reads a state from S3; it is nil if there is none.
func (c *Client) readState(ctx context.Context, from location, owner *string) (*state, *string, error) {
	out, err := c.store.GetObject(ctx, &s3.GetObjectInput{Bucket: &from.bucket, Key: &from.key, ExpectedBucketOwner: owner})
	switch code(err) {
	case "":
	case "NoSuchKey", "NotFound":
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("batch: reading %s: %w", from, err)
	}
	defer out.Body.Close()
	data, err := io.ReadAll(io.LimitReader(out.Body, maxState))
	if err != nil {
		return nil, nil, fmt.Errorf("batch: reading %s: %w", from, err)
	}
	st, err := decodeState(data)
	if err != nil {
		return nil, nil, fmt.Errorf("batch: %s: %w", from, err)
	}
	return st, out.ETag, nil
}

// readStateFile reads a state from a file; it is nil if there is none.
func readStateFile(path string) (*state, error) {
	f, err := os.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("batch: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxState))
	if err != nil {
		return nil, fmt.Errorf("batch: %w", err)
	}
	st, err := decodeState(data)
	if err != nil {
		return nil, fmt.Errorf("batch: %s: %w", path, err)
	}
	st.Job.StateFile = path
	return st, nil
}

func decodeState(data []byte) (*state, error) {
	st := new(state)
	if err := json.Unmarshal(data, st); err != nil {
		return nil, fmt.Errorf("it is not the state of a set: %w", err)
	}
	if st.Version != stateVersion {
		return nil, fmt.Errorf("it has the version %d, this library reads %d", st.Version, stateVersion)
	}
	if in, out := st.Job.Input, st.Job.Output; !bucketURI.MatchString(in) || !bucketURI.MatchString(out) {
		return nil, fmt.Errorf("the state is damaged: its Job.Input is %.100q and its Job.Output %.100q", in, out)
	}
	for i, j := range st.Jobs {
		if j == nil || !bucketURI.MatchString(j.Folder) {
			return nil, fmt.Errorf("the state is damaged: its job %d has no folder in S3", i+1)
		}
	}
	return st, nil
}

// save stores the state in S3, and then the copy in the file. The object is
// replaced only if it is the one that was read last or one of our own: the answer
// to an earlier write may have been lost.
func (s *Submission) save(ctx context.Context) error {
	if s.st.foreign {
		return nil
	}
	s.st.Writer = s.writer
	data, err := json.Marshal(s.st)
	if err != nil {
		return fmt.Errorf("batch: %w", err)
	}
	to, owner := stateOf(s.st.Job.place()), optional(s.st.Job.InputOwner)
	if len(data) > maxState {
		return fmt.Errorf("batch: the state of %s has %d bytes, %d are the most; cut the set into several", s.st.Job.Name, len(data), maxState)
	}
	for range saveTries {
		in := &s3.PutObjectInput{
			Bucket: &to.bucket, Key: &to.key, Body: bytes.NewReader(data), ContentLength: aws.Int64(int64(len(data))),
			ContentType: aws.String("application/json"), ExpectedBucketOwner: owner, IfMatch: s.etag,
		}
		if s.etag == nil {
			in.IfNoneMatch = aws.String("*")
		}
		out, err := s.c.store.PutObject(ctx, in)
		switch code(err) {
		case "PreconditionFailed", "ConditionalRequestConflict":
			stored, etag, err := s.c.readState(ctx, to, owner)
			if err != nil {
				return err
			}
			if stored != nil && stored.Writer != s.writer {
				return fmt.Errorf("batch: %s: %w", to, ErrConflict)
			}
			s.etag = etag
			continue
		}
		if err != nil {
			return fmt.Errorf("batch: writing %s: %w", to, err)
		}
		s.etag = out.ETag
		if path := s.st.Job.StateFile; path != "" {
			if err := writeFile(path, data); err != nil {
				return fmt.Errorf("batch: %w", err)
			}
		}
		return nil
	}
	return fmt.Errorf("batch: %s: %w", to, ErrConflict)
}

// saveTries bounds the writes of one save that meet another writer.
const saveTries = 3

// writeFile replaces a file as a whole.
func writeFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // it has another name by then, if all went well
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
