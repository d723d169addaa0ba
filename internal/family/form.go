package family

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/internal/jsonscan"
)

// A Family is what package bedrockx has to know of the bodies of a model
// family. A function that the family has no use for is nil.
type Family struct {
	// Bodies are the requests of the family and the models that take them.
	Bodies []Body

	// MaxTokens returns a request's own bound on its answer, 0 if it has none.
	MaxTokens func(request []byte) int64

	// Usage returns the usage that the body of a response gives, and whether it
	// gives one in the family's words. What cannot be is given and unknown.
	Usage func(response []byte) (usage bedrockkit.Usage, told bool)

	// Question returns the text of a request that is nothing but one question,
	// and the member that holds it.
	Question func(request Object) (text, member string, ok bool)

	// Split adds the frames of the stream of a whole answer. An answer of
	// another family, or with a part that it does not know to say in a stream,
	// is ErrForm: nothing is lost that a reader could miss.
	Split func(s *Splitter, body Object) error

	// Join returns the body of an answer that was streamed, with the same
	// promise.
	Join func(events []Event) (any, error)
}

// A Body is one kind of request.
type Body struct {
	Name   string   // of its type, such as "nova.Request"
	Models []string // that take it, by how their base ids begin
	Except []string // of these, those that take another body
}

// Takes reports whether a model takes the body. A model whose id does not say
// which it is, such as the ARN of an application profile, takes none.
func (b Body) Takes(model bedrockkit.ModelID) bool {
	base := string(model.Base())
	begins := func(prefix string) bool { return strings.HasPrefix(base, prefix) }
	return base != "" && slices.ContainsFunc(b.Models, begins) && !slices.ContainsFunc(b.Except, begins)
}

// Check returns an error if the id names a model that takes another body.
func (b Body) Check(model bedrockkit.ModelID) error {
	if model.Base() == "" || b.Takes(model) {
		return nil
	}
	return fmt.Errorf("%s is for models named %s…, and not for %s", b.Name, strings.Join(b.Models, "… or "), model.Base())
}

// Takes reports whether a model takes one of the family's bodies.
func (f *Family) Takes(model bedrockkit.ModelID) bool {
	return slices.ContainsFunc(f.Bodies, func(b Body) bool { return b.Takes(model) })
}

// SingleMessage is the Question of requests with "messages": those of which the
// one message is the user's, and is only text.
func SingleMessage(request Object) (text, member string, ok bool) {
	const name = "messages"
	message, err := Only(request[name])
	if err != nil || len(message) != 2 || Text(message["role"]) != "user" {
		return "", name, false
	}
	if text = Text(message["content"]); text != "" {
		return text, name, true
	}
	var blocks []map[string]string // a block that is not text has other values
	if json.Unmarshal(message["content"], &blocks) != nil || len(blocks) != 1 {
		return "", name, false
	}
	for member, value := range blocks[0] {
		if member != "text" && (member != "type" || value != "text") {
			return "", name, false
		}
	}
	text = blocks[0]["text"]
	return text, name, text != ""
}

// MaxTokens is the MaxTokens of requests that have a member "max_tokens".
func MaxTokens(request []byte) int64 { return Bound(request, "max_tokens") }

// Bound returns the number at a path of members, for a Family's MaxTokens: the
// largest one if a name is there twice, and 0 if there is no whole number. It is
// asked for each call, so it reads the body without allocating.
func Bound(request []byte, path ...string) (most int64) {
	start := jsonscan.SkipSpace(request, 0)
	if start >= len(request) || request[start] != '{' {
		return 0
	}
	jsonscan.Members(request, start, 0, func(key, value []byte) {
		switch {
		case !isNamed(key, path[0]):
		case len(path) > 1:
			most = max(most, Bound(value, path[1:]...))
		default:
			if n, err := strconv.ParseInt(string(value), 10, 64); err == nil {
				most = max(most, n)
			}
		}
	})
	return most
}

// isNamed reports whether a quoted key is a name, however it is escaped and in
// any case, as encoding/json reads it: an input of the SDK is written with names
// of Go.
func isNamed(key []byte, name string) bool {
	if bytes.IndexByte(key, '\\') >= 0 {
		return strings.EqualFold(jsonscan.Unquote(key), name)
	}
	return strings.EqualFold(string(key[1:len(key)-1]), name)
}
