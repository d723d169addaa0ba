package batch

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/internal/jsonscan"
)

// The lines of the files. Source: "Format and upload your batch inference data"
// and "View the results of a batch inference job", Amazon Bedrock User Guide.

// appendInput appends a line of an input file.
func appendInput(b []byte, id string, body []byte) []byte {
	b = append(b, `{"recordId":`...)
	b = appendString(b, id)
	b = append(b, `,"modelInput":`...)
	b = appendCompact(b, body)
	return append(b, "}\n"...)
}

// appendCompact appends JSON without line breaks: between values they mean
// nothing, and within strings there are none.
func appendCompact(b, body []byte) []byte {
	if bytes.IndexByte(body, '\n') < 0 && bytes.IndexByte(body, '\r') < 0 {
		return append(b, body...)
	}
	for _, c := range body {
		if c != '\n' && c != '\r' {
			b = append(b, c)
		}
	}
	return b
}

func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(s) // a string always has JSON
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// idOf reads the record id of a line and nothing else, if it is the line's first
// member, as ours is.
func idOf(line []byte) (string, bool) {
	s := jsonscan.New(line)
	if !s.Take('{') || !s.Take('"') || !s.Skip(`recordId"`) || !s.Take(':') {
		l, err := parseLine(line)
		return l.id, err == nil
	}
	return s.Text()
}

// A line is a line of an output file, or of an input file, which has no more than
// the first two. The parts are those of the line's own bytes.
type outputLine struct {
	id     string
	input  []byte
	output []byte
	failed []byte // the member "error"
	usage  []byte // ours, of live calls
}

// errUnreadable is the error of a line that is not a record.
var errUnreadable = errors.New("the line is not a record in JSON")

func parseLine(line []byte) (l outputLine, err error) {
	s := jsonscan.New(line)
	ok := s.Object(func(key []byte) (ok bool) {
		switch string(key) {
		case "recordId":
			l.id, ok = s.Text()
		case "modelInput":
			l.input, ok = s.Value()
		case "modelOutput":
			l.output, ok = s.Value()
		case "error":
			l.failed, ok = s.Value()
		case "usage":
			l.usage, ok = s.Value()
		default:
			_, ok = s.Value()
		}
		return ok
	})
	if !ok || !s.End() || l.id == "" {
		return outputLine{}, errUnreadable
	}
	if string(l.output) == "null" {
		l.output = nil
	}
	if string(l.failed) == "null" {
		l.failed = nil
	}
	return l, nil
}

// failure is the error of a line, nil if it has an answer. Its code is a number in
// AWS's documentation and a name elsewhere.
func (l *outputLine) failure() *RecordError {
	e := &RecordError{ID: l.id}
	switch {
	case l.failed == nil && l.output == nil:
		e.Err = &bedrockx.Error{Kind: bedrockx.KindEmpty, Err: errors.New("its line has neither an answer nor an error")}
		return e
	case l.failed == nil:
		return nil
	}
	var v struct {
		Code    json.RawMessage `json:"errorCode"`
		Message string          `json:"errorMessage"`
	}
	if json.Unmarshal(l.failed, &v) != nil && json.Unmarshal(l.failed, &v.Message) != nil {
		v.Message = string(l.failed)
	}
	if json.Unmarshal(v.Code, &e.Code) != nil {
		e.Code = string(v.Code)
	}
	if e.Message = v.Message; e.Message == "" && e.Code == "" {
		e.Message = string(l.failed)
	}
	e.Err = &bedrockx.Error{Kind: bedrockx.KindOfCode(e.Code, e.Message), Err: errors.New(e.Message)}
	return e
}

// appendOutput appends a line of an output file as we write it for live calls.
func appendOutput(b []byte, id string, input, output []byte, usage bedrockkit.Usage, failed *RecordError) []byte {
	b = append(b, `{"recordId":`...)
	b = appendString(b, id)
	b = append(b, `,"modelInput":`...)
	b = appendCompact(b, input)
	if failed != nil {
		b = append(b, `,"error":{"errorCode":`...)
		if _, err := strconv.Atoi(failed.Code); err == nil {
			b = append(b, failed.Code...)
		} else {
			b = appendString(b, failed.Code)
		}
		b = append(b, `,"errorMessage":`...)
		b = appendString(b, failed.Message)
		return append(b, "}}\n"...)
	}
	b = append(b, `,"modelOutput":`...)
	b = appendCompact(b, output)
	counts, _ := json.Marshal(usage) // numbers
	b = append(append(b, `,"usage":`...), counts...)
	return append(b, "}\n"...)
}

// lineReader reads lines into one buffer.
type lineReader struct {
	r    *bufio.Reader
	long []byte // a line that the reader's buffer does not hold
	most int
}

func newLineReader(r io.Reader, most int) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(r, 256<<10), most: most}
}

// next returns the next line that is not blank, without its end. It is valid
// until the next call. A last line without an end was cut off, or its writer
// leaves it out: the parser finds out.
func (l *lineReader) next() ([]byte, error) {
	for {
		line, err := l.read()
		if trimmed := bytes.TrimSpace(line); len(trimmed) > 0 {
			if err == io.EOF {
				err = nil
			}
			return trimmed, err
		}
		if err != nil {
			return nil, err
		}
	}
}

func (l *lineReader) read() ([]byte, error) {
	line, err := l.r.ReadSlice('\n')
	if err != bufio.ErrBufferFull {
		if len(line) > l.most {
			return nil, fmt.Errorf("%w: more than %d bytes", ErrTooLong, l.most)
		}
		return line, err
	}
	l.long = append(l.long[:0], line...)
	for err == bufio.ErrBufferFull {
		if len(l.long) > l.most {
			return nil, fmt.Errorf("%w: more than %d bytes", ErrTooLong, l.most)
		}
		line, err = l.r.ReadSlice('\n')
		l.long = append(l.long, line...)
	}
	return l.long, err
}
