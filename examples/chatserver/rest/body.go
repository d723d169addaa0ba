package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"unicode/utf8"
)

const (
	maxBody  = 256 << 10 // bytes; 100 items with a context of 1,000 characters each fit
	maxDepth = 16        // of arrays and objects within each other
)

// errTooLarge is the error of a body over maxBody.
var errTooLarge = errors.New("the body has more than " + strconv.Itoa(maxBody>>10) + " KiB")

// A bodyError is a body that is no JSON, or JSON that could be read in two ways.
type bodyError struct{ Detail }

func (e *bodyError) Error() string { return e.Message }

func malformed(at []string, validator, format string, args ...any) error {
	return &bodyError{Detail{pointer(at), fmt.Sprintf(format, args...), validator}}
}

// read returns the body of a request as the value that schemas check,
// and its bytes.
func read(w http.ResponseWriter, r *http.Request) (any, []byte, error) {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		return nil, nil, errTooLarge
	}
	if err != nil {
		return nil, nil, malformed(nil, "json", "the body could not be read")
	}
	value, err := parse(data)
	return value, data, err
}

// CheckJSON reports what is wrong with the JSON of a message, by the rules of the
// API's bodies: one value, UTF-8, no name twice in an object, 16 levels at most. Path
// is a JSON pointer to the place.
func CheckJSON(data []byte) (wrong Detail, ok bool) {
	_, err := parse(data)
	var bad *bodyError
	if errors.As(err, &bad) {
		return bad.Detail, false
	}
	return Detail{}, err == nil
}

// parse reads one JSON value. Of an object with two members of one name it is not
// known which one the next reader takes, so that is an error; and so are bytes
// that are not UTF-8, which encoding/json would replace.
func parse(data []byte) (any, error) {
	if !utf8.Valid(data) {
		return nil, malformed(nil, "json", "it is not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	value, err := parseValue(dec, nil)
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, malformed(nil, "json", "there is something after the JSON value")
	}
	return value, nil
}

func parseValue(dec *json.Decoder, at []string) (any, error) {
	token, err := dec.Token()
	if err != nil {
		return nil, malformed(nil, "json", "it is not valid JSON")
	}
	delim, ok := token.(json.Delim)
	if !ok {
		return token, nil
	}
	if len(at) == maxDepth {
		return nil, malformed(at, "json", "it is nested deeper than %d levels", maxDepth)
	}
	if delim == '[' {
		list := []any{}
		for dec.More() {
			value, err := parseValue(dec, append(at, strconv.Itoa(len(list))))
			if err != nil {
				return nil, err
			}
			list = append(list, value)
		}
		return list, end(dec)
	}
	object := map[string]any{}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return nil, malformed(nil, "json", "it is not valid JSON")
		}
		name := token.(string)
		within := append(at, name)
		if _, twice := object[name]; twice {
			return nil, malformed(within, "json", "it is there twice")
		}
		if object[name], err = parseValue(dec, within); err != nil {
			return nil, err
		}
	}
	return object, end(dec)
}

// end reads the bracket that closes a value.
func end(dec *json.Decoder) error {
	if _, err := dec.Token(); err != nil {
		return malformed(nil, "json", "it is not valid JSON")
	}
	return nil
}
