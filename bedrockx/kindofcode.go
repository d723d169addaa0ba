package bedrockx

import (
	"net/http"
	"strconv"
)

// KindOfCode returns the kind of an error that did not come from a call, such as one
// in an output file of batch inference. code is a name, such as "ThrottlingException",
// or an HTTP status, such as "429". For a code that is not known it returns
// [KindUnknown].
func KindOfCode(code, message string) Kind {
	status, err := strconv.Atoi(code)
	switch {
	case err != nil:
		return kindOfCode(code, message)
	case status == http.StatusBadRequest:
		return kindOfCode("validation", message) // the message says which
	}
	return kindOfStatus(status)
}
